package archive

import (
	"context"
	"fmt"
)

// FencedError says that another sidecar has taken the ledger over: nothing of it may be booked here
// any more.
type FencedError struct {
	Path      string
	Term, Now uint64 // that the ledger holds here, and that in force
	Ended     uint64 // size of the log at the end of Term: the ledger goes on behind it
	Size      uint64 // of the log here
}

func (e *FencedError) Error() string {
	return fmt.Sprintf("%s: another sidecar has taken this ledger over in term %d, and this one holds term %d: "+
		"nothing that is booked here would count; %s; stop this sidecar, and keep its home until the other is verified",
		e.Path, e.Now, e.Term, e.alone())
}

// alone says which entries the ledger that goes on does not have.
func (e *FencedError) alone() string {
	if e.Size <= e.Ended {
		return fmt.Sprintf("it goes on behind entry %d, and has all that is here", e.Ended)
	}
	return fmt.Sprintf("it goes on behind entry %d: entries %d to %d are here alone, and what of them was acknowledged is missing there "+
		"(nothing, with archive.mode = sync)", e.Ended, e.Ended+1, e.Size)
}

func (w *Writer) fenced(now, ended uint64) error {
	e := &FencedError{Path: w.folder.path(""), Term: w.term, Now: now, Ended: ended}
	tail, err := w.options.Store.Last()
	if err != nil {
		return fmt.Errorf("%w (how far the log here reaches cannot be read: %w)", e, err)
	}
	e.Size = tail.Size
	return e
}

// fencedBy is fenced where no more is known than that a higher term is in force.
func (w *Writer) fencedBy(ctx context.Context, now uint64) error {
	r := &Reader{folder: w.folder, key: w.options.Verifier}
	if err := r.open(ctx, w.logID); err != nil {
		return err
	}
	return w.fenced(now, endOf(r.slots, w.term))
}

// endOf returns the size of the log at the end of a term that has ended. What is last in a chain whose
// places are all of that term is the fence.
func endOf(chain []slot, term uint64) (size uint64) {
	for _, at := range chain {
		if size = at.first - 1; at.term > term {
			break
		}
	}
	return size
}
