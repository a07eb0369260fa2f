package scrape

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestMetricsQuantile(t *testing.T) {
	text := func(a, b, c int) Metrics {
		w := fmt.Sprintf(`# TYPE pebble_wal_fsync_seconds histogram
pebble_wal_fsync_seconds_bucket{le="0.001"} %d
pebble_wal_fsync_seconds_bucket{le="0.002"} %d
pebble_wal_fsync_seconds_bucket{le="+Inf"} %d
pebble_wal_fsync_seconds_sum 1
pebble_wal_fsync_seconds_count %[3]d
# TYPE pebble_stall_seconds_total counter
pebble_stall_seconds_total{db="log"} 1
pebble_stall_seconds_total{db="state"} 2
`, a, b, c)
		m, err := Parse(strings.NewReader(w))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	before, after := text(10, 10, 10), text(60, 110, 110)
	if got := Quantile(0.5, after.Buckets(Fsync, before)); math.Abs(got-0.001) > 1e-9 {
		t.Errorf("median %v, want 0.001", got)
	}
	if got := Quantile(0.75, after.Buckets(Fsync, before)); math.Abs(got-0.0015) > 1e-9 {
		t.Errorf("p75 %v, want 0.0015", got)
	}
	if got := Quantile(0.5, before.Buckets(Fsync, before)); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
	if got := after.Total("pebble_stall_seconds_total"); got != 3 {
		t.Errorf("stalled %v, want 3", got)
	}
}
