package client

import (
	"bytes"
	"context"
	"fmt"

	"github.com/rustyonions/ron-ledger/wire"
)

// message is the body of a request or an answer.
type message interface{ Append(dst []byte) []byte }

// fetch is a request with a short answer of one frame.
type fetch struct {
	answer  wire.FrameType
	done    chan struct{}
	payload []byte
	err     error
}

// ask sends a request over the shared connection and returns the payload of its
// answer. One that is refused for a token that was exchanged is sent again.
func (c *Client) ask(ctx context.Context, kind, answer wire.FrameType, m message) ([]byte, error) {
	for {
		p, err := c.live(ctx)
		if err != nil {
			return nil, err
		}
		used := c.token()
		payload, err := p.ask(ctx, kind, answer, m)
		if err == nil || !c.renew(ctx, err, used) {
			return payload, err
		}
	}
}

func (p *pipe) ask(ctx context.Context, kind, answer wire.FrameType, m message) ([]byte, error) {
	f := &fetch{answer: answer, done: make(chan struct{})}
	if err := p.send(ctx, kind, f, m); err != nil {
		return nil, err
	}
	select {
	case <-f.done:
		return f.payload, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer to %v: %w", kind, context.Cause(ctx))
	}
}

func (f *fetch) receive(header wire.FrameHeader, payload []byte) error {
	if header.Type != f.answer || header.Flags&wire.FlagMore != 0 {
		return fmt.Errorf("%w: %v where %v was expected", ErrProtocol, header.Type, f.answer)
	}
	f.payload = bytes.Clone(payload)
	close(f.done)
	return nil
}

func (f *fetch) refused(err error) {
	f.err = err
	close(f.done)
}

func (f *fetch) lost(err error, _ bool) {
	f.err = fmt.Errorf("%w: %w", ErrDisconnected, err)
	close(f.done)
}

// decodeFault turns what a decoder found into an error.
func decodeFault(answer wire.FrameType, fault wire.Fault) error {
	return fmt.Errorf("%w: decode %v: %w", ErrProtocol, answer, fault)
}
