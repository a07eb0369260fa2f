package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// load says how hard and how often the gate measures.
type load struct {
	times        int
	length       time.Duration
	pebbleLength string
}

func (f *flags) gateLoad() load {
	l := load{times: 3, length: 20 * time.Second, pebbleLength: "2s"}
	if f.short {
		l = load{times: 1, length: 3 * time.Second, pebbleLength: "500ms"}
	}
	if f.times > 0 {
		l.times = f.times
	}
	if f.seconds > 0 {
		l.length = f.seconds
	}
	return l
}

// Shape of the closed loop of each profile: its median batch.
var closedBatch = map[string]string{micronode: "8", macronode: "16"}

// round is one run of both loads of a profile with the calibrations around it.
type round struct {
	Figures     figures     `json:"figures"`
	Calibration calibration `json:"calibration"`
	OtherCPU    float64     `json:"other_cpu_cores"` // most that anything else used meanwhile
}

// measureRound loads a profile: at its rate, and then as much as it takes.
func (h *harness) measureRound(ctx context.Context, profile string, l load) (r round, err error) {
	before, err := h.barePebble(ctx, l.pebbleLength)
	if err != nil {
		return r, err
	}
	open, err := h.spawned(ctx, "--profile", profile, "--duration", l.length.String(), "--warmup", "1s")
	if err != nil {
		return r, err
	}
	closed, err := h.spawned(ctx, "--node", profile, "--connections", "64", "--batch", closedBatch[profile], "--duration", l.length.String(), "--warmup", "1s")
	if err != nil {
		return r, err
	}
	after, err := h.barePebble(ctx, l.pebbleLength)
	if err != nil {
		return r, err
	}
	mean := func(a, b float64) float64 { return (a + b) / 2 }
	r.Calibration = calibration{
		HashesPerSecond:     mean(open.Calibration.HashesPerSecond, closed.Calibration.HashesPerSecond),
		FdatasyncP50Ms:      mean(open.Calibration.FdatasyncP50Ms, closed.Calibration.FdatasyncP50Ms),
		BarePebblePerSecond: mean(before, after),
	}
	r.OtherCPU = max(open.OtherCPU, closed.OtherCPU)
	r.Figures = figures{
		CommitP50Ms: open.Latency.P50, CommitP95Ms: open.Latency.P95, CommitP99Ms: open.Latency.P99,
		IngestRPSSustained: closed.RequestsPerSecond, RSSMiB: float64(open.RSSMaxBytes) / (1 << 20), CPUPct: 100 * open.ServerCPU,
		BackpressureFrac: open.BusyShare,
	}
	for _, b := range []*benchResult{open, closed} {
		if !b.Gapless {
			r.Figures.SeqGaps++
		}
	}
	return r, nil
}

// middleRound takes the median of each figure, but the worst of backpressure and gaps.
func middleRound(all []round) (m round) {
	f := func(of func(*figures) float64) float64 {
		return medianOf(all, func(r *round) float64 { return of(&r.Figures) })
	}
	m.Figures = figures{
		CommitP50Ms:        f(func(f *figures) float64 { return f.CommitP50Ms }),
		CommitP95Ms:        f(func(f *figures) float64 { return f.CommitP95Ms }),
		CommitP99Ms:        f(func(f *figures) float64 { return f.CommitP99Ms }),
		IngestRPSSustained: f(func(f *figures) float64 { return f.IngestRPSSustained }),
		RSSMiB:             f(func(f *figures) float64 { return f.RSSMiB }),
		CPUPct:             f(func(f *figures) float64 { return f.CPUPct }),
	}
	m.Calibration = calibration{
		HashesPerSecond:     medianOf(all, func(r *round) float64 { return r.Calibration.HashesPerSecond }),
		FdatasyncP50Ms:      medianOf(all, func(r *round) float64 { return r.Calibration.FdatasyncP50Ms }),
		BarePebblePerSecond: medianOf(all, func(r *round) float64 { return r.Calibration.BarePebblePerSecond }),
	}
	for _, r := range all {
		m.Figures.BackpressureFrac = max(m.Figures.BackpressureFrac, r.Figures.BackpressureFrac)
		m.Figures.SeqGaps += r.Figures.SeqGaps
		m.OtherCPU = max(m.OtherCPU, r.OtherCPU)
	}
	return m
}

