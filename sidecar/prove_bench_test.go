package sidecar_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// BenchmarkProve asks for proofs over the socket, of a ledger of PROVE_ENTRIES entries,
// 20,000 where it is not set, that stands still.
func BenchmarkProve(b *testing.B) {
	entries := 20_000
	if text := os.Getenv("PROVE_ENTRIES"); text != "" {
		var err error
		if entries, err = strconv.Atoi(text); err != nil || entries < 2 {
			b.Fatalf("PROVE_ENTRIES is %q: it has to be a number from 2 up", text)
		}
	}
	s := startBench(b, sidecar.Macronode)
	c := dialBench(b, s, client.Options{})
	fill(b, c, entries)
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2))
	for _, bench := range []struct {
		name string
		ask  func(seq uint64) *wire.Prove
	}{
		{"inclusion", func(seq uint64) *wire.Prove { return &wire.Prove{From: seq} }},
		{"identity", func(seq uint64) *wire.Prove { return &wire.Prove{Account: []byte("a"), Nonce: nonceAt(seq)} }},
		{"consistency", func(seq uint64) *wire.Prove { return &wire.Prove{Consistency: true, From: seq} }},
		{"older", func(seq uint64) *wire.Prove { return &wire.Prove{From: (seq + 1) / 2, Size: seq} }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Prove(ctx, bench.ask(1+random.Uint64N(uint64(entries)))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func nonceAt(seq uint64) (nonce wire.Nonce) {
	binary.BigEndian.PutUint64(nonce[:], seq)
	return nonce
}

// fill books entries whose nonces rise as UUIDv7 do.
func fill(b *testing.B, c *client.Client, entries int) {
	b.Helper()
	ctx := context.Background()
	var under []*client.Pending
	for done := 0; done < entries; {
		batch := new(client.Batch)
		for ; batch.Len() < 8192 && done < entries; done++ {
			f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceAt(uint64(done + 1))}
			if err := batch.Add(&f); err != nil {
				b.Fatal(err)
			}
		}
		under = append(under, c.Submit(ctx, batch))
		if len(under) < 4 && done < entries {
			continue
		}
		for _, p := range under {
			if _, err := p.Wait(ctx); err != nil {
				b.Fatal(err)
			}
		}
		under = under[:0]
	}
}
