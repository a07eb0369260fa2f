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

// AppendRetry appends a batch and sends the same entries again, with pauses, as long
// as the server is busy, draining or out of reach, until ctx ends. That is safe
// because of the nonces: nothing is booked twice. A token that is refused is taken
// from the token file again. When it gives up and one of its tries may have been
// booked, the error is an OutcomeUnknownError.
func (c *Client) AppendRetry(ctx context.Context, b *Batch) (*AppendResult, error) {
	used := c.token()
	result, err := c.Append(ctx, b)
	if err == nil {
		return result, nil
	}
	return c.tryAgain(ctx, b, err, used)
}

// tryAgain goes on after a first try that failed, with the token that it used.
func (c *Client) tryAgain(ctx context.Context, b *Batch, err error, used []byte) (*AppendResult, error) {
	var backoff Backoff
	unknown, resent := false, false
	for {
		unknown = unknown || errors.Is(err, ErrOutcomeUnknown)
		resent = resent || unknown
		retryAfter, ok := Retryable(err)
		renewed := !ok && ctx.Err() == nil && c.renew(ctx, err, used)
		if ok && ctx.Err() == nil {
			ok = backoff.Wait(ctx, retryAfter) == nil
		}
		if !ok && !renewed || ctx.Err() != nil {
			return nil, b.gaveUp(err, unknown)
		}
		_ = c.Reconnect(ctx) // the next Append says why, if it failed
		used = c.token()
		var result *AppendResult
		if result, err = c.Append(ctx, b); err == nil {
			result.Resent = resent
			return result, nil
		}
	}
}

// gaveUp is the error of a batch that is not sent again.
func (b *Batch) gaveUp(err error, unknown bool) error {
	var already *OutcomeUnknownError
	if unknown && !errors.As(err, &already) {
		return &OutcomeUnknownError{Batch: b, Err: err}
	}
	return err
}
