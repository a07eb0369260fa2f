package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Bounds of the pauses between tries.
const (
	BackoffMin = 50 * time.Millisecond
	BackoffMax = 2 * time.Second
)

// Backoff makes the pauses between tries: each twice as long as the one before,
// from BackoffMin to BackoffMax, of which a random half is left out so that many
// clients do not come back at once. The zero value is ready.
type Backoff struct {
	pause time.Duration
}

// Next returns the next pause, at least retryAfter.
func (b *Backoff) Next(retryAfter time.Duration) time.Duration {
	b.pause = min(max(2*b.pause, BackoffMin), BackoffMax)
	return max(b.pause/2+rand.N(b.pause/2+1), retryAfter)
}

// Reset starts again at BackoffMin, after a success.
func (b *Backoff) Reset() { b.pause = 0 }

// Wait makes the next pause. It returns early, with the cause, when ctx ends.
func (b *Backoff) Wait(ctx context.Context, retryAfter time.Duration) error {
	timer := time.NewTimer(b.Next(retryAfter))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// AppendRetry appends a batch and sends the same entries again, with pauses, as
// long as the server is busy, draining or out of reach, until ctx ends. That is
// safe because of the nonces: nothing is booked twice. When it gives up and one
// of its tries may have been booked, the error is an OutcomeUnknownError.
func (c *Client) AppendRetry(ctx context.Context, b *Batch) (*AppendResult, error) {
	var backoff Backoff
	unknown, resent := false, false
	for {
		result, err := c.Append(ctx, b)
		if err == nil {
			result.Resent = resent
			return result, nil
		}
		unknown = unknown || errors.Is(err, ErrOutcomeUnknown)
		resent = resent || unknown
		retryAfter, ok := Retryable(err)
		if ok && ctx.Err() == nil {
			ok = backoff.Wait(ctx, retryAfter) == nil
		}
		if ok && ctx.Err() == nil {
			_ = c.Reconnect(ctx) // the next Append says why, if it failed
			continue
		}
		var asUnknown *OutcomeUnknownError
		if unknown && !errors.As(err, &asUnknown) {
			err = &OutcomeUnknownError{Batch: b, Err: err}
		}
		return nil, err
	}
}
