package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// budgetLoads are the loads whose entries are taken apart.
var budgetLoads = []struct {
	name string
	args []string
}{
	{"1,200 requests/s", []string{"--profile", macronode}},
	{"64 × 16", []string{"--connections", "64", "--batch", "16"}},
	{"64 × 1,000", []string{"--connections", "64", "--batch", "1000"}},
}

// budgetReport says where the CPU of an entry goes, in nanoseconds.
type budgetReport struct {
	Machine machine        `json:"machine"`
	Loads   []loadBudget   `json:"loads"`
	Floor   []floorStation `json:"floor"`
}

type loadBudget struct {
	Load             string             `json:"load"`
	EntriesPerSecond float64            `json:"entries_per_second"`
	Stations         map[string]float64 `json:"stations_ns"`
	SampledNs        float64            `json:"sampled_ns"`  // sum of the stations
	MeasuredNs       float64            `json:"measured_ns"` // what the kernel counts for the process
}

// floorStation is what the machine takes for a part of the work alone.
type floorStation struct {
	Name string  `json:"name"`
	Ns   float64 `json:"ns"`
	From string  `json:"from"`
}

// budget profiles a sidecar under each load and adds up the samples by station. It leaves budget.json and budget.md.
func budget(ctx context.Context, h *harness) error {
	length := 10 * time.Second
	if h.seconds > 0 {
		length = h.seconds
	}
	report := budgetReport{Machine: thisMachine(h.dir)}
	for i, load := range budgetLoads {
		say("%s", load.name)
		one, err := h.loadBudget(ctx, load.args, length, filepath.Join(h.scratch, "budget"+strconv.Itoa(i)+".pprof"))
		if err != nil {
			return err
		}
		one.Load = load.name
		report.Loads = append(report.Loads, *one)
	}
	var err error
	if report.Floor, err = h.floor(ctx); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(h.out, "budget.json"), &report); err != nil {
		return err
	}
	text := report.markdown()
	fmt.Print(text)
	return os.WriteFile(filepath.Join(h.out, "budget.md"), []byte(text), 0o644)
}

// loadBudget runs one load under the profiler. The profile covers the start and the warm-up as well, as does the
// number of entries that it is divided by.
func (h *harness) loadBudget(ctx context.Context, args []string, length time.Duration, profile string) (*loadBudget, error) {
	b, err := h.spawned(ctx, append([]string{"--cpuprofile", profile, "--duration", length.String(), "--warmup", "1s"}, args...)...)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", filepath.Join(h.bin, "ledgerctl"), profile)
	traces, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("read the CPU profile: %w", err)
	}
	one := &loadBudget{EntriesPerSecond: b.EntriesPerSecond, Stations: map[string]float64{}, MeasuredNs: 1e3 * b.ServerCPUMicrosPerEntry}
	for name, took := range attribute(string(traces)) {
		ns := float64(took.Nanoseconds()) / float64(b.EndSize)
		one.Stations[name] = ns
		one.SampledNs += ns
	}
	return one, nil
}

// floor is what the pieces cost that nobody can do without, measured alone.
func (h *harness) floor(ctx context.Context) (all []floorStation, err error) {
	add := func(name, pkg, bench, unit string) {
		m, err1 := h.benchmarked(ctx, pkg, bench, "1s")
		if err1 != nil {
			err = errors.Join(err, err1)
			return
		}
		all = append(all, floorStation{name, m[unit], fmt.Sprintf("`go test ./%s -run '^$' -bench '%s'`", pkg, bench)})
	}
	add("leaf hash of a record, BLAKE3", "committer/merkle", "^BenchmarkLeaf$/^blake3$/^200$", "ns/op")
	add("leaf hash of a record, SHA-256", "committer/merkle", "^BenchmarkLeaf$/^sha256$/^200$", "ns/op")
	add("node hash, BLAKE3", "committer/merkle", "^BenchmarkNode$/^blake3$", "ns/op")
	add("everything in process, on disk, 1,024 a request", "committer", "^BenchmarkPipeline$/^disk$/^entries=1024$", "ns/entry")
	pebble, err1 := h.barePebble(ctx, "2s")
	all = append(all, floorStation{"bare Pebble: entry and random index key, 1,024 a batch", 1e9 / pebble, "`go test ./store -run '^$' -bench BarePebble`"})
	return all, errors.Join(err, err1)
}

func (r *budgetReport) markdown() string {
	var b strings.Builder
	b.WriteString("| station, ns an entry |")
	for _, l := range r.Loads {
		fmt.Fprintf(&b, " %s |", l.Load)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.Loads)) + "\n")
	row := func(name string, of func(*loadBudget) float64) {
		fmt.Fprintf(&b, "| %s |", name)
		for i := range r.Loads {
			fmt.Fprintf(&b, " %.0f |", of(&r.Loads[i]))
		}
		b.WriteString("\n")
	}
	for _, s := range stations {
		row(s.name, func(l *loadBudget) float64 { return l.Stations[s.name] })
	}
	row(otherStation, func(l *loadBudget) float64 { return l.Stations[otherStation] })
	row("all samples", func(l *loadBudget) float64 { return l.SampledNs })
	row("as the kernel counts", func(l *loadBudget) float64 { return l.MeasuredNs })
	row("entries/s", func(l *loadBudget) float64 { return l.EntriesPerSecond })
	b.WriteString("\n| floor: alone, on the same machine | ns | command |\n|---|---|---|\n")
	for _, f := range r.Floor {
		fmt.Fprintf(&b, "| %s | %.0f | %s |\n", f.Name, f.Ns, f.From)
	}
	return b.String()
}
