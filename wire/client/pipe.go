package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// queueBytes is how many bytes may wait for the writer before Submit waits too.
const queueBytes = 4 << 20

// keepBytes is how much memory the writer keeps between two bursts.
const keepBytes = 1 << 20

// defaultInflight bounds requests where the server names no limit.
const defaultInflight = 64

// lastWords is how long a server that takes no more bytes has to say why.
const lastWords = time.Second

// receiver takes the answer of one request. Its methods run on the reader's
// goroutine; the last of them is called once.
type receiver interface {
	// receive takes a frame; payload is valid during the call. An error means
	// that the server broke the protocol.
	receive(header wire.FrameHeader, payload []byte) error

	// refused takes the ERROR that answers the request.
	refused(err error)

	// lost says that no answer will come. maybeSent is false when the server
	// cannot have seen the request.
	lost(err error, maybeSent bool)
}

// call is a request without an answer yet.
type call struct {
	to  receiver
	end uint64 // the number of bytes queued on this connection, its frame included
}

// pipe is one connection with requests under way. The writer sends whatever has
// queued up since its last system call in one; the reader hands answers to those
// who wait, by request id.
//
// Invariants: len(calls) ≤ cap(slots); taken + len(queue) == the bytes queued ever.
type pipe struct {
	*link
	slots chan struct{} // one for each call
	wake  chan struct{} // something is queued
	room  chan struct{} // the queue was taken
	done  chan struct{} // closed when the connection is lost
	both  sync.WaitGroup

	mu         sync.Mutex
	token      []byte // that says what requests may do
	queue      []byte // frames to be written
	taken      uint64 // bytes that were given to the socket, or may have been
	calls      map[uint64]call
	id         uint64 // the last request id
	cause      error  // why this side gave the connection up
	err        error  // why the connection is lost
	unresolved bool   // appends were lost whose outcome is unknown
}

func newPipe(l *link, maxInflight int) *pipe {
	inflight := int(l.welcome.MaxInflight)
	if inflight == 0 {
		inflight = defaultInflight
	}
	if maxInflight > 0 {
		inflight = min(inflight, maxInflight)
	}
	p := &pipe{
		link: l, slots: make(chan struct{}, inflight), wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		done: make(chan struct{}), calls: make(map[uint64]call), id: handshakeID, token: l.token,
	}
	p.both.Go(p.read)
	p.both.Go(p.write)
	return p
}

// send queues one request. It waits while too many are under way or too much is
// queued; when it returns an error the receiver is not called.
func (p *pipe) send(ctx context.Context, kind wire.FrameType, to receiver, message interface{ Append([]byte) []byte }) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: not sent: %w", ErrDisconnected, context.Cause(ctx))
	}
	if err := p.take(ctx, p.slots); err != nil {
		return err
	}
	for {
		p.mu.Lock()
		if p.err != nil {
			defer p.mu.Unlock()
			return p.broken()
		}
		if len(p.queue) < queueBytes {
			break
		}
		p.mu.Unlock()
		if err := p.await(ctx, p.room); err != nil {
			<-p.slots
			return err
		}
	}
	p.id++
	p.queue = appendFrame(p.queue, wire.FrameHeader{Type: kind, RequestID: p.id}, message.Append)
	p.calls[p.id] = call{to, p.taken + uint64(len(p.queue))}
	more := len(p.queue) < queueBytes
	p.mu.Unlock()
	signal(p.wake)
	if more {
		signal(p.room) // for the next one that waits
	}
	return nil
}

// take puts a token into slots.
func (p *pipe) take(ctx context.Context, slots chan<- struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-p.done:
		return p.brokenNow()
	case <-ctx.Done():
		return fmt.Errorf("%w: not sent: %w", ErrDisconnected, context.Cause(ctx))
	}
}

func (p *pipe) await(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-p.done:
		return p.brokenNow()
	case <-ctx.Done():
		return fmt.Errorf("%w: not sent: %w", ErrDisconnected, context.Cause(ctx))
	}
}

// broken returns why nothing can be sent any more. p.mu is held.
func (p *pipe) broken() error { return fmt.Errorf("%w: %w", ErrDisconnected, p.err) }

func (p *pipe) brokenNow() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken()
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write sends what is queued until the connection is lost.
func (p *pipe) write() {
	var buf []byte
	for {
		select {
		case <-p.wake:
		case <-p.done:
			return
		}
		p.mu.Lock()
		buf, p.queue = p.queue, buf[:0]
		p.taken += uint64(len(buf))
		p.mu.Unlock()
		signal(p.room)
		if n, err := p.conn.Write(buf); err != nil {
			p.mu.Lock()
			p.taken -= uint64(len(buf) - n)
			p.mu.Unlock()
			p.writeFailed(err)
			return
		}
		if cap(buf) > keepBytes {
			buf = nil
		}
	}
}

// writeFailed leaves it to the reader to find out why, since a server that closes
// a connection says so first.
func (p *pipe) writeFailed(err error) {
	p.mu.Lock()
	p.cause = cmp.Or(p.cause, err)
	p.mu.Unlock()
	_ = p.conn.SetReadDeadline(time.Now().Add(lastWords))
}

// stop ends the connection from this side and waits for both goroutines.
func (p *pipe) stop(why error) {
	p.mu.Lock()
	p.cause = cmp.Or(p.cause, why)
	p.mu.Unlock()
	_ = p.conn.Close()
	p.both.Wait()
}

// read hands out answers until the connection is lost.
func (p *pipe) read() {
	for {
		frame, err := p.next()
		if err == nil {
			err = p.dispatch(frame)
		}
		if err != nil {
			p.lose(err)
			return
		}
	}
}

// dispatch gives one frame to whom it answers.
func (p *pipe) dispatch(frame wire.Frame) error {
	payload, err := p.payload(frame)
	if err != nil {
		return err
	}
	var refusal error
	if frame.Type == wire.FrameError {
		refusal = decodeError(payload)
		if errors.Is(refusal, ErrProtocol) || frame.RequestID == 0 {
			return refusal
		}
	}
	p.mu.Lock()
	c, ok := p.calls[frame.RequestID]
	p.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %v answers request %d, which is not under way", ErrProtocol, frame.Type, frame.RequestID)
	}
	if refusal != nil {
		c.to.refused(refusal)
	} else if err := c.to.receive(frame.FrameHeader, payload); err != nil {
		return err
	}
	if refusal != nil || frame.Flags&wire.FlagMore == 0 {
		p.mu.Lock()
		delete(p.calls, frame.RequestID)
		p.mu.Unlock()
		<-p.slots
	}
	return nil
}

// lose ends the connection and tells everyone who waits. Only the reader calls
// it, once, so that no call is both answered and lost.
func (p *pipe) lose(err error) {
	p.mu.Lock()
	var refused *ReasonError
	if p.cause != nil && !errors.As(err, &refused) {
		err = p.cause
	}
	p.err = err
	taken := p.taken
	for _, c := range p.calls {
		_, isAppend := c.to.(*Pending)
		p.unresolved = p.unresolved || isAppend && c.end <= taken
	}
	close(p.done)
	p.mu.Unlock()
	_ = p.conn.Close()
	for _, c := range p.calls { // nobody else touches it once err is set
		c.to.lost(err, c.end <= taken)
	}
}
