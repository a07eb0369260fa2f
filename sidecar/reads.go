package sidecar

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// readFrameBytes is how long the rows of one answer frame get before the next
// one is begun.
const readFrameBytes = 48 << 10

// startRead answers a read in a goroutine of its own, so that a long answer does
// not keep the appends behind it waiting. Reads take slots like appends do.
func (ss *session) startRead(kind wire.FrameType, id uint64, payload []byte) error {
	began := time.Now()
	rights, fault := ss.authorised(capability.OpRead, began)
	if !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	if !ss.countRead() {
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonBusy, Detail: "too many reads in progress on this connection"}, busyRetryAfter)
		return nil
	}
	payload = bytes.Clone(payload) // the frame is gone when the goroutine reads it
	ss.reads.Go(func() {
		defer ss.readers.Add(-1)
		if fault := ss.answerRead(ss.ctx, kind, id, payload); !fault.OK() {
			ss.out.fail(id, fault, 0)
			return
		}
		if line := ss.log.Check(zap.DebugLevel, "read"); line != nil {
			line.Write(append(stampFields(rights), zap.Uint64("request", id), zap.Stringer("what", kind), zap.Duration("took", time.Since(began)))...)
		}
	})
	return nil
}

// maxReads is how many reads a connection may have in progress.
const maxReads = 16

func (ss *session) countRead() bool {
	if ss.readers.Add(1) > maxReads {
		ss.readers.Add(-1)
		return false
	}
	return true
}

func (ss *session) answerRead(ctx context.Context, kind wire.FrameType, id uint64, payload []byte) wire.Fault {
	switch kind {
	case wire.FrameRoots:
		return ss.answerRoots(ctx, id, payload)
	case wire.FrameEntries:
		return ss.answerEntries(ctx, id, payload)
	case wire.FrameAccount:
		return ss.answerAccount(ctx, id, payload)
	case wire.FrameProve:
		return ss.answerProve(ctx, id, payload)
	}
	return ss.answerWatch(ctx, id, payload)
}

// failed is the fault of a read that could not be carried out.
func (ss *session) failed(what string, err error) wire.Fault {
	if errors.Is(err, context.Canceled) {
		return wire.Fault{Reason: wire.ReasonDraining, Detail: "the connection or the sidecar is ending"}
	}
	ss.log.Error("a read failed", zap.String("what", what), zap.Error(err))
	return wire.Fault{Reason: wire.ReasonInternal, Detail: what + " failed: see the log of ron-ledgerd"}
}

// ask sends a read through the committer, so that it sees all that was appended
// before and nothing that is not durable.
func (ss *session) ask(r *committer.Request) wire.Fault {
	s := ss.sidecar
	done := make(chan struct{})
	r.Lane = ss.peer.UID
	r.Complete = func(*committer.Request) { close(done) }
	r.QueuedNs = s.sinceStart(time.Now())
	if reason := s.committer.Submit(r); reason != 0 {
		return wire.Fault{Reason: reason, Detail: s.refusal(reason)}
	}
	<-done
	if r.Reason != 0 && r.Reason != wire.ReasonInternal { // what it saw is never told
		return wire.Fault{Reason: r.Reason, Detail: s.refusal(r.Reason)}
	}
	if r.Reason != 0 {
		s.log.Error("a read failed", zap.Error(r.Err))
		return wire.Fault{Reason: r.Reason, Detail: "the look-up failed: see the log of ron-ledgerd"}
	}
	return wire.Fault{}
}

func (ss *session) answerRoots(ctx context.Context, id uint64, payload []byte) wire.Fault {
	var m wire.Roots
	if fault := m.Decode(payload); !fault.OK() {
		return fault
	}
	page, err := ss.sidecar.roots.Page(ctx, m.Since, int(m.Limit), time.Duration(m.WaitMs)*time.Millisecond)
	if err != nil {
		return ss.failed("reading roots", err)
	}
	answer := wire.RootsAnswer{Next: page.Next, Checkpoint: page.Checkpoint}
	for _, root := range page.Roots {
		answer.Roots = append(answer.Roots, wire.Head{Size: root.Seq, Root: root.Root, TimeMs: root.TimeMs})
	}
	ss.out.send(wire.FrameHeader{Type: wire.FrameRootsAnswer, RequestID: id}, answer.Append)
	return wire.Fault{}
}

