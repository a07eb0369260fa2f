package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/rustyonions/ron-ledger/wire"
)

// ErrWentBack is wrapped when a ledger is smaller than it was known to be before:
// acknowledged entries may be lost.
var ErrWentBack = errors.New("the ledger went back")

// Watch yields each new head behind the size from, as soon as it is durable: the
// entries First..Head.Size are new. A loop that is slow is told of several commits
// at once; none is left out. When the connection breaks Watch dials again, with
// pauses, and goes on where it was, until ctx ends. An error is the last thing that
// it yields; that ctx has ended is one.
func (c *Client) Watch(ctx context.Context, from uint64) iter.Seq2[wire.WatchAnswer, error] {
	return func(yield func(wire.WatchAnswer, error) bool) {
		var backoff Backoff
		known := from
		for {
			err := c.watch(ctx, &known, &backoff, yield)
			if err == nil {
				return
			}
			retryAfter, ok := Retryable(err)
			if ok && ctx.Err() == nil {
				ok = backoff.Wait(ctx, retryAfter) == nil
			}
			if !ok {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				yield(wire.WatchAnswer{}, fmt.Errorf("watch: %w", err))
				return
			}
		}
	}
}

// watch runs over one connection. It returns nil when the loop was left.
func (c *Client) watch(ctx context.Context, known *uint64, backoff *Backoff, yield func(wire.WatchAnswer, error) bool) error {
	check := func(w *wire.Welcome) error {
		if w.Head.Size < *known {
			return fmt.Errorf("%w: it has %d entries, and had %d", ErrWentBack, w.Head.Size, *known)
		}
		return nil
	}
	var m wire.WatchAnswer
	for payload, err := range c.stream(ctx, wire.FrameWatch, wire.FrameWatchAnswer, &wire.Watch{From: *known}, check) {
		if err != nil {
			return err
		}
		if fault := m.Decode(payload); !fault.OK() {
			return decodeFault(wire.FrameWatchAnswer, fault)
		}
		if m.First != *known+1 || m.Head.Size <= *known {
			return fmt.Errorf("%w: told of entries %d to %d behind %d", ErrProtocol, m.First, m.Head.Size, *known)
		}
		backoff.Reset()
		*known = m.Head.Size
		if !yield(m, nil) {
			return nil
		}
	}
	return fmt.Errorf("%w: the server ended the watch", ErrDisconnected)
}
