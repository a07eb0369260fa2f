package store

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// indexOrder sorts the index rows of checkpoints. Rows are too large to be moved and compared by the million: what is
// sorted are their nonces, as two numbers, and the rows follow once. It keeps its buffers from one checkpoint to the next.
type indexOrder struct {
	keys   []indexKey
	sorted []Indexed
}

type indexKey struct {
	high, low uint64 // of the nonce
	at        uint64 // place of the row
}

// sort returns rows in the order of their keys: by nonce, then by account. It keeps the slice that it is given.
func (o *indexOrder) sort(rows []Indexed) []Indexed {
	o.keys = o.keys[:0]
	for i := range rows {
		nonce := &rows[i].Nonce
		o.keys = append(o.keys, indexKey{binary.BigEndian.Uint64(nonce[:8]), binary.BigEndian.Uint64(nonce[8:]), uint64(i)})
	}
	slices.SortFunc(o.keys, func(a, b indexKey) int {
		switch {
		case a.high != b.high:
			return cmp.Compare(a.high, b.high)
		case a.low != b.low:
			return cmp.Compare(a.low, b.low)
		}
		return cmp.Compare(rows[a.at].Account, rows[b.at].Account)
	})
	sorted := slices.Grow(o.sorted[:0], len(rows))
	for i := range o.keys {
		sorted = append(sorted, rows[o.keys[i].at])
	}
	o.sorted = rows
	return sorted
}
