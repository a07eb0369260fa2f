package main

import (
	"context"
	"fmt"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// lookAhead is how many lines may stand between a line that was rejected before
// and a later one that was booked, for the first to be recognised.
const lookAhead = 1024

// The ledger forgets what it rejects: sent again, a rejected entry is judged again,
// by balances that later entries have changed meanwhile. A file that is sent again
// from its start, because the first try was interrupted or for no reason at all,
// would so end in another state than a file that is sent once. But append keeps the
// order of the file; so where a later line is booked, every line before it has been
// judged, and one that the ledger does not hold was rejected. Such lines are not
// sent. What follows the last booked line is sent: nothing of the file came after
// it, so it is judged as it was the first time.

// reasonBefore is printed in place of the reason, which nobody remembers.
const reasonBefore = "rejected_before"

const detailBefore = "rejected when it was sent before: a later line is booked already (--judge-again sends it)"

// judged tells which of some entries, in the order of the file, were rejected
// before. last is the index of the last one that is booked, -1 when none is.
func judged(ctx context.Context, c *client.Client, entries []wire.Entry) (rejected []bool, last int, err error) {
	find := func(i int) (seq uint64, err error) {
		row, ok, err := c.Find(ctx, string(entries[i].Account()), entries[i].Nonce())
		if ok {
			seq = row.Seq
		}
		return seq, err
	}
	rejected = make([]bool, len(entries))
	var firstSeq, lastSeq uint64
	for last = len(entries) - 1; last >= 0; last-- {
		if lastSeq, err = find(last); err != nil || lastSeq != 0 {
			break
		}
	}
	if err != nil || last < 0 {
		return rejected, last, err
	}
	first := 0
	for ; firstSeq == 0; first++ {
		if firstSeq, err = find(first); err != nil {
			return rejected, last, err
		}
		rejected[first] = firstSeq == 0
	}
	booked, err := bookedBetween(ctx, c, firstSeq, lastSeq, entries)
	if err != nil {
		return rejected, last, err
	}
	for i := first; i < last; i++ {
		if booked[identity(entries[i])] {
			continue
		}
		seq, err := find(i) // it may have been sent in another order, by other means
		if err != nil {
			return rejected, last, err
		}
		rejected[i] = seq == 0
	}
	return rejected, last, nil
}

// bookedBetween returns the identities among entries that are booked in a range.
func bookedBetween(ctx context.Context, c *client.Client, from, to uint64, entries []wire.Entry) (map[string]bool, error) {
	booked := make(map[string]bool, len(entries))
	for _, e := range entries {
		booked[identity(e)] = false
	}
	if from > to {
		return booked, nil
	}
	for row, err := range c.Entries(ctx, from, to) {
		if err != nil {
			return nil, fmt.Errorf("see what was booked before: %w", err)
		}
		id := identity(row.Record.Entry())
		if _, asked := booked[id]; asked {
			booked[id] = true
		}
	}
	return booked, nil
}

// identity is account and nonce.
func identity(e wire.Entry) string {
	nonce := e.Nonce()
	return string(nonce[:]) + string(e.Account())
}
