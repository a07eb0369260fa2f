package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func sampleBaseline() *baseline {
	return &baseline{
		figures: figures{
			CommitP50Ms: 0.4, CommitP95Ms: 1, CommitP99Ms: 2, IngestRPSSustained: 20_000, RSSMiB: 150, CPUPct: 30,
			AllocsPerEntry: 0.2, WrittenBytesPerEntry: 500, CPUMicrosPerEntry: 3,
		},
		Calibration: calibration{HashesPerSecond: 2e6, FdatasyncP50Ms: 0.2, BarePebblePerSecond: 300_000},
		Short: map[string]deviation{
			"ingest_rps_sustained": {Median: 20_000. / 300_000, Tolerance: 0.5}, "cpu_us_per_entry": {Median: 6, Tolerance: 0.4},
			"rss_mib": {Median: 150, Tolerance: 0.2}, "allocs_per_entry": {Median: 0.2, Tolerance: 0.3}, "written_bytes_per_entry": {Median: 500, Tolerance: 0.2},
		},
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name    string
		profile string
		short   bool
		foreign bool
		change  func(base *baseline, now *figures, c *calibration)
		fails   []string
	}{
		{name: "the same"},
		{name: "a machine of half the speed", change: func(_ *baseline, now *figures, c *calibration) {
			c.HashesPerSecond, c.FdatasyncP50Ms, c.BarePebblePerSecond = 1e6, 0.4, 150_000
			now.CommitP50Ms, now.CommitP95Ms, now.CommitP99Ms = 0.8, 2, 4
			now.IngestRPSSustained, now.CPUPct, now.CPUMicrosPerEntry = 10_000, 60, 6
		}},
		{name: "a faster machine hides nothing", change: func(_ *baseline, _ *figures, c *calibration) {
			c.HashesPerSecond, c.FdatasyncP50Ms, c.BarePebblePerSecond = 4e6, 0.1, 600_000
		}, fails: []string{"commit_p50_ms", "commit_p95_ms", "commit_p99_ms", "ingest_rps_sustained", "cpu_pct", "cpu_us_per_entry"}},
		{name: "latency just inside", change: func(_ *baseline, now *figures, _ *calibration) { now.CommitP99Ms = 2.19 }},
		{name: "p50", change: func(_ *baseline, now *figures, _ *calibration) { now.CommitP50Ms = 0.45 }, fails: []string{"commit_p50_ms"}},
		{name: "p95", change: func(_ *baseline, now *figures, _ *calibration) { now.CommitP95Ms = 1.11 }, fails: []string{"commit_p95_ms"}},
		{name: "p99", change: func(_ *baseline, now *figures, _ *calibration) { now.CommitP99Ms = 2.21 }, fails: []string{"commit_p99_ms"}},
		{name: "throughput", change: func(_ *baseline, now *figures, _ *calibration) { now.IngestRPSSustained = 18_000 }, fails: []string{"ingest_rps_sustained"}},
		{name: "throughput just inside", change: func(_ *baseline, now *figures, _ *calibration) { now.IngestRPSSustained = 18_200 }},
		{name: "CPU", change: func(_ *baseline, now *figures, _ *calibration) { now.CPUPct = 35 }, fails: []string{"cpu_pct"}},
		{name: "CPU of the closed loop", change: func(_ *baseline, now *figures, _ *calibration) { now.CPUMicrosPerEntry = 3.5 }, fails: []string{"cpu_us_per_entry"}},
		{name: "allocations", change: func(_ *baseline, now *figures, _ *calibration) { now.AllocsPerEntry = 1.2 }, fails: []string{"allocs_per_entry"}},
		{name: "written twice", change: func(_ *baseline, now *figures, _ *calibration) { now.WrittenBytesPerEntry = 700 }, fails: []string{"written_bytes_per_entry"}},
		{name: "memory", change: func(_ *baseline, now *figures, _ *calibration) { now.RSSMiB = 173 }, fails: []string{"rss_mib"}},
		{name: "all better", change: func(_ *baseline, now *figures, _ *calibration) {
			*now = figures{CommitP50Ms: 0.1, CommitP95Ms: 0.2, CommitP99Ms: 0.3, IngestRPSSustained: 1e6, RSSMiB: 20, CPUPct: 3,
				AllocsPerEntry: 0.1, WrittenBytesPerEntry: 300, CPUMicrosPerEntry: 1}
		}},
		{name: "busy", change: func(_ *baseline, now *figures, _ *calibration) { now.BackpressureFrac = 0.011 }, fails: []string{"backpressure_frac"}},
		{name: "a gap", change: func(_ *baseline, now *figures, _ *calibration) { now.SeqGaps = 1 }, fails: []string{"seq_gaps"}},
		{name: "not measured", change: func(_ *baseline, now *figures, _ *calibration) { now.CommitP99Ms, now.CPUPct = 0, 0 }, fails: []string{"commit_p99_ms", "cpu_pct"}},
		{name: "not calibrated", change: func(_ *baseline, _ *figures, c *calibration) { c.FdatasyncP50Ms = 0 }, fails: []string{"commit_p50_ms", "commit_p95_ms", "commit_p99_ms"}},
		{name: "a baseline without figures", change: func(base *baseline, _ *figures, _ *calibration) { base.RSSMiB = 0 }, fails: []string{"rss_mib"}},
		{name: "in memory it is not the disk that counts", profile: micronode, change: func(_ *baseline, _ *figures, c *calibration) {
			c.FdatasyncP50Ms, c.BarePebblePerSecond = 0.02, 3e6
		}},
		{name: "in memory it is the hashes", profile: micronode, change: func(_ *baseline, _ *figures, c *calibration) { c.HashesPerSecond = 3e6 },
			fails: []string{"commit_p50_ms", "commit_p95_ms", "commit_p99_ms", "ingest_rps_sustained", "cpu_pct", "cpu_us_per_entry"}},
		{name: "another kind of machine, inside", foreign: true, change: func(_ *baseline, now *figures, _ *calibration) {
			now.CommitP99Ms, now.IngestRPSSustained, now.CPUMicrosPerEntry = 3.1, 13_000, 4.7
		}},
		{name: "another kind of machine, outside", foreign: true, change: func(_ *baseline, now *figures, _ *calibration) {
			now.CommitP99Ms, now.IngestRPSSustained, now.CPUMicrosPerEntry = 3.3, 12_000, 4.9
		}, fails: []string{"commit_p99_ms", "ingest_rps_sustained", "cpu_us_per_entry"}},
		{name: "memory is the same on every machine", foreign: true, change: func(_ *baseline, now *figures, _ *calibration) {
			now.RSSMiB, now.AllocsPerEntry = 175, 0.24
		}, fails: []string{"rss_mib", "allocs_per_entry"}},
		{name: "short, inside", short: true, change: func(_ *baseline, now *figures, _ *calibration) { now.IngestRPSSustained = 14_000 }},
		{name: "short, outside", short: true, change: func(_ *baseline, now *figures, _ *calibration) { now.IngestRPSSustained = 13_000 }, fails: []string{"ingest_rps_sustained"}},
		{name: "short leaves latencies to the long form", short: true, change: func(_ *baseline, now *figures, _ *calibration) {
			now.CommitP50Ms, now.CommitP95Ms, now.CommitP99Ms, now.CPUPct = 100, 100, 100, 100
		}},
		{name: "short, a gap", short: true, change: func(_ *baseline, now *figures, _ *calibration) { now.SeqGaps = 1 }, fails: []string{"seq_gaps"}},
		{name: "short has figures of its own", short: true, change: func(base *baseline, now *figures, _ *calibration) {
			base.RSSMiB, now.RSSMiB = 500, 181
		}, fails: []string{"rss_mib"}},
		{name: "short without them is no gate", short: true, change: func(base *baseline, _ *figures, _ *calibration) {
			delete(base.Short, "rss_mib")
		}, fails: []string{"rss_mib"}},
		{name: "short, waived", short: true, change: func(base *baseline, now *figures, _ *calibration) {
			base.History = []waiver{{Date: "d", Figure: "rss_mib", What: "w", Why: "y", Before: 100, After: 200}}
			now.RSSMiB = 310
		}},
		{name: "waived", change: func(base *baseline, now *figures, _ *calibration) {
			base.History = []waiver{{Date: "d", Figure: "commit_p99_ms", What: "w", Why: "y", Before: 10, After: 15}}
			now.CommitP99Ms = 3.2
		}},
		{name: "waived, and worse than that", change: func(base *baseline, now *figures, _ *calibration) {
			base.History = []waiver{{Date: "d", Figure: "commit_p99_ms", What: "w", Why: "y", Before: 10, After: 15}}
			now.CommitP99Ms = 3.4
		}, fails: []string{"commit_p99_ms"}},
		{name: "the last waiver counts, and a remark waives nothing", change: func(base *baseline, now *figures, _ *calibration) {
			base.History = []waiver{
				{Date: "d", Figure: "rss_mib", What: "w", Why: "y", Before: 150, After: 300},
				{Date: "d", Figure: "rss_mib", What: "w", Why: "y", Before: 300, After: 160},
				{Date: "d", What: "all of it", Why: "y"},
			}
			now.RSSMiB = 250
		}, fails: []string{"rss_mib"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := sampleBaseline()
			now, calibrated := base.figures, base.Calibration
			if c.profile == "" {
				c.profile = macronode
			}
			if c.change != nil {
				c.change(base, &now, &calibrated)
			}
			all := compare(c.profile, base, &now, &calibrated, c.short, c.foreign)
			if got := failedFigures(all); !slices.Equal(got, c.fails) {
				t.Errorf("fails by %v, want %v\n%+v", got, c.fails, all)
			}
			if _, err := json.Marshal(all); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckHistory(t *testing.T) {
	whole := waiver{Date: "2026-01-01", Figure: "rss_mib", What: "larger cache", Why: "fewer reads", Before: 100, After: 140}
	for _, c := range []struct {
		name   string
		change func(*waiver)
		ok     bool
	}{
		{"whole", func(*waiver) {}, true},
		{"a remark", func(w *waiver) { w.Figure, w.Before, w.After = "", 0, 0 }, true},
		{"no date", func(w *waiver) { w.Date = "" }, false},
		{"no reason", func(w *waiver) { w.Why = "" }, false},
		{"does not say what", func(w *waiver) { w.What = "" }, false},
		{"no figure after", func(w *waiver) { w.After = 0 }, false},
		{"no figure before", func(w *waiver) { w.Before = 0 }, false},
		{"gaps cannot be waived", func(w *waiver) { w.Figure = "seq_gaps" }, false},
		{"backpressure cannot be waived", func(w *waiver) { w.Figure = "backpressure_frac" }, false},
	} {
		w := whole
		c.change(&w)
		if err := checkHistory([]waiver{whole, w}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The baselines of the repository can be judged by: each of their figures passes
// against itself.
func TestBaselines(t *testing.T) {
	for _, profile := range []string{micronode, macronode} {
		base, err := readBaseline(filepath.Join("..", "baselines"), profile)
		if err != nil {
			t.Fatal(err)
		}
		base.History = nil
		for _, short := range []bool{false, true} {
			for _, v := range compare(profile, base, &base.figures, &base.Calibration, short, false) {
				if v.Baseline == 0 && v.Tolerance == 0 && v.Figure != "seq_gaps" || !short && !v.Pass {
					t.Errorf("%s: %+v", profile, v)
				}
			}
		}
		for _, g := range gatedFigures(profile) {
			if !g.long && base.Short[g.name].Tolerance <= 0 {
				t.Errorf("%s: short has no %s", profile, g.name)
			}
		}
	}
	if _, err := readBaseline(filepath.Join("..", "baselines"), "other"); !os.IsNotExist(err) {
		t.Errorf("a baseline that is missing: %v", err)
	}
}
