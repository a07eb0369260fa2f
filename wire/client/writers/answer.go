package writers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// patience is how long a writer waits for an answer, or for the end of its connection.
func (l *Load) patience() time.Duration { return cmp.Or(l.Patience, 2*time.Minute) }

// errAnswer is what an answer comes with that no ledger may give.
var errAnswer = errors.New("a wrong answer")

// await takes the answer to a request into the journal.
func (w *writer) await(ctx context.Context, s *sent, pending *client.Pending) error {
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.load.patience())
	defer cancel()
	result, err := pending.Wait(waiting)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil && waiting.Err() != nil:
		return fmt.Errorf("%w: none within %s", errAnswer, w.load.patience())
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
	if s.began.After(w.served) {
		w.served = s.began
	}
	return nil
}

// Served waits until every writer has an acknowledgement of a request that it made after since.
func (l *Load) Served(ctx context.Context, since time.Time) error {
	const every = 2 * time.Millisecond
	for _, w := range l.writers {
		for !w.servedAfter(since) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("writer %d: no request of it is answered: %w", w.number, ctx.Err())
			case <-time.After(every):
			}
		}
	}
	return nil
}

func (w *writer) servedAfter(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.served.After(since)
}

// Count is what journals came to.
type Count struct {
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
func (l *Load) Count() (n Count, err error) {
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
