package sidecar

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/store"
)

// check asks for the evidence that SameEpoch takes.
func (o *RestoreOptions) check(from *copied) error {
	if !o.SameEpoch {
		return nil
	}
	newest := o.Newest
	if o.OldHome != "" {
		old, err := LogIDOf(o.OldHome)
		if err != nil {
			return fmt.Errorf("read the old home: %w", err)
		}
		head, err := store.ReadHead(o.OldHome)
		switch {
		case err != nil:
			return fmt.Errorf("read the old home: %w", err)
		case !head.Known:
			return fmt.Errorf("the head file of %s is missing or damaged: it does not say how far the ledger got", o.OldHome)
		case old != from.logID:
			return fmt.Errorf("%s has log id %x, the copy %x", o.OldHome, old, from.logID)
		case head.Seq == from.signed.Size && merkle.Hash(head.Root) != from.signed.Root:
			return fmt.Errorf("the head file of %s knows another root at size %d: it is another log", o.OldHome, head.Seq)
		}
		newest = max(newest, head.Seq)
	}
	switch {
	case newest == 0:
		return errors.New("to go on in the same epoch takes evidence that nothing behind the copy was acknowledged: " +
			"say the highest sequence number that anybody holds an answer for with --newest, or name the old home with --old-home; or begin a new epoch")
	case newest > from.signed.Size:
		return fmt.Errorf("the copy ends at %d, and %d was acknowledged: entries %d to %d are missing in it, so it cannot go on in the same epoch",
			from.signed.Size, newest, from.signed.Size+1, newest)
	}
	return nil
}

// checkNodeKey asks, in the same epoch, for the key that its readers know.
func (o *RestoreOptions) checkNodeKey(h *home, from *copied) error {
	if !o.SameEpoch {
		return nil
	}
	text, err := peercred.ReadPrivate(h.path(nodeKeyFile), secretBytesMax)
	if err != nil {
		return err
	}
	key, err := parseNodeKey(text)
	if err != nil {
		return err
	}
	verifier, err := merkle.NewVerifier(from.signed.Origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	if _, err := note.Open(from.note, note.VerifierList(verifier)); err != nil {
		return fmt.Errorf("the same epoch is signed with the same node key: name it with --node-key: %w", err)
	}
	return nil
}
