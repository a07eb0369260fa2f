package main

import (
	"fmt"
	"math"
)

// baseline is one file of testing/performance/baselines: the figures of the
// specification, where they were taken, what the machine did beside them, and what has
// been waived since.
type baseline struct {
	figures
	Machine     machine              `json:"machine"`
	Calibration calibration          `json:"calibration"`
	Short       map[string]deviation `json:"short"` // of the short form, by figure; made by spread
	History     []waiver             `json:"history"`
}

// figures are those that are gated. The first six have the names of the specification.
type figures struct {
	CommitP95Ms        float64 `json:"commit_p95_ms"`
	CommitP99Ms        float64 `json:"commit_p99_ms"`
	IngestRPSSustained float64 `json:"ingest_rps_sustained"` // closed loop, 64 connections × the median batch
	RSSMiB             float64 `json:"rss_mib"`
	CPUPct             float64 `json:"cpu_pct"` // of one core, at the rate of the profile
	BackpressureFrac   float64 `json:"backpressure_frac"`
	CommitP50Ms        float64 `json:"commit_p50_ms"`
	SeqGaps            int     `json:"seq_gaps"`

	// Counts of a closed loop of a fixed number of entries, which depend on nothing but
	// the program and how requests meet in commits.
	AllocsPerEntry       float64 `json:"allocs_per_entry"`
	WrittenBytesPerEntry float64 `json:"written_bytes_per_entry"` // handed to the kernel, answers included
	CPUMicrosPerEntry    float64 `json:"cpu_us_per_entry"`        // of the closed loop
}

// calibration is what the machine does without us.
type calibration struct {
	HashesPerSecond     float64 `json:"blake3_hashes_per_second"` // of 224 bytes, on one core
	FdatasyncP50Ms      float64 `json:"fdatasync_p50_ms"`         // behind 3 KB appended
	BarePebblePerSecond float64 `json:"bare_pebble_entries_per_second"`
}

// waiver lets one figure be worse than the baseline, by After/Before. Both are ratios, as
// the report prints them.
type waiver struct {
	Date   string  `json:"date"`
	Figure string  `json:"figure,omitempty"` // empty: a remark, which waives nothing
	What   string  `json:"what"`
	Why    string  `json:"why"`
	Before float64 `json:"before,omitempty"`
	After  float64 `json:"after,omitempty"`
}

// Tolerances of the specification for ratios, and its bound for backpressure.
const (
	toleranceSpeed  = 0.10
	toleranceUse    = 0.15
	backpressureMax = 0.01

	// What the short form allows at least of a figure that is divided by what the machine does: a second of a
	// closed loop beside a neighbour. And the same where the baseline is of another kind of machine, whose disk
	// and processor stand in another relation.
	toleranceShort   = 0.25
	toleranceGrouped = 0.50 // of allocations: they are a commit's, and how many requests meet in one is the machine's
	toleranceForeign = 0.60
)

// verdict is one figure against its baseline.
type verdict struct {
	Figure    string  `json:"figure"`
	Measured  float64 `json:"measured"` // as it was taken
	Ratio     float64 `json:"ratio"`    // to its calibration
	Baseline  float64 `json:"baseline"` // ratio
	Worse     float64 `json:"worse"`    // 0.1: by a tenth; below 0: better
	Tolerance float64 `json:"tolerance"`
	Waived    bool    `json:"waived,omitempty"` // Baseline is from the history
	Pass      bool    `json:"pass"`
}

// gated says how a figure is divided and which way is worse.
type gated struct {
	name      string
	of        func(*figures) float64
	ratio     func(value float64, c *calibration) float64
	more      bool // more is better
	tolerance float64
	long      bool // the short form leaves it to the long one: it is the tail of few seconds
}

// divided reports whether the figure depends on what the machine does beside it.
func (g *gated) divided() bool {
	return g.ratio(1, &calibration{1, 1, 1}) != g.ratio(1, &calibration{2, 2, 2})
}

