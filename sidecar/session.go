package sidecar

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/wire"
)

// readMin is how many bytes have to be free before the next read, so that one
// system call brings many small frames.
const readMin = 16 << 10

// session is one connection. Its reader goroutine owns everything but what is
// marked; it reads frames, admits them and hands them on. Answers leave through
// the outbox, which has a goroutine of its own.
type session struct {
	sidecar *Sidecar
	conn    net.Conn
	peer    peercred.Cred
	id      uint64 // for the log
	log     *zap.Logger

	in      *wire.FrameBuffer
	out     *outbox
	slots   chan struct{}         // one for each request in flight
	turn    chan struct{}         // to admit, of its reader
	reads   sync.WaitGroup        // reads in progress
	readers atomic.Int32          // their number
	grant   atomic.Pointer[grant] // nil: no token
	version uint16
	raw     []byte          // a decompressed payload
	ctx     context.Context // ends with the connection
	end     context.CancelFunc
}

// errClose ends a session after an answer that said why.
var errClose = errors.New("session ended")

// serve runs one accepted connection to its end.
func (s *Sidecar) serve(conn net.Conn, peer peercred.Cred, id uint64) {
	ss := &session{
		sidecar: s, conn: conn, peer: peer, id: id,
		log:   s.log.With(zap.Uint64("connection", id), zap.Uint32("uid", peer.UID), zap.Int32("pid", peer.PID)),
		in:    wire.NewFrameBuffer(int(s.config.Limits.MaxFrame)),
		slots: make(chan struct{}, s.live().UDS.MaxInflight), turn: make(chan struct{}, 1),
	}
	ss.ctx, ss.end = context.WithCancel(s.ctx)
	ss.out = newOutbox(ss)
	s.sessions.serves(ss)
	ss.log.Debug("connected", zap.Uint32("gid", peer.GID), zap.Bool("ended", peer.Ended))
	writer := make(chan struct{})
	go func() {
		defer close(writer)
		ss.out.run()
	}()
	err := ss.read()
	s.sessions.wasRead(conn)
	ss.end()
	ss.drain(err)
	ss.out.close()
	<-writer
	_ = conn.Close()
	ss.log.Debug("disconnected", zap.NamedError("why", err))
}

// drain waits until everything that was handed to the committer has been
// answered: its requests belong to it until then. Where the peer is gone the
// answers go nowhere, but the commits stand.
func (ss *session) drain(err error) {
	if !errors.Is(err, errClose) && !errors.Is(err, io.EOF) {
		ss.out.abandon()
	}
	ss.reads.Wait()
	for range cap(ss.slots) {
		ss.slots <- struct{}{}
	}
}

// read is the loop of the session: HELLO within its deadline, then requests.
func (ss *session) read() error {
	timeouts := &ss.sidecar.live().UDS
	deadline := deadlines{session: ss, config: timeouts}
	if err := deadline.handshake(); err != nil {
		return err
	}
	for {
		n, err := ss.conn.Read(ss.in.Space(readMin))
		ss.in.Advance(n)
		whole := false
		if n > 0 {
			var err error
			if whole, err = ss.frames(); err != nil {
				return err
			}
		}
		if err != nil {
			return ss.readError(err)
		}
		if err := deadline.next(ss.version != 0, ss.in.Buffered() > 0, whole); err != nil {
			return err
		}
	}
}

// frames handles all whole frames that were read, and reports whether there was one.
func (ss *session) frames() (whole bool, err error) {
	for {
		frame, ok, fault := ss.in.Next()
		if !fault.OK() {
			return whole, ss.refuse(0, fault)
		}
		if !ok {
			return whole, nil
		}
		if err := ss.frame(frame); err != nil {
			return whole, err
		}
		whole = true
	}
}

// readError says why reading ended, to the peer as well where it still listens.
func (ss *session) readError(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if ss.sidecar.draining.Load() {
		return ss.refuse(0, wire.Fault{Reason: wire.ReasonDraining, Detail: "the sidecar is shutting down"})
	}
	switch {
	case ss.version == 0:
		return ss.refuse(0, wire.Fault{Reason: wire.ReasonTimeout, Detail: "no valid HELLO came in time (uds.handshake_timeout)"})
	case ss.in.Buffered() > 0:
		return ss.refuse(0, wire.Fault{Reason: wire.ReasonTimeout, Detail: "a frame was begun and not completed in time (uds.frame_timeout)"})
	}
	return ss.refuse(0, wire.Fault{Reason: wire.ReasonTimeout, Detail: "nothing came for too long (uds.idle_timeout)"})
}

