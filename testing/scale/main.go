// Scale takes measured bytes of a ledger, made here and now, and hands out what many ledgers, and large ones,
// would cost: bytes, requests and money for the object store, readers of roots, the monitor of a fleet. What a formula
// gives is computed, and what it does not is simulated. docs/SCALE.md has the formulas and what was printed.
//
//	go run ./testing/scale [--entries N] [--prices put,get,gb] [--seed N]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	entries := flag.Int("entries", 200_000, "entries of the ledger that is measured")
	seed := flag.Uint64("seed", 1, "of the simulations")
	var p prices
	flag.Float64Var(&p.put, "put", 0.005, "price of 1,000 writes")
	flag.Float64Var(&p.get, "get", 0.0004, "price of 1,000 reads")
	flag.Float64Var(&p.gb, "gb", 0.023, "price of a GB for a month")
	flag.Parse()
	if err := run(context.Background(), *entries, *seed, p); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, entries int, seed uint64, p prices) error {
	m, err := measure(ctx, entries)
	if err != nil {
		return err
	}
	if m.pruned, err = measurePruned(ctx, entries, m.state); err != nil {
		return err
	}
	fmt.Printf("measured, of %d entries of %.0f bytes\n\n", entries, m.record)
	rows("| bytes an entry | |\n|---|---|",
		"| record: entry and stamp | %.0f |", m.record, "| log on disk | %.1f |", m.log, "| state on disk: balances, identities, tiles, roots | %.1f |", m.state,
		"| the same, of an entry whose body was pruned | %.1f |", m.pruned, "| archive | %.1f |", m.archived, "| tiles, 32/255 | %.3f |", 32.0/255)
	rows("| bytes of an answer over HTTPS, body and head | |\n|---|---|", "| /roots with one root, checkpoint and proof | %.0f |", m.look, "| /roots without news | %.0f |", m.idle)
	largeLedgers(m, p)
	manyLedgers(m, p, seed)
	syncMode(p, seed)
	readers(m)
	monitors(m, seed)
	return nil
}

// rows prints a table: its head, and then formats with a value each.
func rows(head string, pairs ...any) {
	fmt.Println(head)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Printf(pairs[i].(string)+"\n", pairs[i+1])
	}
	fmt.Println()
}
