package sidecartest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	verifier "github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// CheckLedger audits the whole of a store from its log alone: the records are in
// order, well formed and each identity is there once; every root is recomputed; the
// money is counted again entry by entry, never below zero, and at the end of every
// request Σ(available + held) = supply for every asset; and all that is derived, at
// the mark, is what the log gives: balances, supplies, accounts, identities, holds,
// reversals, requests, roots, tiles and frontier. It returns the first difference.
// What this audit passes, the one of ledgerctl verify has to pass as well: neither
// shares its books with the other.
//
// Nothing may be appended or checkpointed meanwhile. A store that was pruned cannot
// be audited. It keeps every identity in memory: some 200 bytes for each entry.
func CheckLedger(s *store.Store) error {
	a := newAudit(s)
	tail, err := s.Last()
	if err != nil {
		return fmt.Errorf("check the ledger: %w", err)
	}
	if tail.First > 1 {
		return fmt.Errorf("check the ledger: the log begins at %d: a pruned ledger cannot be counted again", tail.First)
	}
	if err := a.run(tail); err != nil {
		return fmt.Errorf("check the ledger: %w", err)
	}
	if _, err := verifier.Verify(context.Background(), s, nil); err != nil {
		return fmt.Errorf("check the ledger: ledgerctl verify would find what this audit does not: %w", err)
	}
	return nil
}

// audit is what the log gives, up to the record that was read last.
type audit struct {
	store    *store.Store
	kind     merkle.HashKind
	mark     store.Mark
	frontier merkle.Frontier
	books    *books
	tiles    tileTree
	timeMs   int64
	roots    []store.RootRow
	requests map[[16]byte]store.RequestRow
}

func newAudit(s *store.Store) *audit {
	kind := merkle.HashKind(s.Meta().Hash)
	a := &audit{
		store: s, kind: kind, mark: s.Mark(), frontier: merkle.NewFrontier(kind), books: newBooks(),
		tiles: tileTree{kind: kind}, requests: map[[16]byte]store.RequestRow{},
	}
	a.books.logID = s.Meta().LogID
	return a
}

func (a *audit) run(tail store.Tail) error {
	for commit, err := range a.store.Commits(1) {
		if err != nil {
			return err
		}
		if err := a.commit(commit); err != nil {
			return fmt.Errorf("commit %d..%d: %w", commit.First, commit.Last(), err)
		}
		if commit.Last() == a.mark.Size {
			if err := a.state(); err != nil {
				return fmt.Errorf("derived state at %d: %w", a.mark.Size, err)
			}
		}
	}
	size := a.frontier.Size()
	switch {
	case size != tail.Size:
		return fmt.Errorf("the log has %d records and says that it has %d", size, tail.Size)
	case size > 0 && a.frontier.Root() != tail.Root:
		return errors.New("the root at its end is not the newest root")
	case a.mark.Size > size:
		return fmt.Errorf("the mark is at %d, beyond the end of the log at %d", a.mark.Size, size)
	}
	if head := a.store.Head(); head.Known && head.Seq > size {
		return fmt.Errorf("the head file knows of %d records, the log has %d", head.Seq, size)
	}
	return nil
}

// commit counts one commit and recomputes its root.
func (a *audit) commit(c *store.Commit) error {
	if c.First != a.frontier.Size()+1 {
		return fmt.Errorf("it does not follow on %d", a.frontier.Size())
	}
	if c.TimeMs < a.timeMs {
		return fmt.Errorf("its time %d is before that of the commit before, %d", c.TimeMs, a.timeMs)
	}
	a.timeMs = c.TimeMs
	groups := c.Groups
	start := uint32(0)
	for i, end := range c.Ends {
		seq := c.First + uint64(i)
		if len(groups) > 0 && groups[0].First == seq {
			a.books.begin(seq + uint64(groups[0].Count) - 1)
			if err := a.request(&groups[0], c.Last()); err != nil {
				return err
			}
			groups = groups[1:]
		}
		if err := a.record(seq, c.Records[start:end]); err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		start = end
	}
	if len(groups) > 0 {
		return fmt.Errorf("an atomic request begins at %d, which is not in it", groups[0].First)
	}
	root := a.frontier.Root()
	if root != c.Root {
		return fmt.Errorf("its root is %x, its records give %s", c.Root, root)
	}
	a.roots = append(a.roots, store.RootRow{Seq: c.Last(), Root: c.Root, TimeMs: c.TimeMs})
	return nil
}

func (a *audit) request(g *store.Group, last uint64) error {
	if g.Count == 0 || g.First+uint64(g.Count)-1 > last {
		return fmt.Errorf("the atomic request at %d has %d entries", g.First, g.Count)
	}
	if g.IdemID == [16]byte{} {
		return nil
	}
	if before, known := a.requests[g.IdemID]; known {
		return fmt.Errorf("idem_id %x at %d was used at %d", g.IdemID, g.First, before.First)
	}
	a.requests[g.IdemID] = store.RequestRow{IdemID: g.IdemID, First: g.First, Count: g.Count}
	return nil
}

func (a *audit) record(seq uint64, b []byte) error {
	record, fault := wire.NextRecord(b)
	if !fault.OK() {
		return fault
	}
	if len(record) != len(b) {
		return fmt.Errorf("%d bytes follow it", len(b)-len(record))
	}
	if seq%64 == 1 {
		if got, err := a.store.Record(seq, nil); err != nil || !bytes.Equal(got, b) {
			return fmt.Errorf("read on its own it is another: %w", errors.Join(err, errDiffers))
		}
	}
	if e := record.Entry(); e.Kind() == wire.KindEpoch {
		if said := e.Epoch(); said.Cut != seq-1 || said.Root != a.frontier.Root() {
			return fmt.Errorf("the Epoch names size %d and root %x, the tree before it has root %s", said.Cut, said.Root, a.frontier.Root())
		}
	}
	leaf := a.kind.Leaf(b)
	a.frontier.Add(leaf)
	a.tiles.add(leaf)
	return a.books.book(seq, record.Entry())
}

var errDiffers = errors.New("the bytes differ")
