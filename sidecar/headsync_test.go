package sidecar

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeadIsSyncedWithinASecond: a changed head file is synced once within a second, one that has
// not changed is left alone, and a sync that fails stops everything.
func TestHeadIsSyncedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var size, syncs, fatals atomic.Uint64
		broken := false
		h := &headSyncer{size: size.Load, fatal: func(string) { fatals.Add(1) }, sync: func() error {
			syncs.Add(1)
			if broken {
				return errors.New("broken")
			}
			return nil
		}}
		h.start()
		for i, want := range []uint64{0, 1, 1, 2} {
			size.Store([]uint64{0, 5, 5, 9}[i])
			time.Sleep(headSyncInterval)
			synctest.Wait()
			if got := syncs.Load(); got != want {
				t.Errorf("after %d s at size %d: %d syncs, want %d", i+1, size.Load(), got, want)
			}
		}
		broken = true
		size.Store(10)
		time.Sleep(headSyncInterval)
		synctest.Wait() // a stop at that very moment may come before the sync
		h.stop()
		if fatals.Load() != 1 {
			t.Errorf("fatal was called %d times", fatals.Load())
		}
	})
}