func (ss *session) answerEntries(ctx context.Context, id uint64, payload []byte) wire.Fault {
	var m wire.EntriesRequest
	if fault := m.Decode(payload); !fault.OK() {
		return fault
	}
	s := ss.sidecar
	size := s.committer.Head().Size
	if len(m.Account) > 0 {
		find := &committer.Request{Op: committer.OpFind, Account: m.Account, Nonce: m.Nonce}
		if fault := ss.ask(find); !fault.OK() {
			return fault
		}
		m.From, m.To, size = find.First, find.First, find.Size
	}
	tail, err := s.store.Last()
	if err != nil {
		return ss.failed("reading the end of the log", err)
	}
	answer := wire.EntriesAnswer{Size: size}
	if tail.Size > 0 {
		answer.Oldest = s.roots.bodies.oldest()
	}
	if len(m.Account) > 0 && m.From > 0 && m.From < answer.Oldest { // "none" would say that it was never booked
		return wire.Fault{Reason: wire.ReasonUnknownRef, Detail: fmt.Sprintf("it is entry %d, whose body is no longer kept here, and no archive is configured", m.From)}
	}
	from, to := max(m.From, answer.Oldest), min(m.To, size)
	if m.From == 0 || from > to {
		ss.out.send(wire.FrameHeader{Type: wire.FrameEntriesAnswer, RequestID: id}, answer.Append)
		return wire.Fault{}
	}
	return ss.streamEntries(ctx, id, &m, answer, from, to)
}

// streamEntries sends the records from..to in frames of moderate length. One that was found by its identity
// has to have it: the index may name a number that another entry has got after a loss.
func (ss *session) streamEntries(ctx context.Context, id uint64, m *wire.EntriesRequest, answer wire.EntriesAnswer, from, to uint64) wire.Fault {
	for record, err := range ss.sidecar.roots.bodies.records(ctx, from, to) {
		if err == nil {
			err = ctx.Err()
		}
		if ss.failedBodies(id, err) {
			return wire.Fault{}
		}
		if err != nil {
			return ss.failed("reading entries", err)
		}
		if len(m.Account) > 0 && !isOf(record.Bytes, m.Account, m.Nonce) {
			break
		}
		if len(answer.Rows) > readFrameBytes {
			header := wire.FrameHeader{Type: wire.FrameEntriesAnswer, Flags: wire.FlagMore, RequestID: id}
			if !ss.out.send(header, answer.Append) {
				return wire.Fault{}
			}
			answer.Rows, answer.Count = answer.Rows[:0], 0
		}
		answer.Rows = wire.AppendEntriesRow(answer.Rows, wire.EntriesRow{Seq: record.Seq, TimeMs: record.TimeMs, Record: record.Bytes})
		answer.Count++
	}
	ss.out.send(wire.FrameHeader{Type: wire.FrameEntriesAnswer, RequestID: id}, answer.Append)
	return wire.Fault{}
}

func (ss *session) answerAccount(ctx context.Context, id uint64, payload []byte) wire.Fault {
	var m wire.AccountRequest
	if fault := m.Decode(payload); !fault.OK() {
		return fault
	}
	if m.Listing {
		return ss.answerListing(ctx, id, &m)
	}
	r := &committer.Request{Op: committer.OpAccount, Account: m.Name}
	if fault := ss.ask(r); !fault.OK() {
		return fault
	}
	answer := wire.AccountAnswer{Size: r.Size, Root: r.Root, Known: r.Known}
	for i := range r.Found {
		if !m.OneAsset || r.Found[i].Asset == m.Asset {
			answer.Rows = wire.AppendBalance(answer.Rows, &r.Found[i])
			answer.Count++
		}
	}
	ss.out.send(wire.FrameHeader{Type: wire.FrameAccountAnswer, RequestID: id}, answer.Append)
	return wire.Fault{}
}

