package sidecar

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/wire"
)

func TestDiskWatcher(t *testing.T) {
	var free uint64
	var failure error
	var said []wire.Reason
	d := &diskWatcher{
		space:  func() (uint64, uint64, error) { return free, 10_000, failure },
		refuse: func(r wire.Reason) { said = append(said, r) }, log: zap.NewNop(),
	}
	d.reserve.Store(800)
	const low = wire.ReasonDiskPressure
	for i, step := range []struct {
		free    uint64
		failure error
		want    []wire.Reason
		low     bool
	}{
		{5000, nil, nil, false},
		{800, nil, nil, false},
		{799, nil, []wire.Reason{low}, true},
		{0, nil, []wire.Reason{low}, true},
		{800, nil, nil, true}, // not below any more, but not an eighth above
		{899, nil, nil, true},
		{9000, errors.New("no answer"), nil, true}, // what it was stays
		{900, nil, []wire.Reason{0}, false},
		{900, nil, nil, false},
		{799, nil, []wire.Reason{low}, true},
	} {
		free, failure, said = step.free, step.failure, nil
		if err := d.look(); (err != nil) != (step.failure != nil) {
			t.Errorf("step %d: %v", i, err)
		}
		if !slices.Equal(said, step.want) || d.low.Load() != step.low {
			t.Errorf("step %d, %d free: said %v, low %v", i, step.free, said, d.low.Load())
		}
	}
}

func TestDiskWatcherStartsOnlyWhereItCanLook(t *testing.T) {
	d := &diskWatcher{space: func() (uint64, uint64, error) { return 0, 0, errors.New("no answer") }, log: zap.NewNop()}
	if err := d.start(time.Hour); err == nil {
		d.stop()
		t.Error("it started")
	}
}

// A disk that runs full under a running ledger, and is given room again.
func TestDiskPressureEndToEnd(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Disk.ReserveBytes = 1 << 20 })
	refusing := func(want wire.Reason) {
		t.Helper()
		o.until(fmt.Sprintf("appends to be refused with %v", want), func() bool { return o.committer.Refusing() == want })
	}
	refusing(0)
	o.fs.SetDiskUsage(1<<19, 1<<30)
	refusing(wire.ReasonDiskPressure)
	o.fs.SetDiskUsage(1<<21, 1<<30)
	refusing(0)
	o.commit(1)
	o.committer.Refuse(wire.ReasonSafeMode)
	o.fs.SetDiskUsage(1<<19, 1<<30)
	o.until("a low disk to be seen", o.disk.low.Load)
	o.fs.SetDiskUsage(1<<21, 1<<30)
	o.until("its end to be seen", func() bool { return !o.disk.low.Load() })
	refusing(wire.ReasonSafeMode)
}
