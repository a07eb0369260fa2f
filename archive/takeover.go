package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// TakeOver ends the term in force, behind the newest segment, and returns the next one: from there on
// no other writer can ship anything. What the writer before has shipped since r was opened is read;
// Commits has it. Nobody may write in the new term but who called this. successor is the log id under
// which the ledger goes on where it begins a new epoch, and zero where it does not.
//
// Head().Sync is what the stored head says behind the fence. Where its writer has left sync meanwhile and no successor was
// named, call it once more with one.
//
// After an error the term may have ended all the same; calling it again, of the same reader, tells.
func (r *Reader) TakeOver(ctx context.Context, key note.Signer, successor [16]byte) (term uint64, err error) {
	if r.claim == [16]byte{} {
		rand.Read(r.claim[:])
	}
	for {
		end := r.last
		if end.fence() && end.claim == r.claim && end.Successor == successor { // of an attempt that went wrong behind it
			return r.tookOver(ctx, end)
		}
		fence := &Segment{
			LogID: end.LogID, Genesis: end.Genesis, Hash: end.Hash, First: end.Last + 1, Last: end.Last,
			Before: end.Root, Root: end.Root, TimeMs: end.TimeMs, Term: end.Term + 1, Successor: successor, claim: r.claim, at: end.next(),
		}
		object, err := fence.seal(nil, key)
		if err == nil {
			err = r.folder.create(ctx, fence.at, object)
		}
		if err == nil {
			r.advance(fence)
			return r.tookOver(ctx, fence)
		}
		if taken := new(errTaken); !errors.As(err, &taken) {
			return 0, fmt.Errorf("take the archive over: %w", err)
		}
		if err := r.follow(ctx); err != nil {
			return 0, fmt.Errorf("take the archive over: %w", err)
		}
		if r.last == end {
			return 0, fmt.Errorf("take the archive over: %w", err)
		}
	}
}

// tookOver returns the term that a fence of r's own begins, once it is known what the old writer's mode was.
func (r *Reader) tookOver(ctx context.Context, fence *Segment) (term uint64, err error) {
	if err := r.readMode(ctx); err != nil {
		return 0, fmt.Errorf("take the archive over: %w", err)
	}
	return fence.Term, nil
}

// readMode takes the mode from the stored head. A writer that leaves sync stores its head first and then looks for a fence
// (Writer.Confirm): so it has seen the fence and does not serve, or what it has stored is seen here.
func (r *Reader) readMode(ctx context.Context) error {
	signed, _, err := r.folder.head(ctx)
	if err != nil {
		return err
	}
	head := new(Head) // where none is, nobody says that nothing is missing
	if signed != nil {
		if head, err = openHead(signed, r.key); err != nil {
			return fmt.Errorf("%s: %w", r.folder.path(headName), err)
		}
	}
	r.head.Sync = head.Sync
	return nil
}