func gatedFigures(profile string) []gated {
	latency, rate := bySync, byPebble
	if profile == micronode {
		latency, rate = byHashTime, byHashRate
	}
	return []gated{
		{"commit_p50_ms", func(f *figures) float64 { return f.CommitP50Ms }, latency, false, toleranceSpeed, true},
		{"commit_p95_ms", func(f *figures) float64 { return f.CommitP95Ms }, latency, false, toleranceSpeed, true},
		{"commit_p99_ms", func(f *figures) float64 { return f.CommitP99Ms }, latency, false, toleranceSpeed, true},
		{"ingest_rps_sustained", func(f *figures) float64 { return f.IngestRPSSustained }, rate, true, toleranceSpeed, false},
		{"cpu_pct", func(f *figures) float64 { return f.CPUPct }, byHashTime, false, toleranceUse, true},
		{"cpu_us_per_entry", func(f *figures) float64 { return f.CPUMicrosPerEntry }, byHashTime, false, toleranceUse, false},
		{"rss_mib", func(f *figures) float64 { return f.RSSMiB }, asItIs, false, toleranceUse, false},
		{"allocs_per_entry", func(f *figures) float64 { return f.AllocsPerEntry }, asItIs, false, toleranceUse, false},
		{"written_bytes_per_entry", func(f *figures) float64 { return f.WrittenBytesPerEntry }, asItIs, false, toleranceUse, false},
	}
}

func bySync(ms float64, c *calibration) float64    { return ms / c.FdatasyncP50Ms }
func byPebble(rps float64, c *calibration) float64 { return rps / c.BarePebblePerSecond }
func asItIs(value float64, _ *calibration) float64 { return value }

// byHashTime gives times in units of a thousand hashes, byHashRate requests by thousands of hashes.
func byHashTime(x float64, c *calibration) float64 { return x * c.HashesPerSecond / 1e6 }
func byHashRate(x float64, c *calibration) float64 { return x / c.HashesPerSecond * 1e3 }

// compare holds a measurement against its baseline. short asks for the short form, with its own medians and
// tolerances: a run of a second or two does not reach the figures of a longer one, and says nothing of latencies
// beside a noisy neighbour. foreign says that the baseline was taken on another kind of machine. Figures that are missing from either side fail: a gate that has nothing to judge is open.
func compare(profile string, base *baseline, now *figures, c *calibration, short, foreign bool) (all []verdict) {
	for _, g := range gatedFigures(profile) {
		if short && g.long {
			continue
		}
		v := verdict{Figure: g.name, Measured: g.of(now), Tolerance: g.tolerance}
		v.Ratio = g.ratio(v.Measured, c)
		v.Baseline = g.ratio(g.of(&base.figures), &base.Calibration)
		if short {
			v.Baseline, v.Tolerance = base.Short[g.name].Median, base.Short[g.name].Tolerance
		}
		if foreign && g.divided() {
			v.Tolerance = max(v.Tolerance, toleranceForeign)
		}
		unwaived := v.Baseline
		for _, w := range base.History {
			if w.Figure == g.name {
				v.Baseline, v.Waived = unwaived*w.After/w.Before, true
			}
		}
		v.Worse = v.Ratio/v.Baseline - 1
		if g.more {
			v.Worse = v.Baseline/v.Ratio - 1
		}
		sound := v.Ratio > 0 && v.Baseline > 0 && !math.IsInf(v.Ratio, 0) && !math.IsInf(v.Baseline, 0)
		v.Pass = sound && v.Worse <= v.Tolerance
		if !sound {
			v.Ratio, v.Worse = 0, 0 // JSON has no NaN
		}
		all = append(all, v)
	}
	return append(all,
		verdict{Figure: "backpressure_frac", Measured: now.BackpressureFrac, Tolerance: backpressureMax, Pass: now.BackpressureFrac <= backpressureMax},
		verdict{Figure: "seq_gaps", Measured: float64(now.SeqGaps), Pass: now.SeqGaps == 0})
}

// checkHistory returns an error for a line that does not say what a waiver has to.
func checkHistory(lines []waiver) error {
	for i, w := range lines {
		switch {
		case w.Date == "" || w.What == "" || w.Why == "":
			return fmt.Errorf("history line %d: date, what and why are wanted", i+1)
		case w.Figure == "":
		case !gatedName(w.Figure):
			return fmt.Errorf("history line %d: %q is no figure that can be waived", i+1, w.Figure)
		case w.Before <= 0 || w.After <= 0:
			return fmt.Errorf("history line %d: the ratios before and after are wanted", i+1)
		}
	}
	return nil
}

func gatedName(name string) bool {
	for _, g := range gatedFigures(macronode) {
		if g.name == name {
			return true
		}
	}
	return false
}

func failedFigures(all []verdict) (names []string) {
	for _, v := range all {
		if !v.Pass {
			names = append(names, v.Figure)
		}
	}
	return names
}
