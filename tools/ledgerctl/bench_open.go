package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// openLoop sends requests when they fall due, whatever the answers do. One thread
// keeps the schedule for all connections in turn. When it is late it sends at once
// and skips nothing; latencies count from the time at which a request was due, so
// that a stall counts against every request that it delayed. The request id tells
// when its request was due.
type openLoop struct {
	schedule schedule
	sizes    logNormal
	start    time.Time
	total    int

	burstEnd  time.Duration // after the start; 0: there is none
	burstLast int           // the last request of the burst
}

func newOpenLoop(p *benchPlan) *openLoop {
	o := &openLoop{schedule: p.schedule, sizes: newLogNormal(p.batch, p.batchP90, p.maxBatch), total: p.schedule.count()}
	if p.burst {
		until := p.schedule[:p.warmupPhases+2]
		o.burstEnd, o.burstLast = until.length(), until.count()-1
	}
	return o
}

// pace sends all requests of the schedule. It runs on a thread of its own, which
// sleeps in the kernel: the timers of the Go scheduler are up to 1 ms late.
func (o *openLoop) pace(ctx context.Context, conns []*benchConn, payloads []*payload) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sharpTimers()
	rng := rand.New(rand.NewPCG(uint64(o.start.UnixNano()), 1))
	for i := range o.total {
		if ctx.Err() != nil {
			return nil
		}
		due := o.start.Add(o.schedule.due(i))
		for wait := time.Until(due); wait > 0; wait = time.Until(due) {
			nap := syscall.NsecToTimespec(int64(min(wait, 100*time.Millisecond)))
			_ = syscall.Nanosleep(&nap, nil) // interrupted: the loop goes on
		}
		k := i % len(conns)
		frame := payloads[k].request(uint64(i)+1, o.sizes.size(rng.NormFloat64()), time.Now())
		if _, err := conns[k].Write(frame); err != nil {
			return fmt.Errorf("write requests: %w", err)
		}
	}
	return nil
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

// collect takes the answers of one connection until it has n of them.
func (o *openLoop) collect(c *benchConn, n int) (drained time.Duration, err error) {
	if n == 0 {
		return 0, nil
	}
	err = c.each(func(frame wire.Frame) (more bool, err error) {
		i := int(frame.RequestID) - 1
		now := time.Since(o.start)
		if err := c.count(frame, now-o.schedule.due(i)); err != nil {
			return false, err
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
// answered.
func (b *bench) runOpen(ctx context.Context) error {
	o := newOpenLoop(b.plan)
	o.start = time.Now().Add(10 * time.Millisecond)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failures := make(chan error, len(b.conns)+1)
	drained := make(chan time.Duration, len(b.conns))
	for k, c := range b.conns {
		n := (o.total - k + len(b.conns) - 1) / len(b.conns)
		go func() {
			d, err := o.collect(c, n)
			drained <- d
			failures <- err
		}()
	}
	paced := make(chan error, 1)
	go func() { paced <- o.pace(ctx, b.conns, b.payloads) }()
	err := b.measure(ctx, failures, b.plan.schedule[b.plan.warmupPhases:].length())
	if err != nil {
		cancel()
	}
	err = errors.Join(err, <-paced)
	err = errors.Join(err, b.join(failures, err))
	for range b.conns {
		b.result.drained = max(b.result.drained, <-drained)
	}
	return err
}
