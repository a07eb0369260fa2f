package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// shipment is one batch on its way, with the lines that its entries came from.
type shipment struct {
	batch    client.Batch
	lines    []int       // of its entries
	withheld []rejection // lines that are not sent, since they were rejected before
	pending  *client.Pending
	resent   bool // a try before may have been booked
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
	atomic   bool
	idemID   [16]byte // of an atomic file; zero: none

	window  []*shipment // sent and not counted, oldest first
	free    []*shipment
	turn    int // index of the client whose turn it is
	inTurn  int // batches that it has sent
	backoff client.Backoff
	success time.Time // of the newest answer
	high    uint64    // highest sequence number counted
	sum     summary
	// seqs are the sequence numbers of what is booked, where keepSeqs asks for them.
	keepSeqs bool
	seqs     []seqRun
	reject   func(rejection) error
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

	reasons map[string]int // of the rejected ones
}

// rejection is one rejected line.
type rejection struct {
	line   int
	reason string
	detail string
	entry  wire.Entry
}

// add appends an entry.
func (sh *shipment) add(line int, e wire.Entry) error {
	sh.lines = append(sh.lines, line)
	return sh.batch.AddRaw(e)
}

// withhold notes that an entry is not sent.
func (sh *shipment) withhold(line int, e wire.Entry) {
	sh.withheld = append(sh.withheld, rejection{line, reasonBefore, detailBefore, wire.Entry(bytes.Clone(e))})
}

