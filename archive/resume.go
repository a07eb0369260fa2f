package archive

import (
	"context"
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
	listed, err := w.folder.slots(ctx)
	if err != nil {
		return err
	}
	later, err := w.folder.checkListed(ctx, head, listed)
	if err != nil {
		return err
	}
	if head.Term > w.term {
		return w.fencedBy(ctx, head.Term)
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
	for { // by the places, since a list may not show all of it
		if err := w.adopt(ctx, w.Archived().next(), tail.Size); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
	}
	behind, err := w.folder.behind(later, w.Archived().next())
	if err != nil {
		return err
	}
	w.options.Renew = w.options.Renew || len(behind) > 0
	if w.options.Shipped != nil {
		w.options.Shipped(w.Archived().Size)
	}
	if err := w.beginTerm(ctx, tail.Size); err != nil {
		return err
	}
	now := w.Archived()
	w.made = end{now.Size, now.Root}
	return nil
}

// storedHead reads the head and notes its version.
func (w *Writer) storedHead(ctx context.Context) (*Head, error) {
	signed, version, err := w.folder.head(ctx)
	w.version, w.sync = version, false
	w.mu.Lock()
	w.lag = 0
	w.mu.Unlock()
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
func (w *Writer) adopt(ctx context.Context, at slot, size uint64) error {
	s, err := w.folder.segment(ctx, at, w.options.Verifier)
	if err != nil {
		return err
	}
	head := w.Archived()
	if err := s.follows(head.Size, head.Root, w.logID); err != nil {
		return fmt.Errorf("%s: %w", w.folder.path(at.name()), err)
	}
	if w.renewed(s) {
		w.advance(s)
		return w.hold(s.Term)
	}
	if s.Term > w.term {
		return w.fenced(s.Term, head.Size)
	}
	if s.Last > size {
		return &AheadError{Path: w.folder.path(""), Size: size, Archived: s.Last}
	}
	for c, err := range w.options.Store.Commits(s.First) {
		if err != nil {
			return err
		}
		if c.First > s.Last {
			break
		}
		if err := w.grow(&w.frontier, c); err != nil {
			return err
		}
	}
	if here := w.frontier.Root(); w.frontier.Size() != s.Last || here != s.Root {
		return &AheadError{Path: w.folder.path(at.name()), Size: size, Archived: s.Last, Root: s.Root, Here: here}
	}
	w.advance(s)
	return nil
}

// advance takes a segment that is in the archive as its end.
func (w *Writer) advance(s *Segment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head = w.head.with(s)
	w.lag++
	if w.options.Shipped != nil {
		w.options.Shipped(s.Last)
	}
}
