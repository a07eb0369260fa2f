package sidecar

import (
	"context"
	"time"
)

// poll calls look every interval, and when nudge asks for it (nil: nothing does), until ctx ends.
// Files that are replaced at run time are watched so: a poll needs no event that a mount may not give.
func poll(ctx context.Context, interval time.Duration, nudge <-chan struct{}, look func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-nudge:
		}
		look()
	}
}
