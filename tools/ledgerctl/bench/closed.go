package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// closedLoop keeps inflight requests of batch entries under way on a connection
// until stop is closed, then takes the answers that are still to come. One
// goroutine does both: all requests that the answers of one read make room for
// are made before the next read. A latency is from the write of a request to its
// answer.
//
// Appends of a connection are answered in order, so that a slot is free again before
// its turn comes; a refusal may come early, and the latency in its slot is then that
// of a later request.
//
// The answers under way always fit into the socket's buffer, so that the sidecar
// never waits for this side while this side waits for it.
func closedLoop(c *connection, p *payload, inflight, batch int, stop <-chan struct{}) error {
	sent := make([]time.Time, inflight)
	under, slot := 0, uint64(0)
	send := func() error {
		now := time.Now()
		sent[slot%uint64(inflight)] = now
		if _, err := c.Write(p.request(slot+1, batch, now)); err != nil {
			return fmt.Errorf("write requests: %w", err)
		}
		slot++
		under++
		return nil
	}
	for range inflight {
		if err := send(); err != nil {
			return err
		}
	}
	return c.each(func(frame wire.Frame) (more bool, err error) {
		now := time.Now()
		if _, err := c.count(frame, now.Sub(sent[(frame.RequestID-1)%uint64(inflight)])); err != nil {
			return false, err
		}
		under--
		select {
		case <-stop:
			return under > 0, nil
		default:
			return true, send()
		}
	})
}

// runClosed runs the closed loop on all connections.
func (b *bench) runClosed(ctx context.Context) error {
	stop := make(chan struct{})
	failures := make(chan error, len(b.conns))
	for i, c := range b.conns {
		go func() {
			failures <- closedLoop(c, b.payloads[i], b.plan.inflight, b.plan.batch, stop)
		}()
	}
	err := b.measure(ctx, failures, b.plan.duration)
	close(stop)
	return errors.Join(err, b.join(failures, err))
}
