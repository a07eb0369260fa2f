package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// openLoop sends requests when they fall due, whatever the answers do. One thread
// keeps the schedule for all connections in turn. When it is late it sends at once
// and skips nothing; latencies count from the time at which a request was due, so
// that a stall counts against every request that it delayed. What is refused as
// busy is sent again after busyPause, and its latency goes on. The request id tells
// when its request was due.
type openLoop struct {
	schedule schedule
	count    int
	start    time.Time
	batches  batchSizes
	again    chan retry // what was refused; an answer that finds it full waits

	burstEnd  time.Duration // after the start; 0: there is none
	burstLast int           // the last request of the burst
}

// retry is a request that was refused as busy.
type retry struct {
	request int
	due     time.Duration // when it is sent again, after the start
}

// busyPause is what the sidecar asks for when it is busy.
const busyPause = 50 * time.Millisecond

// retriesMax bounds what is refused and not yet sent again: as much as any burst that
// is measured. Beyond it answers are no longer read until there is room.
const retriesMax = 1 << 20

func newOpenLoop(p *Plan) *openLoop {
	o := &openLoop{schedule: p.schedule, count: p.schedule.count(), batches: newBatchSizes(p)}
	o.again = make(chan retry, min(o.count, retriesMax))
	if p.burst {
		until := p.schedule[:p.warmupPhases+2]
		o.burstEnd, o.burstLast = until.length(), until.count()-1
	}
	return o
}

// pace sends all requests of the schedule, and again what was busy, until answered
// is closed. It runs on a thread of its own, which sleeps in the kernel: the timers
// of the Go scheduler are up to 1 ms late.
func (o *openLoop) pace(answered <-chan struct{}, conns []*connection, payloads []*payload) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sharpTimers()
	for next, ok := o.first(); ok; next, ok = o.after(next, answered) {
		for wait := next.due - time.Since(o.start); wait > 0; wait = next.due - time.Since(o.start) {
			nap := syscall.NsecToTimespec(int64(min(wait, 100*time.Millisecond)))
			_ = syscall.Nanosleep(&nap, nil) // interrupted: the loop goes on
			select {
			case <-answered: // a connection broke
				return nil
			default:
			}
		}
		k := next.request % len(conns)
		frame := payloads[k].request(uint64(next.request)+1, o.batches.of(next.request), time.Now())
		if _, err := conns[k].Write(frame); err != nil {
			return fmt.Errorf("write requests: %w", err)
		}
	}
	return nil
}

// outgoing is the next request to send, with the position in both queues.
type outgoing struct {
	retry
	scheduled int    // requests of the schedule that were taken
	held      *retry // the oldest that was refused, not sent again yet
}

func (o *openLoop) first() (outgoing, bool) {
	return outgoing{retry: retry{0, o.schedule.due(0)}, scheduled: 1}, o.count > 0
}

// after returns what is sent after a request: the next of the schedule, or the
// oldest that was refused, whichever is due first.
func (o *openLoop) after(last outgoing, answered <-chan struct{}) (next outgoing, ok bool) {
	next = last
	left := next.scheduled < o.count
	if next.held == nil {
		if left {
			select {
			case r := <-o.again:
				next.held = &r
			default:
			}
		} else {
			select {
			case r := <-o.again:
				next.held = &r
			case <-answered:
				return next, false
			}
		}
	}
	if left {
		next.retry = retry{next.scheduled, o.schedule.due(next.scheduled)}
		if next.held == nil || next.retry.due <= next.held.due {
			next.scheduled++
			return next, true
		}
	}
	next.retry, next.held = *next.held, nil
	return next, true
}

// timerSlackNs is what the kernel may be late by to save wake-ups (prctl(2)).
const (
	prSetTimerSlack = 29
	timerSlackNs    = 1
)

// sharpTimers asks for exact wake-ups of this thread. Where it is refused they come
// up to 50 µs late.
func sharpTimers() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, timerSlackNs, 0)
}

// collect takes the answers of one connection until n requests are decided.
func (o *openLoop) collect(c *connection, n int) (drained time.Duration, err error) {
	if n == 0 {
		return 0, nil
	}
	err = c.each(func(frame wire.Frame) (more bool, err error) {
		i := int(frame.RequestID) - 1
		now := time.Since(o.start)
		refused, err := c.count(frame, now-o.schedule.due(i))
		if err != nil {
			return false, err
		}
		if refused == wire.ReasonBusy {
			o.again <- retry{i, now + busyPause}
			return true, nil
		}
		if o.burstEnd > 0 && i <= o.burstLast {
			drained = max(drained, now-o.burstEnd)
		}
		n--
		return n > 0, nil
	})
	return drained, err
}

// runOpen runs the open loop to the end of its schedule and until all requests are
// decided.
func (b *bench) runOpen(ctx context.Context) error {
	o := newOpenLoop(b.plan)
	o.start = time.Now().Add(10 * time.Millisecond)
	failures := make(chan error, len(b.conns))
	drained := make(chan time.Duration, len(b.conns))
	var collecting sync.WaitGroup
	for k, c := range b.conns {
		n := (o.count - k + len(b.conns) - 1) / len(b.conns)
		collecting.Go(func() {
			d, err := o.collect(c, n)
			drained <- d
			failures <- err
		})
	}
	answered, paced := make(chan struct{}), make(chan error, 1)
	go func() {
		collecting.Wait()
		close(answered)
	}()
	go func() { paced <- o.pace(answered, b.conns, b.payloads) }()
	err := b.measure(ctx, failures, b.plan.schedule[b.plan.warmupPhases:].length())
	err = errors.Join(err, b.join(failures, err))
	if pacing := <-paced; err == nil {
		err = pacing
	}
	for range b.conns {
		b.result.drained = max(b.result.drained, <-drained)
	}
	return err
}
