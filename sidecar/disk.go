package sidecar

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/wire"
)

// diskInterval is how often free space is looked at. At the fastest that the log
// can grow, some 500 MB/s, less than the default reserve is written in between.
const diskInterval = 250 * time.Millisecond

// diskWatcher turns appends away before the disk is full: when less than the
// reserve is free, until an eighth more than the reserve is. Between the two
// nothing changes, so that a ledger at the edge does not flap.
type diskWatcher struct {
	space   func() (free, total uint64, err error)
	reserve atomic.Uint64
	// refuse is called with disk_pressure at each look at a disk that is low, and
	// with 0 once when it is not any more.
	refuse func(wire.Reason)
	log    *zap.Logger

	free, total atomic.Uint64 // at the last look that succeeded
	low         atomic.Bool
	failures    atomic.Uint64 // looks that failed

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// startDiskWatcher looks once, so that a ledger never starts into a full disk, and
// then keeps looking.
func startDiskWatcher(s *Sidecar) (*diskWatcher, error) {
	d := &diskWatcher{
		space: s.store.DiskFree, log: s.log.Named("disk"),
		refuse: func(reason wire.Reason) {
			// What else refuses appends weighs more, and is not ours to lift.
			if now := s.committer.Refusing(); now == 0 || now == wire.ReasonDiskPressure {
				s.committer.Refuse(reason)
			}
		},
	}
	d.reserve.Store(uint64(s.config.Disk.ReserveBytes))
	if err := d.start(diskInterval); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *diskWatcher) start(interval time.Duration) error {
	if err := d.look(); err != nil {
		return fmt.Errorf("watch free disk space: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.ended.Go(func() {
		poll(ctx, interval, nil, func() {
			if err := d.look(); err != nil && d.failures.Add(1) == 1 {
				d.log.Error("free disk space cannot be read: what it was stays in force", zap.Error(err))
			}
		})
	})
	return nil
}

// look reads the free space and acts on it.
func (d *diskWatcher) look() error {
	free, total, err := d.space()
	if err != nil {
		return err
	}
	d.free.Store(free)
	d.total.Store(total)
	reserve := d.reserve.Load()
	switch low := d.low.Load(); {
	case free < reserve:
		if !low {
			d.low.Store(true)
			d.log.Warn("free disk space is below the reserve: appends are refused", zap.Uint64("free_bytes", free), zap.Uint64("reserve_bytes", reserve))
		}
		d.refuse(wire.ReasonDiskPressure)
	case low && free >= reserve+reserve/8:
		d.low.Store(false)
		d.refuse(0)
		d.log.Info("there is free disk space again: appends go on", zap.Uint64("free_bytes", free))
	}
	return nil
}

// stop ends the looking. What was refused stays so.
func (d *diskWatcher) stop() {
	d.cancel()
	d.ended.Wait()
}
