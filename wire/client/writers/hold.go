package writers

import (
	"bytes"
	"fmt"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// Log is what a ledger has: its entries by nonce, which no two of all writers share, and its roots by size.
type Log struct {
	entries map[wire.Nonce]logged
	roots   map[uint64]merkle.Hash
}

type logged struct {
	seq   uint64
	entry wire.Entry
}

// NewLog returns an empty one.
func NewLog() *Log {
	return &Log{entries: map[wire.Nonce]logged{}, roots: map[uint64]merkle.Hash{}}
}

// Add takes the entry at a sequence number. A nonce that is there already is an error.
func (l *Log) Add(seq uint64, entry wire.Entry) error {
	nonce := entry.Nonce()
	if before, twice := l.entries[nonce]; twice {
		return fmt.Errorf("the nonce %s is there twice, as %d and as %d", nonce, before.seq, seq)
	}
	l.entries[nonce] = logged{seq, bytes.Clone(entry)}
	return nil
}

// Root takes the root of a commit that ends at size.
func (l *Log) Root(size uint64, root merkle.Hash) { l.roots[size] = root }

// Len counts the entries.
func (l *Log) Len() int { return len(l.entries) }

// Hold holds a log against the journals of all who wrote to it, and returns the first difference. No writer
// may run meanwhile.
func Hold(log *Log, loads ...*Load) error {
	known := 0
	for _, load := range loads {
		if _, err := load.Count(); err != nil {
			return err
		}
		for _, w := range load.writers {
			for _, r := range w.journal {
				n, err := log.hold(r)
				if err != nil {
					return fmt.Errorf("writer %d, request %x: %w", w.number, r.nonces[0], err)
				}
				known += n
			}
		}
	}
	if known != len(log.entries) {
		return fmt.Errorf("%d entries of the log were sent by nobody", len(log.entries)-known)
	}
	return nil
}

// HoldBefore holds a log that may lack what was acknowledged from sequence number end on against a journal.
// It returns how many requests were acknowledged before it, and how many behind it. No writer may run
// meanwhile.
func HoldBefore(log *Log, load *Load, end uint64) (before, behind int, err error) {
	for _, w := range load.writers {
		for _, r := range w.journal {
			switch {
			case !r.acked:
			case r.seqs[len(r.seqs)-1] >= end:
				behind++
			default:
				if _, err := log.hold(r); err != nil {
					return 0, 0, fmt.Errorf("writer %d, request %x: %w", w.number, r.nonces[0], err)
				}
				before++
			}
		}
	}
	return before, behind, nil
}

// hold holds one request against the log and returns how many of its entries are there.
func (l *Log) hold(r *sent) (there int, err error) {
	for i, nonce := range r.nonces {
		found, ok := l.entries[nonce]
		switch {
		case r.acked && !ok:
			return 0, fmt.Errorf("acknowledged as %d and lost: the log has %d entries", r.seqs[i], len(l.entries))
		case r.acked && found.seq != r.seqs[i]:
			return 0, fmt.Errorf("acknowledged as %d, found as %d", r.seqs[i], found.seq)
		case ok && !bytes.Equal(found.entry, r.batch.Entry(i)):
			return 0, fmt.Errorf("entry %d is other bytes than were sent", found.seq)
		case ok && r.tries == 0:
			return 0, fmt.Errorf("entry %d was never sent", found.seq)
		case ok:
			there++
		}
	}
	if there != 0 && there != len(r.nonces) && r.batch.Atomic {
		return 0, fmt.Errorf("%d of %d entries of an atomic request are there", there, len(r.nonces))
	}
	if r.acked && l.roots[r.size] != r.root {
		return 0, fmt.Errorf("acknowledged under root %s at %d, the log has %s", r.root, r.size, l.roots[r.size])
	}
	return there, nil
}
