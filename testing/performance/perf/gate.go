package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// load says how hard and how often the gate measures.
type load struct {
	times        int
	length       time.Duration // of the open loop
	entries      int           // of the closed loop
	pebbleLength string
}

func (f *flags) gateLoad() load {
	l := load{times: 3, length: 20 * time.Second, pebbleLength: "2s"}
	if f.short {
		l = load{times: 1, length: 1500 * time.Millisecond, pebbleLength: "300ms"}
	}
	if f.times > 0 {
		l.times = f.times
	}
	if f.seconds > 0 {
		l.length = f.seconds
	}
	l.entries = int(closedEntries * l.length.Seconds())
	return l
}

// closedEntries is how many entries the closed loop books for each second of the open one: a number, not a time,
// since allocations and bytes an entry depend on how large a home is.
const closedEntries = 50_000

// Shape of the closed loop of each profile: its median batch.
var closedBatch = map[string]string{micronode: "8", macronode: "16"}

// round is one run of both loads of a profile with the calibrations around it.
type round struct {
	Figures     figures     `json:"figures"`
	Calibration calibration `json:"calibration"`
	OtherCPU    float64     `json:"other_cpu_cores"` // most that anything else used meanwhile
}

// measureRound loads a profile: at its rate, and then with a number of entries as fast as it takes them.
func (h *harness) measureRound(ctx context.Context, profile string, l load) (r round, err error) {
	before, err := h.barePebble(ctx, l.pebbleLength)
	if err != nil {
		return r, err
	}
	warmup := min(l.length/5, time.Second)
	open, err := h.spawned(ctx, "--profile", profile, "--duration", l.length.String(), "--warmup", warmup.String())
	if err != nil {
		return r, err
	}
	closed, err := h.closedLoop(ctx, profile, l.entries, &r.Figures)
	if err != nil {
		return r, err
	}
	after, err := h.barePebble(ctx, l.pebbleLength)
	if err != nil {
		return r, err
	}
	r.Calibration = calibration{
		HashesPerSecond: open.Calibration.HashesPerSecond, FdatasyncP50Ms: open.Calibration.FdatasyncP50Ms,
		BarePebblePerSecond: (before + after) / 2,
	}
	r.OtherCPU = max(open.OtherCPU, closed.OtherCPU)
	r.Figures.CommitP50Ms, r.Figures.CommitP95Ms, r.Figures.CommitP99Ms = open.Latency.P50, open.Latency.P95, open.Latency.P99
	r.Figures.RSSMiB, r.Figures.CPUPct = float64(open.RSSMaxBytes)/(1<<20), 100*open.ServerCPU
	r.Figures.BackpressureFrac = open.BusyShare
	for _, b := range []*benchResult{open, closed} {
		if !b.Gapless {
			r.Figures.SeqGaps++
		}
	}
	return r, nil
}

// closedWarmup is how many entries make accounts and buffers what they stay.
const closedWarmup = 30_000

// closedLoop books so many entries in a new home, keeps what /metrics says behind it, and fills in the figures
// that it is for.
func (h *harness) closedLoop(ctx context.Context, profile string, entries int, f *figures) (b *benchResult, err error) {
	home, err := h.newHome()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	n, err := h.startNode(ctx, home, profile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	book := func(entries int) (*benchResult, error) {
		return h.bench(ctx, "--home", home, "--node", profile, "--connections", "64", "--batch", closedBatch[profile],
			"--warmup", "0s", "--duration", "1h", "--entries", strconv.Itoa(entries))
	}
	if _, err := book(closedWarmup); err != nil {
		return nil, err
	}
	before, err := n.counts(ctx)
	if err != nil {
		return nil, err
	}
	if b, err = book(entries); err != nil {
		return nil, err
	}
	after, err := n.counts(ctx)
	if err != nil {
		return nil, err
	}
	booked := after.entries - before.entries
	f.AllocsPerEntry = (after.allocs - before.allocs) / booked
	f.WrittenBytesPerEntry = (after.written - before.written) / booked
	f.CPUMicrosPerEntry = b.ServerCPUMicrosPerEntry
	f.IngestRPSSustained = b.RequestsPerSecond
	return b, os.WriteFile(filepath.Join(h.out, metricsFile(profile)), after.text, 0o644)
}

// metricsFile has what /metrics said behind the closed loop of a profile.
func metricsFile(profile string) string { return profile + "-metrics.txt" }

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

		AllocsPerEntry:       f(func(f *figures) float64 { return f.AllocsPerEntry }),
		WrittenBytesPerEntry: f(func(f *figures) float64 { return f.WrittenBytesPerEntry }),
		CPUMicrosPerEntry:    f(func(f *figures) float64 { return f.CPUMicrosPerEntry }),
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
	Attempts int       `json:"attempts"`
	Foreign  bool      `json:"foreign,omitempty"` // the baseline is of another kind of machine
}

// shortAttempts is how often the short form measures a profile that seems worse before it says so: a neighbour
// makes one attempt worse, and a change makes all of them.
const shortAttempts = 3

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
	attempts := 1
	if h.short {
		attempts = shortAttempts
	}
	p.Metrics = metricsFile(profile)
	p.Foreign = base != nil && (base.Machine.CPU != m.CPU || base.Machine.Filesystem != m.Filesystem)
	for p.Attempts < attempts {
		p.Attempts++
		if p.round, err = h.measureProfile(ctx, profile, h.gateLoad()); err != nil {
			return p, err
		}
		if h.write {
			break
		}
		p.Verdicts = compare(profile, base, &p.Figures, &p.Calibration, h.short, p.Foreign)
		failed := failedFigures(p.Verdicts)
		if len(failed) == 0 {
			return p, nil
		}
		say("%s: attempt %d of %d was worse in %v", profile, p.Attempts, attempts, failed)
	}
	if !h.write {
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
