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
	rejected = make([]bool, len(entries))
	var from, to uint64
	for last = len(entries) - 1; last >= 0 && to == 0; last-- {
		if to, err = find(ctx, c, entries[last]); err != nil {
			return rejected, last, err
		}
	}
	if to == 0 {
		return rejected, -1, nil
	}
	last++
	for first := 0; from == 0; first++ {
		if from, err = find(ctx, c, entries[first]); err != nil {
			return rejected, last, err
		}
	}
	booked, err := bookedBetween(ctx, c, from, to, entries)
	if err != nil {
		return rejected, last, err
	}
	rejected, err = missing(ctx, c, entries, booked, last)
	return rejected, last, err
}

// judgedSince is judged for entries of which none was booked before the sequence
// number from, but for duplicates.
func judgedSince(ctx context.Context, c *client.Client, entries []wire.Entry, from uint64) ([]bool, error) {
	booked, err := bookedBetween(ctx, c, from, client.ToHead, entries)
	if err != nil {
		return nil, err
	}
	last := len(entries) - 1
	for last >= 0 && !booked[identity(entries[last])] {
		last--
	}
	return missing(ctx, c, entries, booked, last)
}

// missing marks what stands before last and is not booked. What is not among those
// found in a range is looked up: it may have been sent in another order, by other
// means.
func missing(ctx context.Context, c *client.Client, entries []wire.Entry, booked map[string]bool, last int) ([]bool, error) {
	rejected := make([]bool, len(entries))
	for i := 0; i < last; i++ {
		if booked[identity(entries[i])] {
			continue
		}
		seq, err := find(ctx, c, entries[i])
		if err != nil {
			return nil, err
		}
		rejected[i] = seq == 0
	}
	return rejected, nil
}

// find returns the sequence number under which an entry is booked, 0 if it is not.
func find(ctx context.Context, c *client.Client, e wire.Entry) (seq uint64, err error) {
	row, _, err := c.Find(ctx, string(e.Account()), e.Nonce())
	return row.Seq, err
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