func (h *harness) measureProfile(ctx context.Context, profile string, l load) (round, error) {
	var all []round
	for i := range l.times {
		say("%s: round %d of %d", profile, i+1, l.times)
		r, err := h.measureRound(ctx, profile, l)
		if err != nil {
			return r, err
		}
		all = append(all, r)
	}
	return middleRound(all), nil
}

// gateReport is the JSON that a gate leaves.
type gateReport struct {
	Time     time.Time                `json:"time"`
	Machine  machine                  `json:"machine"`
	Short    bool                     `json:"short"`
	Vectors  string                   `json:"vectors"` // what replaying the canonical vectors came to
	Profiles map[string]profileReport `json:"profiles"`
	Pass     bool                     `json:"pass"`
}

type profileReport struct {
	round
	Verdicts []verdict `json:"verdicts"`
	Metrics  string    `json:"metrics"` // file with what /metrics said under load
}

// gate measures both profiles and holds them against their baselines.
func gate(ctx context.Context, h *harness) error {
	report := gateReport{Time: time.Now().UTC(), Machine: thisMachine(h.dir), Short: h.short, Profiles: map[string]profileReport{}, Pass: true}
	var failed []error
	if !h.short {
		say("replay the canonical vectors")
		report.Vectors = "replayed by both profiles and both hashes, all as written"
		if err := h.tool(ctx, "go", "test", "./sidecar/sidecartest", "-run", "^TestVectors$", "-count", "1", "-timeout", "5m"); err != nil {
			report.Vectors, failed = err.Error(), append(failed, err)
		}
	}
	for _, profile := range []string{micronode, macronode} {
		p, err := h.gateProfile(ctx, profile, &report.Machine)
		if err != nil {
			return err
		}
		report.Profiles[profile] = p
		if names := failedFigures(p.Verdicts); len(names) > 0 {
			failed = append(failed, fmt.Errorf("%s got worse: %v", profile, names))
		}
	}
	report.Pass = len(failed) == 0
	if err := report.write(h.out); err != nil {
		return err
	}
	return errors.Join(failed...)
}

func (h *harness) gateProfile(ctx context.Context, profile string, m *machine) (p profileReport, err error) {
	base, err := readBaseline(h.baselines, profile)
	if err != nil && !(h.write && errors.Is(err, os.ErrNotExist)) {
		return p, err
	}
	if p.round, err = h.measureProfile(ctx, profile, h.gateLoad()); err != nil {
		return p, err
	}
	if p.Metrics, err = h.captureMetrics(ctx, profile); err != nil {
		return p, err
	}
	if !h.write {
		p.Verdicts = compare(profile, base, &p.Figures, &p.Calibration, h.short)
		return p, nil
	}
	if base == nil {
		base = &baseline{}
	}
	// What was waived so far is in the new figures; the lines stay as remarks.
	for i := range base.History {
		w := &base.History[i]
		if w.Figure != "" {
			w.What, w.Figure = w.Figure+": "+w.What, ""
		}
	}
	base.figures, base.Calibration, base.Machine = p.Figures, p.Calibration, *m
	return p, writeJSON(filepath.Join(h.baselines, profile, "baseline.json"), base)
}

// captureMetrics keeps what /metrics says of a profile under its load.
func (h *harness) captureMetrics(ctx context.Context, profile string) (file string, err error) {
	home, err := os.MkdirTemp(h.scratch, "home-")
	if err != nil {
		return "", err
	}
	n, err := h.startNode(ctx, home, profile)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	if _, err := h.bench(ctx, "--home", home, "--profile", profile, "--node", profile, "--duration", "1s", "--warmup", "0s"); err != nil {
		return "", err
	}
	text, err := n.metrics(ctx)
	if err != nil {
		return "", fmt.Errorf("capture /metrics: %w", err)
	}
	file = profile + "-metrics.txt"
	return file, os.WriteFile(filepath.Join(h.out, file), text, 0o644)
}

// readBaseline reads the baseline of a profile and checks its history.
func readBaseline(dir, profile string) (*baseline, error) {
	path := filepath.Join(dir, profile, "baseline.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b := new(baseline)
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := checkHistory(b.History); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
