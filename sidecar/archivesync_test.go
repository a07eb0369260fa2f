package sidecar

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestShare: uploads are spread over the time that the last one took, and one that took long holds nothing up.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := &syncing{uploads: 4}
		wait := func() time.Duration { return time.Until(y.share(time.Now())) }
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
