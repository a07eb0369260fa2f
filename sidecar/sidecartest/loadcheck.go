package sidecartest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// answerTimeout is how long a writer waits for an answer, or for the end of its connection.
const answerTimeout = 2 * time.Minute

// errAnswer is what an answer comes with that no ledger may give.
var errAnswer = errors.New("a wrong answer")

// await takes the answer to a request into the journal.
func (w *writer) await(ctx context.Context, s *sent, pending *client.Pending) error {
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	result, err := pending.Wait(waiting)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: none within %s", errAnswer, answerTimeout)
	case err != nil:
		refused := new(client.ReasonError)
		s.refused = s.refused || errors.As(err, &refused)
		return err
	}
	n := s.batch.Len()
	for i := range n {
		seq, outcome := result.Outcome(i)
		switch {
		case seq == 0 || outcome != nil && outcome.Outcome != wire.OutcomeDuplicate:
			return fmt.Errorf("%w: entry %d of request %x is not booked: %+v", errAnswer, i, s.nonces[0], outcome)
		case outcome != nil && s.tries == 1:
			return fmt.Errorf("%w: entry %d of request %x was sent once and is a duplicate of %d", errAnswer, i, s.nonces[0], seq)
		case seq > result.Size:
			return fmt.Errorf("%w: entry %d of request %x is said to be %d in a tree of %d", errAnswer, i, s.nonces[0], seq, result.Size)
		}
		s.seqs = append(s.seqs, seq)
	}
	s.acked, s.size, s.root, s.took = true, result.Size, result.Root, time.Since(s.began)
	return nil
}

// LoadCount is what a journal came to.
type LoadCount struct {
	Acked      int // requests
	Entries    int // of them
	Unresolved int
	Resent     int // acknowledged after more than one try
	Broken     int // connections that were lost
	Refused    map[wire.Reason]int
	Slowest    time.Duration
	P99        time.Duration
}

// Count adds up the journals. Its error is what a writer was told and should not have been.
func (l *Load) Count() (n LoadCount, err error) {
	n.Refused = map[wire.Reason]int{}
	var took []time.Duration
	for _, w := range l.writers {
		w.mu.Lock()
		if w.err != nil && err == nil {
			err = fmt.Errorf("writer %d: %w", w.number, w.err)
		}
		n.Broken += w.broken
		for reason, count := range w.refused {
			n.Refused[reason] += count
		}
		for _, s := range w.journal {
			if !s.acked {
				n.Unresolved++
				continue
			}
			n.Acked++
			n.Entries += len(s.seqs)
			if s.tries > 1 {
				n.Resent++
			}
			took = append(took, s.took)
		}
		w.mu.Unlock()
	}
	if len(took) > 0 {
		slices.Sort(took)
		n.Slowest, n.P99 = took[len(took)-1], took[len(took)*99/100]
	}
	return n, err
}

// Check holds a store against the journals: it passes CheckLedger, every entry that was
// acknowledged is there at its number, byte by byte, under the root that the answer named; of
// the others an atomic request is there whole or not at all; and nothing is there that nobody sent.
// No writer may run meanwhile.
func (l *Load) Check(s *store.Store) error {
	if _, err := l.Count(); err != nil {
		return err
	}
	if err := CheckLedger(s); err != nil {
		return err
	}
	found, err := readNonces(s)
	if err != nil {
		return err
	}
	known := 0
	for _, w := range l.writers {
		for _, r := range w.journal {
			n, err := found.hold(r)
			if err != nil {
				return fmt.Errorf("writer %d, request %x: %w", w.number, r.nonces[0], err)
			}
			known += n
		}
	}
	if known != len(found.seqs) {
		return fmt.Errorf("%d entries of the log were sent by nobody", len(found.seqs)-known)
	}
	return nil
}

// contents are the entries of a log by nonce, and its roots by size.
type contents struct {
	seqs    map[wire.Nonce]uint64
	entries map[wire.Nonce][]byte
	roots   map[uint64]merkle.Hash
}

func readNonces(s *store.Store) (*contents, error) {
	c := &contents{seqs: map[wire.Nonce]uint64{}, entries: map[wire.Nonce][]byte{}, roots: map[uint64]merkle.Hash{}}
	for commit, err := range s.Commits(1) {
		if err != nil {
			return nil, err
		}
		start := uint32(0)
		for i, end := range commit.Ends {
			entry := wire.Record(commit.Records[start:end]).Entry()
			start = end
			if _, twice := c.seqs[entry.Nonce()]; twice {
				return nil, fmt.Errorf("the nonce %s is there twice", entry.Nonce())
			}
			c.seqs[entry.Nonce()] = commit.First + uint64(i)
			c.entries[entry.Nonce()] = bytes.Clone(entry)
		}
		c.roots[commit.Last()] = commit.Root
	}
	return c, nil
}

// hold holds one request against the log and returns how many of its entries are there.
func (c *contents) hold(r *sent) (there int, err error) {
	for i, nonce := range r.nonces {
		seq, ok := c.seqs[nonce]
		switch {
		case r.acked && !ok:
			return 0, fmt.Errorf("acknowledged as %d and lost: the log has %d entries", r.seqs[i], len(c.seqs))
		case r.acked && seq != r.seqs[i]:
			return 0, fmt.Errorf("acknowledged as %d, found as %d", r.seqs[i], seq)
		case ok && !bytes.Equal(c.entries[nonce], r.batch.Entry(i)):
			return 0, fmt.Errorf("entry %d is other bytes than were sent", seq)
		case ok && r.tries == 0:
			return 0, fmt.Errorf("entry %d was never sent", seq)
		case ok:
			there++
		}
	}
	if there != 0 && there != len(r.nonces) && r.batch.Atomic {
		return 0, fmt.Errorf("%d of %d entries of an atomic request are there", there, len(r.nonces))
	}
	if r.acked && c.roots[r.size] != r.root {
		return 0, fmt.Errorf("acknowledged under root %s at %d, the log has %s", r.root, r.size, c.roots[r.size])
	}
	return there, nil
}

// CheckLoad opens the home of a ledger that has ended, as it lies there, and holds it against the
// journals of the load.
func CheckLoad(t testing.TB, l *Load, home string) {
	t.Helper()
	if err := openAndCheck(l, home); err != nil {
		t.Fatalf("check %s: %v", home, err)
	}
}

func openAndCheck(l *Load, home string) error {
	s, err := store.Open(store.Options{Dir: home})
	if err != nil {
		return err
	}
	return errors.Join(l.Check(s), s.Close())
}
