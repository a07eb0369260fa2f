package sidecar

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/wire"
)

const (
	archiveAsync = "async"
	archiveSync  = "sync"
)

const (
	// stallAfter is how long commits wait for the archive before new ones are refused.
	stallAfter = 2 * time.Second
	stallPoll  = 250 * time.Millisecond
	// settleAfter is how long after the last segment the head of the archive follows.
	settleAfter = time.Second
	// syncRetry is the pause before another attempt, drawn between half of it and all.
	syncRetry = 500 * time.Millisecond
	// shareMax bounds what of the time of an upload the next one waits for: behind one that took long.
	shareMax = 50 * time.Millisecond
	// catchUpTimeout bounds how long a start waits for the archive.
	catchUpTimeout = 30 * time.Second
)

// syncing is what archive.mode = sync adds to the archiver: a commit is told when its segment is in
// the archive, and all before it. Several segments are on their way at once, and each holds what became durable since the one before it
// was cut.
type syncing struct {
	durable atomic.Uint64 // size of the log
	more    chan struct{} // it has grown
	shipped atomic.Uint64 // size of the archive

	release func(size uint64)
	giveUp  func(wire.Reason)
	refuse  func(wire.Reason) // appends, or again takes them: 0
	stalled atomic.Bool
	uploads int // segments on their way at once

	mu   sync.Mutex
	cuts []cut         // whose segments are on their way
	took time.Duration // from the last cut whose segment is there until it was there
}

// cut is when a segment was cut.
type cut struct {
	size uint64 // of the log up to its end
	// carried is how many entries it has.
	carried uint64
	all     bool // that was all of the log then
	at      time.Time
}

// newSyncing returns nil where commits do not wait for the archive.
func newSyncing(s *Sidecar) *syncing {
	if s.config.Archive.place() == "" || s.config.Archive.Mode != archiveSync {
		return nil
	}
	return &syncing{
		more: make(chan struct{}, 1), uploads: s.config.Archive.Uploads, release: func(size uint64) { s.committer.Release(size) },
		giveUp: func(reason wire.Reason) { s.committer.TurnDown(reason) },
		refuse: func(reason wire.Reason) {
			// What else refuses appends weighs more, and is not ours to lift.
			if now := s.committer.Refusing(); now == 0 || now == wire.ReasonBusy {
				s.committer.Refuse(reason)
			}
		},
	}
}

// grown takes the size of the durable log. It does not block.
func (y *syncing) grown(size uint64) {
	y.durable.Store(size)
	select {
	case y.more <- struct{}{}:
	default:
	}
}

// uploaded takes the size of the archive.
func (a *archiver) uploaded(size uint64) {
	y := a.sync
	y.shipped.Store(size)
	y.release(size)
	a.shipped(size, y.arrived(size))
}

// arrived takes the size of the archive, and returns when the log was no longer than that, as far as it knows.
func (y *syncing) arrived(size uint64) (all time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for len(y.cuts) > 0 && y.cuts[0].size <= size {
		c := y.cuts[0]
		if y.took = time.Since(c.at); c.all {
			all = c.at
		}
		y.cuts = y.cuts[1:]
	}
	return all
}

// begun notes a cut whose upload has begun, unless it has ended already.
func (y *syncing) begun(c cut) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if c.size > y.shipped.Load() {
		y.cuts = append(y.cuts, c)
	}
}

// share returns when the next segment may be cut, so that uploads are spread over the time that one takes, and when it is
// at the latest.
func (y *syncing) share(last time.Time) (from, until time.Time) {
	y.mu.Lock()
	defer y.mu.Unlock()
	share := min(y.took/time.Duration(y.uploads), shareMax)
	return last.Add(share), last.Add(share + share/2)
}

// gather waits for the share of the next segment, and then until half as much is durable as the last one carried: those whom one
// upload has released send again together, and the first of them would leave the others to the share behind.
func (y *syncing) gather(ctx context.Context, last cut) {
	from, until := y.share(last.at)
	if waitFor(ctx, time.Until(from)) != nil {
		return
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for y.durable.Load()-last.size < last.carried/2 {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-y.more:
		}
	}
}

// catchUp ships what a start finds in the log and not in the archive: nothing is served before, since
// nobody was told of it.
func (a *archiver) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	for {
		err := a.writer.Ship(ctx)
		if err == nil {
			err = a.writer.Settle(ctx)
		}
		fenced, ahead := new(archive.FencedError), new(archive.AheadError)
		switch {
		case err == nil:
			return nil
		case errors.As(err, &ahead):
			a.failed(err) // and the ledger is read-only
			return nil
		case errors.As(err, &fenced):
			a.fenced.Store(true)
			return err
		}
		a.log.Warn("the archive cannot be written, and nothing is served before (archive.mode is sync, or was)", zap.Error(err))
		if waitFor(ctx, jittered(syncRetry)) != nil {
			return fmt.Errorf("bring the archive up to the log (archive.mode = sync): %w: start again when it can be written", err)
		}
	}
}

func jittered(d time.Duration) time.Duration { return d/2 + rand.N(d/2) }

// shipEach ships what becomes durable, for as long as the sidecar runs.
func (a *archiver) shipEach(ctx context.Context) {
	y := a.sync
	idle := time.NewTimer(settleAfter)
	defer idle.Stop()
	last := cut{size: y.shipped.Load()}
	for {
		now, size := time.Now(), y.durable.Load()
		upTo, err := a.writer.Cut(ctx)
		if err != nil {
			a.failedUnlessEnding(err)
			if waitFor(ctx, jittered(syncRetry)) != nil || a.fenced.Load() {
				return
			}
			continue
		}
		if upTo > last.size {
			last = cut{size: upTo, carried: upTo - last.size, all: upTo >= size, at: now}
			y.begun(last)
		}
		if upTo < size {
			continue
		}
		idle.Reset(settleAfter)
		if !a.next(ctx, idle.C) {
			return
		}
		y.gather(ctx, last)
	}
}

// next waits until there is something to ship, or an upload has failed; meanwhile, once nothing has come for
// settleAfter, the head follows. It returns false when ctx ends.
func (a *archiver) next(ctx context.Context, idle <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-a.sync.more:
			return true
		case <-a.writer.Failures():
			return true
		case <-idle:
			if err := a.writer.Settle(ctx); err != nil {
				a.failedUnlessEnding(err)
				return true
			}
			a.written()
		}
	}
}

// watchStall refuses appends while commits wait for the archive and nothing moves, so that who
// appends is told at once, and takes them again when it moves.
func (a *archiver) watchStall(ctx context.Context) {
	y := a.sync
	moved, at := time.Now(), y.shipped.Load()
	poll(ctx, stallPoll, nil, func() {
		now, shipped := time.Now(), y.shipped.Load()
		if shipped != at || shipped >= y.durable.Load() {
			moved, at = now, shipped
			if y.stalled.Swap(false) {
				a.log.Info("commits reach the archive again: appends go on")
				y.refuse(0)
			}
			return
		}
		if now.Sub(moved) >= stallAfter && !a.fenced.Load() {
			if !y.stalled.Swap(true) {
				a.log.Warn("commits wait for the archive: appends are refused until it can be written (archive.mode = sync)",
					zap.Uint64("durable", y.durable.Load()), zap.Uint64("archived", shipped))
			}
			y.refuse(wire.ReasonBusy)
		}
	})
}
