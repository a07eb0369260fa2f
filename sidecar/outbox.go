package sidecar

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/wire"
)

// outboxBytes is how many bytes of answers may wait for a connection, plus one
// frame; whoever has more waits.
const outboxBytes = 256 << 10

// outbox takes the answers of a connection from everyone who has one and writes
// them, many with one system call. Finished appends are queued as they are and
// encoded by the writer, so that the committer's publisher only has to append a
// pointer. A peer that does not read is cut off after uds.write_timeout; its
// commits stand.
type outbox struct {
	session *session

	mu     sync.Mutex
	done   []*request // finished appends, to be encoded
	raw    []byte     // encoded frames
	room   sync.Cond  // raw was taken
	closed bool       // nothing more will come
	dead   bool       // the peer is gone: answers go nowhere
	wake   chan struct{}
}

func newOutbox(ss *session) *outbox {
	o := &outbox{session: ss, wake: make(chan struct{}, 1)}
	o.room.L = &o.mu
	return o
}

// finished queues the answer of an append. It never blocks.
func (o *outbox) finished(r *request) {
	o.mu.Lock()
	o.done = append(o.done, r)
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// send queues one frame whose payload fill appends. It waits while too much is
// queued already, so that a peer that asks and does not read holds up its own
// reader, and reports false once the peer is gone. The committer's publisher MUST
// NOT call it.
func (o *outbox) send(header wire.FrameHeader, fill func(dst []byte) []byte) bool {
	o.mu.Lock()
	for len(o.raw) > outboxBytes && !o.dead {
		o.room.Wait()
	}
	alive := !o.dead
	if alive {
		o.raw = appendFrame(o.raw, header, fill)
	}
	o.mu.Unlock()
	o.signal()
	return alive
}

// fail queues an ERROR.
func (o *outbox) fail(id uint64, fault wire.Fault, retryAfter time.Duration) {
	o.session.sidecar.metrics.rejected(fault.Reason, 1)
	if line := o.session.log.Check(zap.DebugLevel, "refused"); line != nil {
		line.Write(append(o.session.stamp(), zap.Uint64("request", id), zap.Stringer("reason", fault.Reason), zap.String("detail", fault.Detail))...)
	}
	e := wire.ErrorMessage{
		Reason: fault.Reason, Offset: uint32(max(fault.Offset, 0)), Detail: fault.Detail,
		RetryAfterMs: uint32(retryAfter.Milliseconds()),
	}
	o.send(wire.FrameHeader{Type: wire.FrameError, RequestID: id}, e.Append)
}

func appendFrame(dst []byte, header wire.FrameHeader, fill func([]byte) []byte) []byte {
	start := len(dst)
	dst = wire.AppendFrameHeader(dst, header)
	dst = fill(dst)
	wire.FinishFrame(dst, start)
	return dst
}

// close ends run once everything queued is written.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
}

// abandon throws away what is queued and what is still to come.
func (o *outbox) abandon() {
	o.mu.Lock()
	o.dead = true
	o.mu.Unlock()
	o.room.Broadcast()
	o.signal()
}

// run writes until close.
func (o *outbox) run() {
	var done []*request
	var buf []byte
	for range o.wake {
		o.mu.Lock()
		done, o.done = o.done, done[:0]
		buf, o.raw = o.raw, buf[:0]
		closed, dead := o.closed, o.dead
		o.mu.Unlock()
		o.room.Broadcast()
		for _, r := range done {
			if r.Reason != 0 { // it is durable here, and whether it counts is not known: no answer says that
				o.session.log.Info("a request was turned down that waited for the archive: connection given up", zap.Stringer("reason", r.Reason))
				o.giveUp()
				dead = true
			}
			buf = o.encode(buf, r)
		}
		clear(done)
		if len(buf) > 0 && !dead {
			o.write(buf)
		}
		if cap(buf) > 4*outboxBytes {
			buf = nil // one long answer does not keep its memory
		}
		if closed {
			return
		}
	}
}

// write writes all of buf within the write timeout, or gives the peer up.
func (o *outbox) write(buf []byte) {
	ss := o.session
	err := ss.conn.SetWriteDeadline(time.Now().Add(ss.sidecar.live().UDS.WriteTimeout.Duration()))
	if err == nil {
		_, err = ss.conn.Write(buf)
	}
	if err == nil {
		return
	}
	ss.log.Info("answers could not be written: connection given up", zap.Error(err))
	o.giveUp()
}

// giveUp ends the connection without another answer.
func (o *outbox) giveUp() {
	o.abandon()
	_ = o.session.conn.Close() // ends the reader, which a deadline might not: it sets its own
}

// encode appends the answer of a finished append and sets its request free.
func (o *outbox) encode(buf []byte, r *request) []byte {
	if r.Err != nil {
		o.session.log.Error("a request could not be decided", zap.Error(r.Err), zap.Uint64("request", r.id))
	}
	if line := o.session.log.Check(zap.DebugLevel, "answered"); line != nil {
		line.Write(answerFields(r)...)
	}
	buf = o.encodeAppended(buf, r)
	r.free()
	return buf
}

func (o *outbox) encodeAppended(buf []byte, r *request) []byte {
	if len(r.Results) > 0 {
		slices.SortStableFunc(r.Results, func(a, b wire.EntryResult) int { return int(a.Index) - int(b.Index) })
		for i := range r.Results {
			o.session.sidecar.metrics.rejected(r.Results[i].Reason, 1)
		}
	}
	answer := wire.Appended{
		First: r.First, Last: r.Last, Size: r.Size, Root: r.Root, Accepted: r.Accepted,
		Results: r.Results, Balances: r.Found,
	}
	start := len(buf)
	buf = wire.AppendFrameHeader(buf, wire.FrameHeader{Type: wire.FrameAppended, RequestID: r.id})
	buf = wire.AppendAppended(buf, &answer)
	wire.FinishFrame(buf, start)
	return buf
}
