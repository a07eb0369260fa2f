package sidecar

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestGather: an upload waits for as much as the one before it carried, and for no longer than it is told.
func TestGather(t *testing.T) {
	type growth struct {
		after time.Duration
		size  uint64
	}
	for _, test := range []struct {
		name    string
		carried uint64
		grows   []growth
		within  time.Duration
		cancel  time.Duration
		want    time.Duration
	}{
		{"as much is there", 5, nil, 20 * time.Millisecond, time.Hour, 0},
		{"it comes in two", 20, []growth{{2 * time.Millisecond, 16}, {4 * time.Millisecond, 30}}, 20 * time.Millisecond, time.Hour, 4 * time.Millisecond},
		{"it does not come", 20, []growth{{2 * time.Millisecond, 16}}, 20 * time.Millisecond, time.Hour, 20 * time.Millisecond},
		{"the last upload ended long ago", 20, nil, -time.Second, time.Hour, 0},
		{"the sidecar stops", 20, nil, 20 * time.Millisecond, 3 * time.Millisecond, 3 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := &syncing{more: make(chan struct{}, 1)}
				y.durable.Store(15)
				y.shipped.Store(10)
				ctx, cancel := context.WithTimeout(t.Context(), test.cancel)
				defer cancel()
				began := time.Now()
				for _, g := range test.grows {
					time.AfterFunc(g.after, func() { y.grown(g.size) })
				}
				y.gather(ctx, test.carried, began.Add(test.within))
				if took := time.Since(began); took != test.want {
					t.Errorf("it waited for %v, want %v", took, test.want)
				}
			})
		})
	}
}
