package sidecar

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestShare: uploads are spread over the time that the last one took, and one that took long holds nothing up.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := &syncing{uploads: 4}
		wait := func() time.Duration {
			from, until := y.share(time.Now())
			if got, want := time.Until(until), time.Until(from)*3/2; got != want {
				t.Errorf("it waits until %v, want %v", got, want)
			}
			return time.Until(from)
		}
		if got := wait(); got != 0 {
			t.Errorf("the first waits for %v", got)
		}
		for _, test := range []struct{ took, want time.Duration }{
			{20 * time.Millisecond, 5 * time.Millisecond}, {time.Millisecond, time.Millisecond / 4}, {time.Minute, shareMax},
		} {
			began, size := time.Now(), y.shipped.Load()+5
			y.begun(cut{size: size, all: true, at: began})
			y.begun(cut{size: size + 1, at: began})
			time.Sleep(test.took)
			y.shipped.Store(size)
			if all := y.arrived(size); !all.Equal(began) || len(y.cuts) != 1 {
				t.Errorf("all until %v is archived, want %v; %d are on their way", all, began, len(y.cuts))
			}
			if got := wait(); got != test.want {
				t.Errorf("behind an upload of %v the next one waits for %v, want %v", test.took, got, test.want)
			}
			y.shipped.Store(size + 1)
			if all := y.arrived(size + 1); !all.IsZero() || len(y.cuts) != 0 {
				t.Errorf("all until %v is archived; %d are on their way", all, len(y.cuts))
			}
			y.begun(cut{size: size + 1, at: began}) // it has ended before
			if len(y.cuts) != 0 {
				t.Error("what has ended is on its way")
			}
		}
	})
}

// TestGather: a segment waits for its share, then for half as much as the one before it carried, and for no longer than it may.
func TestGather(t *testing.T) {
	type growth struct {
		after time.Duration
		size  uint64
	}
	const share = 8 * time.Millisecond
	for _, test := range []struct {
		name   string
		grows  []growth
		ago    time.Duration // the last cut
		cancel time.Duration
		want   time.Duration
	}{
		{"enough is there", []growth{{0, 120}}, 0, time.Hour, share},
		{"enough is there, later than its share", []growth{{0, 120}}, 2 * share, time.Hour, 0},
		{"it comes in two", []growth{{0, 101}, {10 * time.Millisecond, 110}}, 0, time.Hour, 10 * time.Millisecond},
		{"it does not come", []growth{{0, 101}}, 0, time.Hour, share * 3 / 2},
		{"the last cut was long ago", []growth{{0, 101}}, time.Second, time.Hour, 0},
		{"the sidecar stops amid its share", nil, 0, 3 * time.Millisecond, 3 * time.Millisecond},
		{"the sidecar stops", nil, 0, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := &syncing{more: make(chan struct{}, 1), uploads: 4, took: 4 * share}
				y.durable.Store(100)
				ctx, cancel := context.WithTimeout(t.Context(), test.cancel)
				defer cancel()
				began := time.Now()
				for _, g := range test.grows {
					time.AfterFunc(g.after, func() { y.grown(g.size) })
				}
				synctest.Wait()
				y.gather(ctx, cut{size: 100, carried: 20, at: began.Add(-test.ago)})
				if took := time.Since(began); took != test.want {
					t.Errorf("it waited for %v, want %v", took, test.want)
				}
			})
		})
	}
}
