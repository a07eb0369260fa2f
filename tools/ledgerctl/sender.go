package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// shipment is one batch on its way, with the lines that its entries came from.
type shipment struct {
	batch   client.Batch
	lines   []int
	pending *client.Pending
	resent  bool // a try before may have been booked
}

// sender sends batches in the order of the file and counts the answers in the same
// order, with several requests under way. With several connections each has a
// turn, and it ends when all of its requests are answered: so the order of the file
// is the order of the ledger, however many connections there are.
//
// When the oldest request fails for a reason that passes, it and all behind it are
// sent again, whatever became of those: their nonces make that safe, and what they
// were told out of order does not count.
//
// Invariant: len(window) ≤ inflight.
type sender struct {
	clients  []*client.Client
	inflight int
	patience time.Duration // how long to try again without any success

	window  []*shipment // sent and not counted, oldest first
	free    []*shipment
	turn    int // index of the client whose turn it is
	inTurn  int // batches that it has sent
	backoff client.Backoff
	success time.Time // of the newest answer
	high    uint64    // highest sequence number counted
	sum     summary
	reject  func(rejection) error
}

// summary is what became of a file. Its first members are the contract of
// append --json.
type summary struct {
	Accepted  int    `json:"accepted"`
	Duplicate int    `json:"duplicate"`
	Rejected  int    `json:"rejected"`
	LastSeq   uint64 `json:"last_seq"` // highest of an entry that was accepted or a duplicate
	Root      string `json:"root"`     // of the newest commit that covers them
	Size      uint64 `json:"size"`     // of its tree
	Resent    int    `json:"resent"`   // requests that were sent again

	reasons map[wire.Reason]int // of the rejected ones
}

// rejection is one line of --rejects.
type rejection struct {
	Line   int
	Reason wire.Reason
	Detail string
	Entry  wire.Entry
}

func newSender(clients []*client.Client, inflight int, patience time.Duration, reject func(rejection) error) *sender {
	head := clients[0].Welcome().Head
	return &sender{
		clients: clients, inflight: inflight, patience: patience, success: time.Now(), high: head.Size,
		sum:    summary{Size: head.Size, Root: merkle.Hash(head.Root).String(), reasons: make(map[wire.Reason]int)},
		reject: reject,
	}
}

// blank returns an empty shipment.
func (s *sender) blank() *shipment {
	if n := len(s.free); n > 0 {
		sh := s.free[n-1]
		s.free = s.free[:n-1]
		return sh
	}
	return new(shipment)
}

// send sends a shipment as soon as there is room for it.
func (s *sender) send(ctx context.Context, sh *shipment) error {
	room := s.inflight - 1
	if len(s.clients) > 1 && s.inTurn == s.inflight {
		room = 0 // the next connection's turn begins when this one's is answered
		s.inTurn = 0
	}
	if err := s.settleDownTo(ctx, room); err != nil {
		return err
	}
	if room == 0 && len(s.clients) > 1 {
		s.turn = (s.turn + 1) % len(s.clients)
	}
	s.inTurn++
	sh.pending = s.clients[s.turn].Submit(ctx, &sh.batch)
	s.window = append(s.window, sh)
	return nil
}

// settleDownTo waits until at most n requests are under way.
func (s *sender) settleDownTo(ctx context.Context, n int) error {
	for len(s.window) > n {
		oldest := s.window[0]
		result, err := oldest.pending.Wait(ctx)
		if err == nil {
			err = s.count(oldest, result)
			if err != nil {
				return err
			}
			s.window = append(s.window[:0], s.window[1:]...)
			oldest.batch.Reset()
			*oldest = shipment{batch: oldest.batch, lines: oldest.lines[:0]}
			s.free = append(s.free, oldest)
			continue
		}
		if err := s.sendAgain(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// sendAgain sends everything under way once more, after a pause, or gives up with
// the failure.
func (s *sender) sendAgain(ctx context.Context, failure error) error {
	for _, sh := range s.window[1:] {
		if _, err := sh.pending.Wait(ctx); err != nil && ctx.Err() != nil {
			return failure
		}
	}
	for {
		retryAfter, ok := client.Retryable(failure)
		if !ok || ctx.Err() != nil || time.Since(s.success) > s.patience {
			return failure
		}
		if s.backoff.Wait(ctx, retryAfter) != nil {
			return failure
		}
		if err := s.clients[s.turn].Reconnect(ctx); err == nil {
			break
		} else if _, ok := client.Retryable(err); !ok {
			return err
		}
	}
	for _, sh := range s.window {
		sh.resent = true
		sh.pending = s.clients[s.turn].Submit(ctx, &sh.batch)
		s.sum.Resent++
	}
	return nil
}

// count counts the answer to the oldest shipment. New entries get rising sequence
// numbers in the order of the file; so a duplicate in a shipment that was sent
// again, with a number above all counted so far, was booked by a try whose answer
// was lost: it was accepted.
func (s *sender) count(sh *shipment, r *client.AppendResult) error {
	s.backoff.Reset()
	s.success = time.Now()
	if r.Accepted+len(r.Results) != sh.batch.Len() {
		return fmt.Errorf("count answers: %d for %d entries", r.Accepted+len(r.Results), sh.batch.Len())
	}
	for i := range sh.batch.Len() {
		seq, result := r.Outcome(i)
		switch {
		case result != nil && result.Outcome == wire.OutcomeRejected:
			s.sum.Rejected++
			s.sum.reasons[result.Reason]++
			if err := s.reject(rejection{sh.lines[i], result.Reason, result.Detail, sh.batch.Entry(i)}); err != nil {
				return err
			}
		case result == nil, sh.resent && seq > s.high:
			s.sum.Accepted++
			s.high = max(s.high, seq)
		default:
			s.sum.Duplicate++
		}
		s.sum.LastSeq = max(s.sum.LastSeq, seq)
	}
	s.sum.Root, s.sum.Size = r.Root.String(), r.Size
	return nil
}

// abandon waits for what is still under way after a failure, so that what is known
// of it is counted.
func (s *sender) abandon(ctx context.Context) {
	for _, sh := range s.window {
		if result, err := sh.pending.Wait(ctx); err == nil {
			_ = s.count(sh, result) // the failure before it is the one to report
		}
	}
	s.window = nil
}

func (s *sender) close() error {
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