// frame dispatches one frame.
func (ss *session) frame(frame wire.Frame) error {
	payload, err := ss.payload(frame)
	if err != nil {
		return err
	}
	if ss.version == 0 {
		if frame.Type != wire.FrameHello {
			return ss.refuse(frame.RequestID, wire.Fault{Reason: wire.ReasonUnauth, Detail: "the first frame of a connection is HELLO"})
		}
		return ss.hello(frame.RequestID, payload)
	}
	switch frame.Type {
	case wire.FrameAppend:
		return ss.append(frame.RequestID, payload)
	case wire.FrameAuth:
		return ss.auth(frame.RequestID, payload)
	case wire.FrameRoots, wire.FrameEntries, wire.FrameAccount, wire.FrameProve, wire.FrameWatch:
		return ss.startRead(frame.Type, frame.RequestID, payload)
	case wire.FrameSnapshot:
		return ss.startSnapshot(frame.RequestID, payload)
	case wire.FrameAdmin:
		return ss.startAdmin(frame.RequestID, payload)
	case wire.FrameStatus:
		return ss.status(frame.RequestID)
	case wire.FrameHello:
		return ss.refuse(frame.RequestID, wire.Fault{Reason: wire.ReasonMalformed, Detail: "HELLO was said before"})
	}
	ss.out.fail(frame.RequestID, wire.Fault{Reason: wire.ReasonMalformed, Detail: "this server knows no request of this type"}, 0)
	return nil
}

// payload returns the frame's payload, decompressed where it has to be; it is
// valid until the next frame.
func (ss *session) payload(frame wire.Frame) ([]byte, error) {
	if frame.Flags&wire.FlagMore != 0 {
		return nil, ss.refuse(frame.RequestID, wire.Fault{Reason: wire.ReasonMalformed, Offset: 5, Detail: "a request is one frame"})
	}
	if frame.Flags&wire.FlagCompressed == 0 {
		return frame.Payload, nil
	}
	limits := &ss.sidecar.live().Limits
	raw, fault := wire.Decompress(ss.raw[:0], frame.Payload, int(limits.MaxFrame), limits.DecompressRatio)
	if !fault.OK() {
		return nil, ss.refuse(frame.RequestID, fault)
	}
	ss.raw = raw
	return raw, nil
}

// refuse answers with an error after which the connection is closed.
func (ss *session) refuse(id uint64, fault wire.Fault) error {
	ss.out.fail(id, fault, 0)
	if left, due := ss.sidecar.refusals.due(time.Now()); due { // at debug each has its line
		ss.log.Info("connection refused", zap.Stringer("reason", fault.Reason), zap.String("detail", fault.Detail), zap.Uint64("request", id), left)
	}
	return errClose
}

// deadlines keeps the read deadline of a connection: one for the handshake, then
// one for each frame that was begun, and one for the time between frames.
type deadlines struct {
	session   *session
	config    *UDSConfig
	frameTill time.Time // zero: no frame is begun
	idleTill  time.Time
}

// set sets the deadline of the next read. A sidecar that is stopping wakes all
// readers once; a deadline that is set later MUST NOT undo that.
func (d *deadlines) set(at time.Time) error {
	if err := d.session.conn.SetReadDeadline(at); err != nil {
		return err
	}
	if d.session.ctx.Err() != nil {
		return d.session.conn.SetReadDeadline(time.Now())
	}
	return nil
}

func (d *deadlines) handshake() error {
	return d.set(time.Now().Add(d.config.HandshakeTimeout.Duration()))
}

// next sets the deadline for the next read. The deadline of a frame begins with
// its first byte and is not moved by further bytes, so that a frame cannot be
// dripped in for ever. Where whole frames came before it, it is a new one with a
// deadline of its own, moved at most eight times in its length, as the idle one is
// once a second: that keeps the system call off the hot path.
func (d *deadlines) next(greeted, partial, whole bool) error {
	if !greeted {
		return nil
	}
	if partial {
		if !d.frameTill.IsZero() && !whole {
			return nil
		}
		now, timeout := time.Now(), d.config.FrameTimeout.Duration()
		if d.frameTill.Sub(now) > timeout-timeout/8 {
			return nil
		}
		d.frameTill, d.idleTill = now.Add(timeout), time.Time{}
		return d.set(d.frameTill)
	}
	d.frameTill = time.Time{}
	now := time.Now()
	idle := d.config.IdleTimeout.Duration()
	if idle <= 0 {
		if d.idleTill.IsZero() {
			d.idleTill = now
			return d.set(time.Time{})
		}
		return nil
	}
	if d.idleTill.Sub(now) > idle-time.Second {
		return nil
	}
	d.idleTill = now.Add(idle)
	return d.set(d.idleTill)
}
