package sidecar

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	// catchUpTimeout bounds how long a start waits for the archive.
	catchUpTimeout = 30 * time.Second
)

// syncing is what archive.mode = sync adds to the archiver: a commit is told when its segment is in
// the archive. A segment holds what became durable while the one before it was uploaded; there is one
// upload at a time, so that segments keep their order.
type syncing struct {
	durable atomic.Uint64 // size of the log
	more    chan struct{} // it has grown
	shipped atomic.Uint64 // size of the archive

	release func(size uint64)
	giveUp  func(wire.Reason)
	refuse  func(wire.Reason) // appends, or again takes them: 0
	stalled atomic.Bool
}

// newSyncing returns nil where commits do not wait for the archive.
func newSyncing(s *Sidecar) *syncing {
	if s.config.Archive.place() == "" || s.config.Archive.Mode != archiveSync {
		return nil
	}
	return &syncing{
		more: make(chan struct{}, 1), release: func(size uint64) { s.committer.Release(size) },
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
func (y *syncing) uploaded(size uint64) {
	y.shipped.Store(size)
	y.release(size)
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

// gatherShare is the part of the last upload's time, one in so many, for which the next one may wait, and gatherMax the
// longest time: uploads that are long because they are large gain nothing from it.
const (
	gatherShare = 4
	gatherMax   = 5 * time.Millisecond
)

// gather waits until as much is durable as the last upload carried, for a part of the time that it took: those whom it
// released send again at once, and would otherwise be split over two uploads, and wait for both.
func (y *syncing) gather(ctx context.Context, carried uint64, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for y.durable.Load()-y.shipped.Load() < carried {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-y.more:
		}
	}
}

// shipEach ships what becomes durable soon after the upload before it has ended.
func (a *archiver) shipEach(ctx context.Context) {
	idle := time.NewTimer(settleAfter)
	defer idle.Stop()
	for {
		began, before := time.Now(), a.sync.shipped.Load()
		done := a.ship(ctx)
		ended, carried := time.Now(), a.sync.shipped.Load()-before
		if !done {
			if waitFor(ctx, jittered(syncRetry)) != nil || a.fenced.Load() {
				return
			}
			continue
		}
		idle.Reset(settleAfter)
		select {
		case <-ctx.Done():
			return
		case <-a.sync.more:
		case <-idle.C:
			if err := a.writer.Settle(ctx); err != nil {
				a.failed(err)
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-a.sync.more:
			}
		}
		a.sync.gather(ctx, carried, ended.Add(min(ended.Sub(began)/gatherShare, gatherMax)))
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
