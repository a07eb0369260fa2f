package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// beginTerm begins the term in which the writer ships: an empty archive in the one that the ledger holds, where that is a
// later one; and any in one of its own, where an earlier run may have something on its way in that of the ledger.
func (w *Writer) beginTerm(ctx context.Context, size uint64) error {
	head := w.Archived()
	if head.Segments > 0 && head.Term != w.term {
		return fmt.Errorf("%s is in term %d, and this ledger holds term %d: it is an older copy of the archive; use the one that has the rest",
			w.folder.path(""), head.Term, w.term)
	}
	if w.options.Renew && !w.inOwnTerm() {
		return w.renew(ctx, size)
	}
	if head.Term == w.term {
		return nil
	}
	fence := w.fence(head, w.term)
	rand.Read(fence.claim[:])
	object, err := fence.seal(nil, w.options.Signer)
	if err == nil {
		err = w.folder.create(ctx, fence.at, object)
	}
	if taken := new(errTaken); errors.As(err, &taken) && taken.segment.Term > w.term {
		return w.fenced(taken.segment.Term, head.Size)
	}
	if err != nil {
		return err
	}
	w.advance(fence)
	return nil
}

// fence makes the fence behind a head that begins a term.
func (w *Writer) fence(head Head, term uint64) *Segment {
	return &Segment{
		LogID: w.logID, Genesis: w.options.Store.Meta().LogID, Hash: w.kind, First: head.Size + 1, Last: head.Size,
		Before: head.Root, Root: head.Root, TimeMs: head.TimeMs, Term: term, at: head.next(),
	}
}

// renew ends the writer's own term, so that nothing that it has sent there before and that arrives late is in the chain,
// and begins the next one. The claim of the fence is kept before it is sent: so it is known again by a
// run that finds it and has not kept the term yet.
func (w *Writer) renew(ctx context.Context, size uint64) error {
	if w.options.Claim == [16]byte{} {
		var claim [16]byte
		rand.Read(claim[:])
		if err := w.options.Hold(w.term, claim); err != nil { // nothing was sent with it: the next attempt has another one
			return err
		}
		w.options.Claim = claim
	}
	for !w.inOwnTerm() {
		head := w.Archived()
		fence := w.fence(head, w.term+1)
		fence.claim = w.options.Claim
		object, err := fence.seal(nil, w.options.Signer)
		if err == nil {
			err = w.folder.create(ctx, fence.at, object)
		}
		taken := new(errTaken)
		switch {
		case err == nil:
			w.advance(fence)
			err = w.hold(fence.Term)
		case errors.As(err, &taken): // by what was late, by an earlier attempt, or by who has taken over
			err = w.adopt(ctx, head.next(), size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// renewed reports whether a segment is the fence by which this ledger has ended its term.
func (w *Writer) renewed(s *Segment) bool {
	return s.fence() && s.Term == w.term+1 && s.claim == w.options.Claim && s.claim != [16]byte{} && s.Successor == [16]byte{}
}

// hold keeps a term that was begun by a fence of the writer's own. Nothing was sent in it before.
func (w *Writer) hold(term uint64) error {
	if err := w.options.Hold(term, [16]byte{}); err != nil {
		return err
	}
	w.term, w.options.Claim = term, [16]byte{}
	w.mu.Lock()
	w.own = true
	w.mu.Unlock()
	return nil
}
