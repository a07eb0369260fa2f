package bench

import (
	"math"
	"strings"
	"testing"
	"time"
)

// The sizes of a request do not depend on when, or how often, they are asked for, and
// have the distribution that the profile names.
func TestBatchSizes(t *testing.T) {
	p := Plan{batch: 16, batchP90: 64, maxBatch: 2048}
	forwards, backwards := newBatchSizes(&p), newBatchSizes(&p)
	const n = 20_000
	var first, again [n]float64
	for i := range n {
		first[i] = float64(forwards.of(i))
		again[n-1-i] = float64(backwards.of(n - 1 - i))
	}
	if first != again {
		t.Error("a request has another size when it is asked for in another order")
	}
	for q, want := range map[float64]float64{0.5: 16, 0.9: 64} {
		if got := percentileOf(first[:], q); math.Abs(got-want) > 0.1*want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	p.batchP90 = 0
	alike := newBatchSizes(&p)
	for i := range 100 {
		if got := alike.of(i); got != 16 {
			t.Fatalf("request %d has %d entries, want 16", i, got)
		}
	}
}

func TestGrowthConclude(t *testing.T) {
	all := newTally()
	for i := range all.spans {
		all.spans[i] = newLatencies()
		for range 100 {
			_ = all.spans[i].RecordValue(int64(1000 * (i + 1)))
		}
	}
	for _, c := range []struct {
		name       string
		rss        func(i int) int64
		begin, end int64
	}{
		{"steady", func(int) int64 { return 100 }, 100, 100},
		{"start-up is forgiven", func(i int) int64 { return int64(min(i, 10) * 10) }, 100, 100},
		{"growing", func(i int) int64 { return int64(i) }, 15, 55},
	} {
		g := growth{reached: 7}
		for i := range 60 {
			g.series = append(g.series, footprint{RSSBytes: c.rss(i), Goroutines: 3, Descriptors: i / 30})
		}
		s := g.conclude(all)
		if s.Begin.RSSBytes != c.begin || s.End.RSSBytes != c.end {
			t.Errorf("%s: RSS %d to %d, want %d to %d", c.name, s.Begin.RSSBytes, s.End.RSSBytes, c.begin, c.end)
		}
		if s.Begin.Descriptors != 0 || s.End.Descriptors != 1 || s.End.Goroutines != 3 {
			t.Errorf("%s: %+v to %+v", c.name, s.Begin, s.End)
		}
		if math.Abs(s.EarlyP99Ms-1) > 0.01 || math.Abs(s.LateP99Ms-2) > 0.01 {
			t.Errorf("%s: p99 %v and %v ms, want 1 and 2", c.name, s.EarlyP99Ms, s.LateP99Ms)
		}
	}
	if s := (&growth{series: make([]footprint, soakParts-1)}).conclude(all); s != nil {
		t.Errorf("a run that nobody watched is judged: %+v", s)
	}
}

func TestPlotLatencies(t *testing.T) {
	h := newLatencies()
	if plot := plotLatencies(h); plot != "" {
		t.Errorf("nothing is plotted as\n%s", plot)
	}
	for i := range 1000 {
		_ = h.RecordValue(int64(100 + i*i))
	}
	lines := strings.Split(strings.TrimSuffix(plotLatencies(h), "\n"), "\n")
	if len(lines) != len(plotQuantiles) {
		t.Fatalf("%d lines, want one for each of %d quantiles", len(lines), len(plotQuantiles))
	}
	last := 0
	for _, line := range lines {
		width := strings.Count(line, "█")
		if width < last || width > plotWidth {
			t.Errorf("bar of %d behind one of %d: %s", width, last, line)
		}
		last = width
	}
	if last != plotWidth {
		t.Errorf("the slowest has a bar of %d, want %d", last, plotWidth)
	}
}

func TestSoakPlan(t *testing.T) {
	none := func(string) bool { return false }
	p := NewPlan()
	p.profile = profileSoak
	if err := p.Settle(none); err != nil {
		t.Fatal(err)
	}
	if p.batch != 1 || p.duration != soakLength || p.readers != soakReaders || p.schedule != nil {
		t.Errorf("soak is planned as %+v", p)
	}
	p = NewPlan()
	p.profile, p.rate, p.duration = profileSoak, 500, time.Minute
	if err := p.Settle(func(flag string) bool { return flag == "rate" || flag == "duration" }); err != nil {
		t.Fatal(err)
	}
	if p.duration != time.Minute || p.schedule == nil {
		t.Errorf("a soak at a given rate is planned as %+v", p)
	}
	p = NewPlan()
	p.replay = "journal"
	if err := p.Settle(none); err != nil || p.connections != 1 || p.batch != replayBatch || p.inflight != replayInflight {
		t.Errorf("replay is planned as %+v, %v", p, err)
	}
}
