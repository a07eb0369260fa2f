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
// After an error the term may have ended all the same; calling it again, of the same reader, tells.
func (r *Reader) TakeOver(ctx context.Context, key note.Signer, successor [16]byte) (term uint64, err error) {
	if r.claim == [16]byte{} {
		rand.Read(r.claim[:])
	}
	for {
		end := r.last
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
			return fence.Term, nil
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
