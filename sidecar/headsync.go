package sidecar

import (
	"context"
	"sync"
	"time"
)

// headSyncInterval bounds how far the head file on disk may be behind the log after a power cut,
// and so how much of a loss in that same moment could go unnoticed.
const headSyncInterval = time.Second

// headSyncer syncs the head file in the background, when it has changed.
type headSyncer struct {
	size  func() uint64 // of the durable log
	sync  func() error
	fatal func(what string) // does not return

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

func startHeadSyncer(s *Sidecar) *headSyncer {
	h := &headSyncer{size: func() uint64 { return s.committer.Head().Size }, sync: s.store.SyncHead, fatal: s.fatal}
	h.start()
	return h
}

func (h *headSyncer) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.ended.Go(func() {
		tick := time.NewTicker(headSyncInterval)
		defer tick.Stop()
		for synced := uint64(0); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			size := h.size()
			if size == synced {
				continue
			}
			if err := h.sync(); err != nil {
				h.fatal("sync the head file: " + err.Error())
				return
			}
			synced = size
		}
	})
}

// stop ends the syncing; the store syncs the head file when it is closed.
func (h *headSyncer) stop() {
	h.cancel()
	h.ended.Wait()
}
