package sidecar

import (
	"slices"
	"sync"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/store"
)

// rootRingMax is how many roots, one for each commit, are kept in memory.
const rootRingMax = 65_536

// rootRing keeps the newest roots: all with a Seq above base, and base rises when
// the oldest makes room. What is at or below base is in the store.
type rootRing struct {
	mu   sync.RWMutex
	base uint64
	max  int
	rows []store.RootRow // circular once it holds max of them
	at   int             // the oldest of rows
}

func newRootRing(base uint64, max int) *rootRing { return &rootRing{base: base, max: max} }

// add takes the root of a commit that has become durable. Heads that it has are
// left out, so that it can be told of one twice.
func (r *rootRing) add(head *committer.Head) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if head.Size <= r.newest() {
		return
	}
	row := store.RootRow{Seq: head.Size, Root: head.Root, TimeMs: head.TimeMs}
	if len(r.rows) < r.max {
		r.rows = append(r.rows, row)
		return
	}
	r.base = r.rows[r.at].Seq
	r.rows[r.at] = row
	r.at = (r.at + 1) % len(r.rows)
}

// newest returns the Seq of the newest root that is here, or base.
func (r *rootRing) newest() uint64 {
	if len(r.rows) == 0 {
		return r.base
	}
	return r.rows[(r.at+len(r.rows)-1)%len(r.rows)].Seq
}

// after appends to dst at most limit roots with a Seq above since and at most the
// size of head, in order, and returns the base: where since is below it, roots from
// since to base are missing in front. The head itself is among them even before it
// has been added: it is published first.
func (r *rootRing) after(dst []store.RootRow, since uint64, limit int, head *committer.Head) (rows []store.RootRow, base uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	older, newer := r.rows[r.at:], r.rows[:r.at]
	rows = dst
	for _, part := range [...][]store.RootRow{older, newer} {
		from, _ := slices.BinarySearchFunc(part, since+1, func(row store.RootRow, seq uint64) int {
			switch {
			case row.Seq < seq:
				return -1
			case row.Seq > seq:
				return 1
			}
			return 0
		})
		for _, row := range part[from:] {
			if len(rows)-len(dst) == limit || row.Seq > head.Size {
				return rows, r.base
			}
			rows = append(rows, row)
		}
	}
	if len(rows)-len(dst) < limit && head.Size > r.newest() && head.Size > since {
		rows = append(rows, store.RootRow{Seq: head.Size, Root: head.Root, TimeMs: head.TimeMs})
	}
	return rows, r.base
}
