package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// knob is one setting that differs from the default: in the environment of the sidecar, in the
// load, or in how the programs are built.
type knob struct {
	Name  string   `json:"name"`
	Value string   `json:"value"`
	env   []string // of the bench, which the sidecar inherits
	load  []string // flags of the bench; nil: knobLoad
	build []string // flags of go build, which gets env as well; nil: the programs as they are
}

// knobLoad is what knobs are turned under, unless they are of the load.
var knobLoad = []string{"--connections", "64", "--batch", "16"}

func closedOf(inflight, batch string) []string {
	return []string{"--connections", "64", "--inflight", inflight, "--batch", batch}
}

func setting(key, value string) knob {
	variable := "RON_LEDGER_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
	return knob{Name: key, Value: value, env: []string{variable + "=" + value}}
}

func environment(name, value string) knob {
	return knob{Name: name, Value: value, env: []string{name + "=" + value}}
}

var knobs = []knob{
	{Name: "entries a request", Value: "1", load: closedOf("1", "1")},
	{Name: "entries a request", Value: "64", load: closedOf("1", "64")},
	{Name: "entries a request", Value: "256", load: closedOf("1", "256")},
	{Name: "entries a request", Value: "1000", load: closedOf("1", "1000")},
	{Name: "entries a request", Value: "4000", load: closedOf("1", "4000")},
	{Name: "requests in flight", Value: "4", load: closedOf("4", "16")},
	{Name: "requests in flight", Value: "16", load: closedOf("16", "16")},
	setting("commit.batch_max_entries", "256"),
	setting("commit.batch_max_entries", "4096"),
	setting("checkpoint.interval_entries", "16384"),
	setting("checkpoint.interval_entries", "262144"),
	setting("store.compression", "none"),
	setting("store.memtable_bytes", "4MiB"),
	setting("store.memtable_bytes", "64MiB"),
	setting("store.cache_bytes", "8MiB"),
	setting("store.cache_bytes", "128MiB"),
	setting("accumulator.hash", "sha256"),
	environment("GOGC", "50"),
	environment("GOGC", "400"),
	environment("GOMEMLIMIT", "150MiB"),
	{Name: "GOAMD64", Value: "v3", env: []string{"GOAMD64=v3"}, build: []string{}},
	{Name: "profile-guided", Value: "off", build: []string{"-pgo=off"}},
}

// turned is a knob and what it did, against the default in the same minutes.
type turned struct {
	knob
	EntriesPerSecond float64 `json:"entries_per_second"`
	Speed            float64 `json:"speed"` // × of the default's entries a second
	P99              float64 `json:"p99"`   // × of the default's
	CPU              float64 `json:"cpu"`   // × of the default's, an entry
	RSS              float64 `json:"rss"`   // × of the default's
}

// turnKnobs turns each knob by itself, in turns with the default, and leaves knobs.json and knobs.md.
func turnKnobs(ctx context.Context, h *harness) error {
	length, repeats := "4s", 3
	if h.seconds > 0 {
		length = h.seconds.String()
	}
	if h.times > 0 {
		repeats = h.times
	}
	only := map[string]bool{}
	for name := range strings.SplitSeq(h.only, ",") {
		only[name] = name != ""
	}
	standard := h.bin
	defer func() { h.bin = standard }()
	run := func(bin string, env, load []string) (*benchResult, error) {
		h.bin, h.env = bin, env
		defer func() { h.bin, h.env = standard, nil }()
		return h.spawned(ctx, append(load, "--duration", length, "--warmup", "1s")...)
	}
	var all []turned
	for _, k := range knobs {
		if h.only != "" && !only[k.Name] {
			continue
		}
		bin, err := h.built(ctx, &k)
		if err != nil {
			return err
		}
		load := knobLoad
		if k.load != nil {
			load = k.load
		}
		t := turned{knob: k}
		var speed, p99, cpu, rss, rate []float64
		for range repeats {
			base, err1 := run(standard, nil, knobLoad)
			with, err2 := run(bin, k.env, load)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			rate = append(rate, with.EntriesPerSecond)
			speed = append(speed, with.EntriesPerSecond/base.EntriesPerSecond)
			p99 = append(p99, with.Latency.P99/base.Latency.P99)
			cpu = append(cpu, with.ServerCPUMicrosPerEntry/base.ServerCPUMicrosPerEntry)
			rss = append(rss, float64(with.RSSMaxBytes)/float64(base.RSSMaxBytes))
		}
		t.EntriesPerSecond, t.Speed, t.P99, t.CPU, t.RSS = median(rate), median(speed), median(p99), median(cpu), median(rss)
		say("%s = %s: %.2f× the entries/s", k.Name, k.Value, t.Speed)
		all = append(all, t)
		if err := h.writeKnobs(all); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("there is no knob %q", h.only)
	}
	return nil
}

// built returns the folder with the programs that a knob wants.
func (h *harness) built(ctx context.Context, k *knob) (string, error) {
	if k.build == nil {
		return h.bin, nil
	}
	bin := filepath.Join(h.scratch, "bin-"+k.Name)
	h.env = k.env
	defer func() { h.env = nil }()
	args := append([]string{"build", "-trimpath", "-o", bin + "/"}, k.build...)
	return bin, h.tool(ctx, "go", append(args, "./sidecar/ron-ledgerd", "./tools/ledgerctl")...)
}

func (h *harness) writeKnobs(all []turned) error {
	if err := writeJSON(filepath.Join(h.out, "knobs.json"), all); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.out, "knobs.md"), []byte(knobTable(all)), 0o644)
}

func knobTable(all []turned) string {
	var b strings.Builder
	b.WriteString("| knob | value | entries/s | × of the default | p99, × | CPU an entry, × | RSS, × |\n|---|---|---|---|---|---|---|\n")
	for _, t := range all {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f | %.2f | %.2f | %.2f |\n", t.Name, t.Value, t.EntriesPerSecond, t.Speed, t.P99, t.CPU, t.RSS)
	}
	return b.String()
}
