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
	if got := after.Sum("pebble_stall_seconds_total"); got != 3 {
		t.Errorf("stalled %v, want 3", got)
	}
}

func TestMetricsSumAndAbove(t *testing.T) {
	m, err := Parse(strings.NewReader("# TYPE c counter\nc 1\n# TYPE q gauge\nq{x=\"1\"} 2\nq{x=\"2\"} 3.5\n# TYPE qq gauge\nqq 7\n" +
		"# TYPE h histogram\nh_bucket{le=\"0.15\"} 4\nh_bucket{le=\"0.3\"} 6\nh_bucket{le=\"+Inf\"} 9\nh_sum 2\nh_count 9\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		what      string
		got, want float64
	}{
		{"c", m.Sum("c"), 1}, {"q", m.Sum("q"), 5.5}, {"q of 2", m.Sum("q", "x", "2"), 3.5}, {"q of 3", m.Sum("q", "x", "3"), 0}, {"none", m.Sum("no"), 0},
		{"h above 0.15", m.Above("h", 0.15), 5}, {"h above 0.3", m.Above("h", 0.3), 3}, {"h above what is no bound", m.Above("h", 0.2), 0},
	} {
		if row.got != row.want {
			t.Errorf("%s is %v, want %v", row.what, row.got, row.want)
		}
	}
	if _, err := Parse(strings.NewReader("bad\n")); err == nil {
		t.Error("what is no metric is read")
	}
}