func newSender(clients []*client.Client, inflight int, patience time.Duration, reject func(rejection) error) *sender {
	head := clients[0].Welcome().Head
	return &sender{
		clients: clients, inflight: inflight, patience: patience, success: time.Now(), high: head.Size,
		sum:    summary{Size: head.Size, Root: merkle.Hash(head.Root).String(), reasons: make(map[string]int)},
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
	s.submit(ctx, sh)
	s.window = append(s.window, sh)
	return nil
}

// settleDownTo waits until at most n requests are under way.
func (s *sender) settleDownTo(ctx context.Context, n int) error {
	for len(s.window) > n {
		oldest := s.window[0]
		result, err := oldest.wait(ctx)
		if err != nil {
			if err := s.sendAgain(ctx, err); err != nil {
				return err
			}
			continue
		}
		if err := s.count(oldest, result); err != nil {
			return err
		}
		s.window = append(s.window[:0], s.window[1:]...)
		s.recycle(oldest)
	}
	return nil
}

func (s *sender) recycle(sh *shipment) {
	sh.batch.Reset()
	*sh = shipment{batch: sh.batch, lines: sh.lines[:0], withheld: sh.withheld[:0]}
	s.free = append(s.free, sh)
}

// sendAgain sends everything under way once more, after a pause, or gives up with
// the failure.
func (s *sender) sendAgain(ctx context.Context, failure error) error {
	refused := false // by a server that judged later requests all the same, perhaps
	for _, sh := range s.window {
		_, err := sh.wait(ctx)
		var reason *client.ReasonError
		if refused = refused || errors.As(err, &reason); err != nil && ctx.Err() != nil {
			return failure
		}
	}
	for failure != nil {
		if err := s.pause(ctx, failure); err != nil {
			return err
		}
		failure = s.clients[s.turn].Reconnect(ctx)
		if failure == nil && !refused && !s.atomic {
			failure = s.withholdJudged(ctx)
		}
	}
	for _, sh := range s.window {
		sh.resent = true
		s.submit(ctx, sh)
		s.sum.Resent++
	}
	return nil
}

// withholdJudged takes out of the window what was rejected by a try whose answer
// was lost.
func (s *sender) withholdJudged(ctx context.Context) error {
	var entries []wire.Entry
	for _, sh := range s.window {
		for _, e := range sh.batch.All() {
			entries = append(entries, e)
		}
	}
	rejected, err := judgedSince(ctx, s.clients[s.turn], entries, s.high+1)
	if err != nil {
		return err
	}
	for k, sh := range s.window {
		kept := s.blank()
		kept.withheld = append(kept.withheld, sh.withheld...)
		for i, e := range sh.batch.All() {
			if rejected[0] {
				kept.withhold(sh.lines[i], e)
			} else if err := kept.add(sh.lines[i], e); err != nil {
				return err
			}
			rejected = rejected[1:]
		}
		s.window[k] = kept
	}
	return nil
}

// pause waits before another try, or gives up with the failure.
func (s *sender) pause(ctx context.Context, failure error) error {
	retryAfter, ok := client.Retryable(failure)
	if !ok || ctx.Err() != nil || time.Since(s.success) > s.patience || s.backoff.Wait(ctx, retryAfter) != nil {
		return failure
	}
	return nil
}

// finish sends what is left and waits for all answers.
func (s *sender) finish(ctx context.Context, sh *shipment) error {
	if sh.batch.Len() > 0 {
		if err := s.send(ctx, sh); err != nil {
			return err
		}
		sh = s.blank()
	}
	if err := s.settleDownTo(ctx, 0); err != nil {
		return err
	}
	for _, r := range sh.withheld { // behind the last line that was sent
		if err := s.countRejected(r); err != nil {
			return err
		}
	}
	return nil
}

// submit sends a shipment over the connection whose turn it is.
func (s *sender) submit(ctx context.Context, sh *shipment) {
	sh.pending = nil
	if sh.batch.Len() > 0 {
		sh.batch.Atomic, sh.batch.IdemID = s.atomic, s.idemID
		sh.pending = s.clients[s.turn].Submit(ctx, &sh.batch)
	}
}

// wait waits for the answer. A shipment of which everything is withheld has none.
func (sh *shipment) wait(ctx context.Context) (*client.AppendResult, error) {
	if sh.pending == nil {
		return new(client.AppendResult), nil
	}
	return sh.pending.Wait(ctx)
}

// count counts the answer to the oldest shipment. New entries get rising sequence
// numbers in the order of the file; so a duplicate in a shipment that was sent
// again, with a number above all counted so far, was booked by a try whose answer
// was lost: it was accepted.
func (s *sender) count(sh *shipment, r *client.AppendResult) error {
	s.backoff.Reset()
	s.success = time.Now()
	withheld := sh.withheld
	for i := range sh.batch.Len() {
		for ; len(withheld) > 0 && withheld[0].line < sh.lines[i]; withheld = withheld[1:] {
			if err := s.countRejected(withheld[0]); err != nil {
				return err
			}
		}
		seq, result := r.Outcome(i)
		switch {
		case result != nil && result.Outcome == wire.OutcomeRejected:
			if err := s.countRejected(rejection{sh.lines[i], result.Reason.String(), result.Detail, sh.batch.Entry(i)}); err != nil {
				return err
			}
		case result == nil && r.Refused:
			if err := s.countRejected(sh.refusedWith(i, r)); err != nil {
				return err
			}
		case result == nil, sh.resent && seq > s.high:
			s.sum.Accepted++
			s.high = max(s.high, seq)
		default:
			s.sum.Duplicate++
		}
		s.sum.LastSeq = max(s.sum.LastSeq, seq)
		if s.keepSeqs && seq != 0 {
			s.seqs = addSeq(s.seqs, seq)
		}
	}
	for _, r := range withheld {
		if err := s.countRejected(r); err != nil {
			return err
		}
	}
	if sh.pending != nil {
		s.sum.Root, s.sum.Size = r.Root.String(), r.Size
	}
	return nil
}

// refusedWith is the rejection of a line of an atomic file that failed by others.
func (sh *shipment) refusedWith(i int, r *client.AppendResult) rejection {
	cause := r.Results[slices.IndexFunc(r.Results, func(e wire.EntryResult) bool { return e.Outcome == wire.OutcomeRejected })]
	detail := fmt.Sprintf("nothing of an atomic file is booked when one line is rejected: see line %d", sh.lines[cause.Index])
	return rejection{sh.lines[i], cause.Reason.String(), detail, sh.batch.Entry(i)}
}

func (s *sender) countRejected(r rejection) error {
	s.sum.Rejected++
	s.sum.reasons[r.reason]++
	return s.reject(r)
}

// abandon waits for what is still under way after a failure, so that what is known
// of it is counted.
func (s *sender) abandon(ctx context.Context) {
	for _, sh := range s.window {
		if result, err := sh.wait(ctx); err == nil {
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
