package writers

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

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
				n, err := log.hold(r, math.MaxUint64)
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

// Cut is what a log that ends at a sequence number has of a journal.
type Cut struct {
	There   int       // entries of the journal that the log has, acknowledged or not
	Kept    int       // requests that were acknowledged before the end
	Missing []uint64  // entries that were acknowledged behind it, in order
	Oldest  time.Time // when the first of them was acknowledged
}

// HoldCut holds a log that lacks what was acknowledged behind sequence number end against a journal: all that was
// acknowledged up to it is there, and nothing of what was behind. No writer may run meanwhile.
func HoldCut(log *Log, load *Load, end uint64) (c Cut, err error) {
	for _, w := range load.writers {
		for _, r := range w.journal {
			there, err := log.hold(r, end)
			if err == nil && r.acked && there != 0 && there != len(r.nonces) {
				err = fmt.Errorf("acknowledged as %d to %d, and %d entries are there", r.seqs[0], r.seqs[len(r.seqs)-1], there)
			}
			if err != nil {
				return Cut{}, fmt.Errorf("writer %d, request %x: %w", w.number, r.nonces[0], err)
			}
			c.There += there
			switch at := r.began.Add(r.took); {
			case !r.acked:
			case there > 0:
				c.Kept++
			default:
				c.Missing = append(c.Missing, r.seqs...)
				if c.Oldest.IsZero() || at.Before(c.Oldest) {
					c.Oldest = at
				}
			}
		}
	}
	slices.Sort(c.Missing)
	return c, nil
}

// hold holds one request against the log up to sequence number end, and returns how many of its entries are there.
func (l *Log) hold(r *sent, end uint64) (there int, err error) {
	for i, nonce := range r.nonces {
		found, ok := l.entries[nonce]
		switch {
		case r.acked && r.seqs[i] > end && ok:
			return 0, fmt.Errorf("acknowledged as %d, which is said to be missing, and found as %d", r.seqs[i], found.seq)
		case r.acked && r.seqs[i] > end:
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
	if r.acked && r.size <= end && l.roots[r.size] != r.root {
		return 0, fmt.Errorf("acknowledged under root %s at %d, the log has %s", r.root, r.size, l.roots[r.size])
	}
	return there, nil
}
