package audit

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// feed counts a log without a store between: what the reader would hand on.
func feed(t *testing.T, s *store.Store, kind merkle.HashKind, log []request) error {
	t.Helper()
	a := newAudit(s)
	next := uint64(1)
	for i := range log {
		r := &log[i]
		c := commit{Commit: store.Commit{First: next, Count: len(r.records), Root: r.root, TimeMs: r.timeMs}}
		for _, b := range r.records {
			c.Records = append(c.Records, b...)
			c.Ends = append(c.Ends, uint32(len(c.Records)))
		}
		if r.idem != 0 {
			c.Groups = []store.Group{{First: next, Count: uint32(c.Count), IdemID: [16]byte{r.idem}}}
		}
		c.hash(kind)
		if err := a.commit(&c); err != nil {
			return err
		}
		next += uint64(c.Count)
	}
	return nil
}

// TestEveryBit changes each bit of each record and of each root of a small ledger, one
// at a time: each is found, and its entry, or for a root its commit, is named.
func TestEveryBit(t *testing.T) {
	for _, kind := range kinds {
		log := sound(t, kind)
		s := open(t, kind, log)
		if err := feed(t, s, kind, log); err != nil {
			t.Fatalf("%v: undamaged: %v", kind, err)
		}
		bits, seq := 0, uint64(0)
		flip := func(b []byte, what string) {
			for i := range len(b) * 8 {
				b[i/8] ^= 1 << (i % 8)
				mustFind(t, fmt.Sprintf("%v: bit %d of byte %d of %s", kind, i%8, i/8, what), seq, feed(t, s, kind, log))
				b[i/8] ^= 1 << (i % 8)
				bits++
			}
		}
		for i := range log {
			for _, record := range log[i].records {
				seq++
				flip(record, fmt.Sprintf("entry %d", seq))
			}
			flip(log[i].root[:], fmt.Sprintf("the root at %d", seq))
		}
		t.Logf("%v: %d bits", kind, bits)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestEveryBitOfARootRow does so with the roots that the state lists.
func TestEveryBitOfARootRow(t *testing.T) {
	for _, kind := range kinds {
		log := sound(t, kind)
		var rows []store.RootRow
		seq := uint64(0)
		for _, r := range log {
			seq += uint64(len(r.records))
			rows = append(rows, store.RootRow{Seq: seq, Root: r.root, TimeMs: r.timeMs})
		}
		// named returns the size of the commit whose row is found wrong.
		named := func(listed []store.RootRow) uint64 {
			r := rootRows{page: listed}
			for _, row := range rows {
				if r.next(row.Seq, row.Root, row.TimeMs) != nil {
					return row.Seq
				}
			}
			return 0
		}
		if named(slices.Clone(rows)) != 0 {
			t.Fatalf("%v: undamaged rows are wrong", kind)
		}
		for i := range rows {
			for bit := range 48 * 8 {
				changed := slices.Clone(rows)
				var b [48]byte
				binary.LittleEndian.PutUint64(b[:], rows[i].Seq)
				copy(b[8:], rows[i].Root[:])
				binary.LittleEndian.PutUint64(b[40:], uint64(rows[i].TimeMs))
				b[bit/8] ^= 1 << (bit % 8)
				changed[i] = store.RootRow{Seq: binary.LittleEndian.Uint64(b[:]), Root: [32]byte(b[8:]), TimeMs: int64(binary.LittleEndian.Uint64(b[40:]))}
				if got := named(changed); got != rows[i].Seq {
					t.Errorf("%v: bit %d of the row at %d: %d is named", kind, bit, rows[i].Seq, got)
				}
			}
		}
	}
}

// TestEveryBitOfATile holds the tiles of the state of 610 entries against those of a log
// whose nodes differ from theirs in one bit.
func TestEveryBitOfATile(t *testing.T) {
	for _, kind := range kinds {
		log := soundWithTiles(t, kind)
		s := open(t, kind, log)
		if err := s.Checkpoint(derived(t, s, log)); err != nil {
			t.Fatal(err)
		}
		var blocks []merkle.Hash
		frontier := merkle.NewFrontier(kind)
		for _, r := range log {
			var leaves []merkle.Hash
			for _, b := range r.records {
				leaves = append(leaves, kind.Leaf(b))
			}
			blocks = frontier.AppendBlocks(blocks, leaves)
		}
		check := func() error {
			a := newAudit(s)
			a.tiles.AddAll(blocks)
			return a.checkTiles()
		}
		if err := check(); err != nil || len(blocks) != 2 {
			t.Fatalf("%v: undamaged, %d nodes: %v", kind, len(blocks), err)
		}
		for i := range blocks {
			for bit := range merkle.HashSize * 8 {
				blocks[i][bit/8] ^= 1 << (bit % 8)
				if check() == nil {
					t.Errorf("%v: bit %d of node %d is not noticed", kind, bit, i)
				}
				blocks[i][bit/8] ^= 1 << (bit % 8)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
