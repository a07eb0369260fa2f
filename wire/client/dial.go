package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// readMin is how many bytes have to be free before a read, so that one system
// call brings many small frames.
const readMin = 16 << 10

// handshakeID is the request id of HELLO; those of requests follow.
const handshakeID = 1

// link is a connection that has said HELLO: frames can be read and written.
type link struct {
	conn    net.Conn
	frames  *wire.FrameBuffer
	welcome wire.Welcome
	token   []byte // that HELLO carried
	raw     []byte // a decompressed payload
}

// dial connects and says HELLO. Where the token is refused and the token file holds
// another one by now, it says HELLO again.
func (o *Options) dial(ctx context.Context) (*link, error) {
	for {
		token, err := o.token()
		if err != nil {
			return nil, err
		}
		l, err := o.dialWith(ctx, token)
		if err == nil || !wantsToken(err) || o.TokenFile == "" {
			return l, err
		}
		if now, changed := o.token(); changed != nil || bytes.Equal(now, token) {
			return nil, err
		}
	}
}

func (o *Options) dialWith(ctx context.Context, token []byte) (*link, error) {
	timeout := o.DialTimeout
	if timeout == 0 {
		timeout = DefaultDialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, frames: wire.NewFrameBuffer(wire.DefaultMaxFrame), token: token}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = l.hello(o, token)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return l, nil
	}
	_ = conn.Close()
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer to HELLO in time: %w", context.Cause(ctx))
	}
	var refused *ReasonError
	if errors.As(err, &refused) || errors.Is(err, ErrProtocol) {
		return nil, fmt.Errorf("say HELLO: %w", err)
	}
	return nil, fmt.Errorf("say HELLO: %w: %w", ErrDisconnected, err)
}

func (o *Options) connect(ctx context.Context) (net.Conn, error) {
	connect := o.Dial
	if connect == nil {
		connect = func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Socket)
		}
	}
	conn, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	check := o.CheckServer
	if check == nil && o.Dial == nil {
		check = o.checkOwner
	}
	if check != nil {
		if err := check(conn); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("check the server: %w", err)
		}
	}
	return conn, nil
}

// hello opens the protocol. Behind it, frames of the length that the server named
// can be read.
func (l *link) hello(o *Options, token []byte) error {
	hello := wire.Hello{MinVersion: wire.Version1, MaxVersion: wire.Version1, Token: token, Client: o.Name}
	header := wire.FrameHeader{Type: wire.FrameHello, RequestID: handshakeID}
	_, writeErr := l.conn.Write(appendFrame(nil, header, hello.Append))
	// A server that turns a connection away says why before it closes, so the
	// answer counts even when HELLO could not be written.
	frame, err := l.next()
	if err != nil {
		return errors.Join(writeErr, err)
	}
	payload, err := l.payload(frame)
	if err != nil {
		return err
	}
	switch {
	case frame.Type == wire.FrameError:
		return decodeError(payload)
	case frame.Type != wire.FrameWelcome || frame.RequestID != handshakeID:
		return fmt.Errorf("%w: %v answers HELLO", ErrProtocol, frame.Type)
	}
	if fault := l.welcome.Decode(payload); !fault.OK() {
		return fmt.Errorf("%w: decode WELCOME: %w", ErrProtocol, fault)
	}
	l.welcome.Token = append([]byte(nil), l.welcome.Token...)
	if l.welcome.Version != wire.Version1 {
		return fmt.Errorf("%w: it chose version %d", ErrProtocol, l.welcome.Version)
	}
	if l.frames.Buffered() > 0 {
		return l.refusedAtOnce()
	}
	if l.welcome.MaxFrame > wire.DefaultMaxFrame {
		l.frames = wire.NewFrameBuffer(int(l.welcome.MaxFrame))
	}
	return nil
}

// refusedAtOnce reads what came with WELCOME: the ERROR of a server that closes the connection at once, as one does
// that is shutting down. Anything else is unasked.
func (l *link) refusedAtOnce() error {
	frame, err := l.next()
	if err != nil {
		return err
	}
	if frame.Type != wire.FrameError || frame.RequestID != 0 {
		return fmt.Errorf("%w: %v follows WELCOME unasked", ErrProtocol, frame.Type)
	}
	payload, err := l.payload(frame)
	if err != nil {
		return err
	}
	return decodeError(payload)
}

// next reads until there is a whole frame, valid until the call after it.
func (l *link) next() (wire.Frame, error) {
	for {
		frame, ok, fault := l.frames.Next()
		if !fault.OK() {
			return frame, fmt.Errorf("%w: %w", ErrProtocol, fault)
		}
		if ok {
			return frame, nil
		}
		n, err := l.conn.Read(l.frames.Space(readMin))
		l.frames.Advance(n)
		if n == 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the server closed the connection")
			}
			return wire.Frame{}, err
		}
	}
}

// payload returns the payload of a frame, decompressed where it has to be; it is
// valid as long as the frame.
func (l *link) payload(frame wire.Frame) ([]byte, error) {
	if frame.Flags&wire.FlagCompressed == 0 {
		return frame.Payload, nil
	}
	raw, fault := wire.Decompress(l.raw[:0], frame.Payload, max(wire.DefaultMaxFrame, int(l.welcome.MaxFrame)), wire.DefaultDecompressRatio)
	if !fault.OK() {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, fault)
	}
	l.raw = raw
	return raw, nil
}

// decodeError turns the payload of an ERROR into an error.
func decodeError(payload []byte) error {
	var m wire.ErrorMessage
	if fault := m.Decode(payload); !fault.OK() {
		return fmt.Errorf("%w: decode ERROR: %w", ErrProtocol, fault)
	}
	return reasonError(&m)
}

// appendFrame appends a frame whose payload fill appends.
func appendFrame(dst []byte, header wire.FrameHeader, fill func(dst []byte) []byte) []byte {
	start := len(dst)
	dst = wire.AppendFrameHeader(dst, header)
	dst = fill(dst)
	wire.FinishFrame(dst, start)
	return dst
}
