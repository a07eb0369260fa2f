package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"

	"github.com/rustyonions/ron-ledger/store"
)

// open finds out what the archive holds and compares it with the log.
func (w *Writer) open(ctx context.Context, tail store.Tail) error {
	if err := w.folder.objects.Prepare(ctx, w.folder.name); err != nil {
		return err
	}
	head, err := w.storedHead(ctx)
	if err != nil {
		return err
	}
	chain, err := w.folder.slots(ctx)
	if err != nil {
		return err
	}
	later, err := w.folder.checkListed(ctx, head, chain)
	if err != nil {
		return err
	}
	if head.Term > w.options.Term {
		return w.fenced(head.Term, endOf(chain, w.options.Term))
	}
	if err := w.compare(head, tail); err != nil {
		return err
	}
	if tail.First > head.Size+1 {
		return fmt.Errorf("%s ends at %d, and the log begins at %d: the entries between are in neither; use the archive that has them",
			w.folder.path(""), head.Size, tail.First)
	}
	w.mu.Lock()
	w.head = *head
	w.mu.Unlock()
	for _, at := range later {
		if err := w.adopt(ctx, at, tail); err != nil {
			return err
		}
	}
	for { // what the list did not show
		if err := w.adopt(ctx, w.Archived().next(), tail); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	if w.options.Shipped != nil {
		w.options.Shipped(w.Archived().Size)
	}
	return w.beginTerm(ctx)
}

// beginTerm begins an empty archive in the term that the ledger holds, where that is a later one.
func (w *Writer) beginTerm(ctx context.Context) error {
	head := w.Archived()
	if head.Term == w.options.Term {
		return nil
	}
	if head.Segments > 0 {
		return fmt.Errorf("%s is in term %d, and this ledger holds term %d: it is an older copy of the archive; use the one that has the rest",
			w.folder.path(""), head.Term, w.options.Term)
	}
	fence := &Segment{
		LogID: w.logID, Genesis: w.options.Store.Meta().LogID, Hash: w.kind, First: 1, Before: head.Root, Root: head.Root,
		Term: w.options.Term, at: head.next(),
	}
	rand.Read(fence.claim[:])
	return w.put(ctx, fence, nil)
}

// storedHead reads the head and notes its version.
func (w *Writer) storedHead(ctx context.Context) (*Head, error) {
	signed, version, err := w.folder.head(ctx)
	w.version, w.lag, w.sync = version, 0, false
	if err == nil && signed == nil {
		return &Head{Origin: w.options.Signer.Name(), Root: w.kind.Empty(), Term: firstTerm, LastTerm: firstTerm}, nil
	}
	var head *Head
	if err == nil {
		head, err = openHead(signed, w.options.Verifier)
	}
	if err == nil {
		w.sync = head.Sync
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: the segments tell the same, so that it is made again when it is taken away", w.folder.path(headName), err)
	}
	return head, nil
}

// compare holds the archive's size and root against the log, and takes its frontier.
func (w *Writer) compare(head *Head, tail store.Tail) error {
	if head.Size > tail.Size {
		return &AheadError{Path: w.folder.path(""), Size: tail.Size, Archived: head.Size}
	}
	frontier, err := w.options.FrontierAt(head.Size)
	if err != nil {
		return fmt.Errorf("compute the root at size %d: %w", head.Size, err)
	}
	if root := frontier.Root(); root != head.Root {
		return &AheadError{Path: w.folder.path(""), Size: tail.Size, Archived: head.Size, Root: head.Root, Here: root}
	}
	w.frontier = frontier
	return nil
}

// adopt takes a segment that the head does not know yet: what was written when a process ended
// before it could replace the head, or before it knew that the segment is there.
func (w *Writer) adopt(ctx context.Context, at slot, tail store.Tail) error {
	s, err := w.folder.segment(ctx, at, w.options.Verifier)
	if err != nil {
		return err
	}
	head := w.Archived()
	if err := s.follows(head.Size, head.Root, w.logID); err != nil {
		return fmt.Errorf("%s: %w", w.folder.path(at.name()), err)
	}
	if s.Term > w.options.Term {
		return w.fenced(s.Term, head.Size)
	}
	if s.Last > tail.Size {
		return &AheadError{Path: w.folder.path(""), Size: tail.Size, Archived: s.Last}
	}
	for c, err := range w.options.Store.Commits(s.First) {
		if err != nil {
			return err
		}
		if c.First > s.Last {
			break
		}
		if err := w.grow(c); err != nil {
			return err
		}
	}
	if here := w.frontier.Root(); w.frontier.Size() != s.Last || here != s.Root {
		return &AheadError{Path: w.folder.path(at.name()), Size: tail.Size, Archived: s.Last, Root: s.Root, Here: here}
	}
	w.advance(s)
	return nil
}
