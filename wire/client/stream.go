package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// streamID is the request id on a connection that has only one request.
const streamID = handshakeID + 1

// stream sends a request over a connection of its own and yields the payloads of
// the frames that answer it, each valid until the next. An error is the last
// thing that it yields. The connection ends with the loop, and with it the work
// of the server. check, where there is one, looks at the WELCOME first.
func (c *Client) stream(ctx context.Context, kind, answer wire.FrameType, m message, check func(*wire.Welcome) error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if c.isClosed() {
			yield(nil, ErrClosed)
			return
		}
		l, err := c.options.dial(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = l.conn.Close() }()
		if check != nil {
			if err := check(&l.welcome); err != nil {
				yield(nil, err)
				return
			}
		}
		stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		if _, err := l.conn.Write(appendFrame(nil, wire.FrameHeader{Type: kind, RequestID: streamID}, m.Append)); err != nil {
			yield(nil, fmt.Errorf("%w: %w", ErrDisconnected, errors.Join(err, context.Cause(ctx))))
			return
		}
		for more := true; more; {
			var payload []byte
			payload, more, err = l.part(answer)
			if err != nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if !yield(payload, err) || err != nil {
				return
			}
		}
	}
}

// part reads one frame of the answer; more says that further ones follow.
func (l *link) part(answer wire.FrameType) (payload []byte, more bool, err error) {
	frame, err := l.next()
	if errors.Is(err, ErrProtocol) {
		return nil, false, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	if payload, err = l.payload(frame); err != nil {
		return nil, false, err
	}
	switch {
	case frame.Type == wire.FrameError:
		return nil, false, decodeError(payload)
	case frame.Type != answer || frame.RequestID != streamID:
		return nil, false, fmt.Errorf("%w: %v where %v was expected", ErrProtocol, frame.Type, answer)
	}
	return payload, frame.Flags&wire.FlagMore != 0, nil
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}
