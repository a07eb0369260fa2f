package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// connection is a connection of the generator. It does without wire/client, whose
// goroutines and copies would take from the sidecar what is to be measured: a
// frame is made in place and written with one system call, and many answers are
// read with one.
type connection struct {
	net.Conn
	frames  *wire.FrameBuffer
	welcome wire.Welcome
	tally   *tally
	view    wire.AppendedView
	acked   func(size uint64) // told the size of the tree of each answer; nil: nobody asks
}

// readMin is how many bytes have to be free before a read.
const readMin = 4 << 10

// dial connects and says HELLO.
func dial(ctx context.Context, o client.Options) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, client.DefaultDialTimeout)
	defer cancel()
	token, err := readToken(o)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", o.Socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", client.ErrDisconnected, err)
	}
	if o.CheckServer != nil {
		if err := o.CheckServer(conn); err != nil {
			return nil, errors.Join(fmt.Errorf("check the server: %w", err), conn.Close())
		}
	}
	c := &connection{Conn: conn, frames: wire.NewFrameBuffer(0), tally: newTally()}
	deadline, _ := ctx.Deadline()
	if err := errors.Join(conn.SetDeadline(deadline), c.hello(token), conn.SetDeadline(time.Time{})); err != nil {
		return nil, errors.Join(fmt.Errorf("say HELLO: %w", err), conn.Close())
	}
	return c, nil
}

// readToken returns the token as bytes, none where there is no file.
func readToken(o client.Options) ([]byte, error) {
	if o.TokenFile == "" {
		return o.Token, nil
	}
	text, err := os.ReadFile(o.TokenFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	token, err := capability.ParseToken(string(text))
	if err != nil {
		return nil, fmt.Errorf("read the token from %s: %w", o.TokenFile, err)
	}
	return token.Bytes(), nil
}

func (c *connection) hello(token []byte) error {
	m := wire.Hello{MinVersion: wire.Version1, MaxVersion: wire.Version1, Token: token, Client: "ledgerctl bench"}
	frame := m.Append(wire.AppendFrameHeader(nil, wire.FrameHeader{Type: wire.FrameHello}))
	wire.FinishFrame(frame, 0)
	if _, err := c.Write(frame); err != nil {
		return err
	}
	return c.each(func(frame wire.Frame) (bool, error) {
		if err := refusedAsError(frame); err != nil {
			return false, err
		}
		if frame.Type != wire.FrameWelcome {
			return false, fmt.Errorf("%w: %v answers HELLO", client.ErrProtocol, frame.Type)
		}
		if fault := c.welcome.Decode(frame.Payload); !fault.OK() {
			return false, fmt.Errorf("%w: decode WELCOME: %w", client.ErrProtocol, fault)
		}
		return false, nil
	})
}

// each hands frames to take as they come, until it says that there is no more.
func (c *connection) each(take func(wire.Frame) (more bool, err error)) error {
	for {
		more, err := c.buffered(take)
		if err != nil || !more {
			return err
		}
		n, err := c.Read(c.frames.Space(readMin))
		c.frames.Advance(n)
		if n == 0 && err != nil {
			return fmt.Errorf("read answers: %w", err)
		}
	}
}

// buffered hands on the frames that were read.
func (c *connection) buffered(take func(wire.Frame) (more bool, err error)) (more bool, err error) {
	for {
		frame, ok, fault := c.frames.Next()
		if !fault.OK() {
			return false, fmt.Errorf("%w: %w", client.ErrProtocol, fault)
		}
		if !ok {
			return true, nil
		}
		if more, err := take(frame); err != nil || !more {
			return false, err
		}
	}
}

// count counts an answer to an append that took so long, and says why it was
// refused, 0 where it was not. An error ends the bench.
func (c *connection) count(frame wire.Frame, latency time.Duration) (refused wire.Reason, err error) {
	switch frame.Type {
	case wire.FrameAppended:
		if fault := c.view.Decode(frame.Payload); !fault.OK() {
			return 0, fmt.Errorf("%w: decode APPENDED: %w", client.ErrProtocol, fault)
		}
		c.tally.answered(&c.view, latency)
		if c.acked != nil {
			c.acked(c.view.Size)
		}
		return 0, nil
	case wire.FrameError:
		var m wire.ErrorMessage
		if fault := m.Decode(frame.Payload); !fault.OK() {
			return 0, fmt.Errorf("%w: decode ERROR: %w", client.ErrProtocol, fault)
		}
		if frame.RequestID == 0 {
			return 0, &m
		}
		c.tally.refusal(m.Reason)
		return m.Reason, nil
	}
	return 0, fmt.Errorf("%w: %v answers APPEND", client.ErrProtocol, frame.Type)
}

// refusedAsError returns what an ERROR says.
func refusedAsError(frame wire.Frame) error {
	if frame.Type != wire.FrameError {
		return nil
	}
	var m wire.ErrorMessage
	if fault := m.Decode(frame.Payload); !fault.OK() {
		return fmt.Errorf("%w: decode ERROR: %w", client.ErrProtocol, fault)
	}
	return &client.ReasonError{Reason: m.Reason, Detail: m.Detail, Offset: int(m.Offset)}
}