// answerListing lists balances as of one checkpoint, which is made for it when
// the newest one is older than the request: a snapshot that no append disturbs.
func (ss *session) answerListing(ctx context.Context, id uint64, m *wire.AccountRequest) wire.Fault {
	if fault := ss.ask(&committer.Request{Op: committer.OpCheckpoint}); !fault.OK() {
		return fault
	}
	listing, err := ss.sidecar.store.Balances()
	if err != nil {
		return ss.failed("listing balances", err)
	}
	defer func() { _ = listing.Close() }()
	page := listingPage{session: ss, id: id, limit: m.Limit, asked: m}
	page.answer.Size, page.answer.Root = listing.Mark().Size, listing.Mark().Root
	for row, err := range listing.Rows(slices.MaxFunc([][]byte{m.After, m.Prefix}, bytes.Compare)) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return ss.failed("listing balances", err)
		}
		if len(m.Prefix) > 0 && !bytes.HasPrefix(row.Name, m.Prefix) {
			break // the rows are sorted and begin with the prefix
		}
		if bytes.Equal(row.Name, m.After) {
			continue
		}
		if !page.add(&row) {
			break
		}
	}
	ss.out.send(wire.FrameHeader{Type: wire.FrameAccountAnswer, RequestID: id}, page.answer.Append)
	return wire.Fault{}
}

// listingPage collects rows into frames.
type listingPage struct {
	session  *session
	id       uint64
	asked    *wire.AccountRequest
	limit    uint32 // accounts; 0 = all
	accounts uint32
	last     []byte
	answer   wire.AccountAnswer
}

// add takes one row and reports whether more are wanted.
func (p *listingPage) add(row *store.BalanceRow) bool {
	if p.asked.OneAsset && row.Asset != p.asked.Asset {
		return true
	}
	if !bytes.Equal(row.Name, p.last) || p.accounts == 0 {
		if p.limit > 0 && p.accounts == p.limit {
			p.answer.GoesOn = true
			return false
		}
		p.accounts++
		p.last = append(p.last[:0], row.Name...)
	}
	if len(p.answer.Rows) > readFrameBytes {
		header := wire.FrameHeader{Type: wire.FrameAccountAnswer, Flags: wire.FlagMore, RequestID: p.id}
		if !p.session.out.send(header, p.answer.Append) {
			return false
		}
		p.answer.Rows, p.answer.Count = p.answer.Rows[:0], 0
	}
	p.answer.Rows = wire.AppendBalance(p.answer.Rows, &wire.Balance{
		Account: row.Name, Asset: row.Asset, Available: wire.LoadAmount(row.Available[:]), Held: wire.LoadAmount(row.Held[:]),
	})
	p.answer.Count++
	return true
}

// answerWatch tells of each new head until the connection ends. A reader that is
// slow is told of several commits at once. A watch outlives its token as little as the
// connection does: the token has to hold each time.
func (ss *session) answerWatch(ctx context.Context, id uint64, payload []byte) wire.Fault {
	var m wire.Watch
	if fault := m.Decode(payload); !fault.OK() {
		return fault
	}
	known := m.From
	for {
		head := ss.sidecar.committer.Head()
		if head.Size > known {
			if _, fault := ss.authorised(capability.OpRead, time.Now()); !fault.OK() {
				return fault
			}
			answer := wire.WatchAnswer{First: known + 1, Head: wire.Head{Size: head.Size, Root: head.Root, TimeMs: head.TimeMs}}
			if !ss.out.send(wire.FrameHeader{Type: wire.FrameWatchAnswer, Flags: wire.FlagMore, RequestID: id}, answer.Append) {
				return wire.Fault{}
			}
			known = head.Size
		}
		select {
		case <-head.Changed():
		case <-ctx.Done():
			return wire.Fault{Reason: wire.ReasonDraining, Detail: "the watch ends with its connection"}
		}
	}
}

// status answers STATUS. A peer of the sidecar's own uid needs no token, so that
// probes need none.
func (ss *session) status(id uint64) error {
	if !ss.ownUID() {
		if _, fault := ss.authorised(capability.OpRead, time.Now()); !fault.OK() {
			ss.out.fail(id, fault, 0)
			return nil
		}
	}
	report, err := json.Marshal(ss.sidecar.Status())
	if err != nil || len(report) > math.MaxUint16*8 {
		ss.out.fail(id, ss.failed("writing the status", err), 0)
		return nil
	}
	answer := wire.StatusAnswer{JSON: report}
	ss.out.send(wire.FrameHeader{Type: wire.FrameStatusAnswer, RequestID: id}, answer.Append)
	return nil
}
