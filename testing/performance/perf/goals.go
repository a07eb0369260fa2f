package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// goal is a row of the table: what is wanted, and what was measured.
type goal struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Want     float64 `json:"want"`
	Beyond   float64 `json:"beyond,omitempty"`
	More     bool    `json:"more"` // more is better
	Measured float64 `json:"measured"`
	Command  string  `json:"command"`
}

func (g *goal) kept() bool {
	if g.More {
		return g.Measured >= g.Want
	}
	return g.Measured <= g.Want
}

// goalRun collects the rows of one part; the first failure ends the part.
type goalRun struct {
	*harness
	ctx     context.Context
	length  string
	repeats int
	rows    []goal
	other   float64 // most that anything else used meanwhile, in cores
	err     error
}

// goalParts are measured one after the other, each by itself.
var goalParts = []struct {
	name    string
	measure func(*goalRun)
}{
	{"throughput", (*goalRun).throughput}, {"alone", (*goalRun).alone}, {"profiles", (*goalRun).openLoops},
	{"ten-million", (*goalRun).tenMillion}, {"empty", (*goalRun).empty}, {"programs", (*goalRun).programs},
}

// goals measures everything that the project has set itself, medians of --times runs,
// and keeps goals.json and goals.md up to date part by part. --only names parts,
// --resume leaves out those that have been taken in the same way already. A part that
// fails does not keep the others from being measured.
func goals(ctx context.Context, h *harness) error {
	t, err := readGoalTable(h.out)
	if err != nil {
		return err
	}
	only := map[string]bool{}
	for name := range strings.SplitSeq(h.only, ",") {
		only[name] = name != ""
	}
	length, repeats := "5s", 3
	if h.seconds > 0 {
		length = h.seconds.String()
	}
	if h.times > 0 {
		repeats = h.times
	}
	t.Machine = thisMachine(h.dir)
	var failed []error
	for _, part := range goalParts {
		if known := only[part.name]; len(h.only) > 0 && !known {
			continue
		}
		delete(only, part.name)
		if had, ok := t.Parts[part.name]; ok && h.resume && had.Length == length && had.Repeats == repeats {
			say("%s: taken at %s", part.name, had.Time.Format("15:04"))
			continue
		}
		say("%s:", part.name)
		r := &goalRun{harness: h, ctx: ctx, length: length, repeats: repeats}
		if part.measure(r); r.err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", part.name, r.err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		t.Parts[part.name] = goalPart{Time: time.Now().UTC().Truncate(time.Second), Length: length, Repeats: repeats, OtherCPU: r.other, Rows: r.rows}
		if err := t.write(h.out); err != nil {
			return err
		}
	}
	for name, left := range only {
		if left {
			failed = append(failed, fmt.Errorf("there is no part %q", name))
		}
	}
	return errors.Join(failed...)
}

func (r *goalRun) add(g goal) {
	say("%s: %.4g %s", g.Name, g.Measured, g.Unit)
	r.rows = append(r.rows, g)
}

// runs repeats a bench on a fresh home and returns all results.
func (r *goalRun) runs(args ...string) (all []benchResult) {
	for range r.repeats {
		if r.err != nil {
			break
		}
		b, err := r.spawned(r.ctx, append(args, "--duration", r.length, "--warmup", "1s")...)
		if err != nil {
			r.err = err
			break
		}
		if !b.Gapless {
			r.err = fmt.Errorf("bench %v: the answers do not cover the ledger without a gap", args)
			break
		}
		r.other = max(r.other, b.OtherCPU)
		all = append(all, *b)
	}
	if r.err != nil {
		return []benchResult{{}} // the caller's figures are dropped with the run
	}
	return all
}

func (r *goalRun) command(args ...string) string {
	return "`ledgerctl bench --spawn " + strings.Join(args, " ") + " --duration " + r.length + " --warmup 1s`"
}

func perSecond(b *benchResult) float64   { return b.EntriesPerSecond }
func perEntry(b *benchResult) float64    { return b.ServerCPUMicrosPerEntry }
func memoryMiB(b *benchResult) float64   { return float64(b.RSSMaxBytes) / (1 << 20) }
func latencyP50(b *benchResult) float64  { return b.Latency.P50 }
func latencyP99(b *benchResult) float64  { return b.Latency.P99 }
func drainedMs(b *benchResult) float64   { return b.DrainedMs }
func corePercent(b *benchResult) float64 { return 100 * b.ServerCPU }

// throughput: closed loops of three shapes, against what the machine does without us,
// and with random nonces.
func (r *goalRun) throughput() {
	type shape struct {
		batch        string
		want, beyond float64
		results      []benchResult
	}
	shapes := []*shape{{batch: "16", want: 270e3, beyond: 400e3}, {batch: "64", want: 380e3, beyond: 550e3}, {batch: "1000", want: 500e3, beyond: 750e3}}
	closed := func(batch string, more ...string) []string {
		return append([]string{"--connections", "64", "--batch", batch}, more...)
	}
	var pebbles, commits []float64
	for _, s := range shapes {
		s.results = r.runs(closed(s.batch)...)
		r.add(goal{Name: "64 connections × " + s.batch, Unit: "entries/s", Want: s.want, Beyond: s.beyond, More: true,
			Measured: medianOf(s.results, perSecond), Command: r.command(closed(s.batch)...)})
		pebble, err1 := r.barePebble(r.ctx, "2s")
		pipeline, err2 := r.benchmarked(r.ctx, "committer", "^BenchmarkPipeline$/^disk$/^entries=1024$", "2s")
		r.err = errors.Join(r.err, err1, err2)
		pebbles, commits = append(pebbles, pebble), append(commits, 1e9/pipeline["ns/entry"])
	}
	best := medianOf(shapes[2].results, perSecond)
	r.add(goal{Name: "64 × 1,000 of bare Pebble in the same run", Unit: "×", Want: 1.6, Beyond: 2.5, More: true, Measured: best / median(pebbles),
		Command: fmt.Sprintf("`go test ./store -run '^$' -bench BarePebble`: %.0f entries/s", median(pebbles))})
	r.add(goal{Name: "64 × 1,000 of the same commits in process", Unit: "×", Want: 0.75, Beyond: 0.9, More: true, Measured: best / median(commits),
		Command: fmt.Sprintf("`go test ./committer -run '^$' -bench Pipeline/disk/entries=1024`: %.0f entries/s", median(commits))})
	for i, limits := range [][2]float64{{4, 2.5}, {}, {2.2, 1.5}} {
		if i == 1 {
			continue
		}
		r.add(goal{Name: "sidecar CPU an entry, " + shapes[i].batch + " a request", Unit: "µs", Want: limits[0], Beyond: limits[1],
			Measured: medianOf(shapes[i].results, perEntry), Command: "as above"})
		r.add(goal{Name: "RSS at the maximum, " + shapes[i].batch + " a request", Unit: "MiB", Want: 512, Beyond: 300,
			Measured: medianOf(shapes[i].results, memoryMiB), Command: "as above"})
	}
	for _, i := range []int{0, 2} {
		args := closed(shapes[i].batch, "--nonces", "random")
		random := medianOf(r.runs(args...), perSecond)
		r.add(goal{Name: "random nonces, 64 × " + shapes[i].batch + ", of UUIDv7", Unit: "×", Want: 0.5, Beyond: 0.8, More: true,
			Measured: random / medianOf(shapes[i].results, perSecond), Command: r.command(args...)})
	}
}

// alone: one client with one entry at a time, against the sync that it waits for.
func (r *goalRun) alone() {
	args := []string{"--connections", "1", "--batch", "1"}
	all := r.runs(args...)
	r.add(goal{Name: "one client, one entry, p50 of fdatasync", Unit: "×", Want: 2, Beyond: 1.4,
		Measured: medianOf(all, func(b *benchResult) float64 { return b.Latency.P50 / b.Calibration.FdatasyncP50Ms }),
		Command:  fmt.Sprintf("%s: %.3g ms", r.command(args...), medianOf(all, latencyP50))})
}

// openLoops: the profiles of the specification.
func (r *goalRun) openLoops() {
	of := func(profile string) ([]benchResult, string) {
		args := []string{"--profile", profile}
		if profile == "burst" {
			args = append(args, "--rate", "1200")
		}
		return r.runs(args...), r.command(args...)
	}
	macro, command := of(macronode)
	r.add(goal{Name: "1,200 requests/s, p50", Unit: "ms", Want: 0.75, Beyond: 0.5, Measured: medianOf(macro, latencyP50), Command: command})
	r.add(goal{Name: "1,200 requests/s, p99", Unit: "ms", Want: 3, Beyond: 2, Measured: medianOf(macro, latencyP99), Command: "as above"})
	r.add(goal{Name: "1,200 requests/s, sidecar CPU", Unit: "% of a core", Want: 25, Beyond: 12, Measured: medianOf(macro, corePercent), Command: "as above"})
	r.add(goal{Name: "1,200 requests/s, RSS", Unit: "MiB", Want: 200, Beyond: 120, Measured: medianOf(macro, memoryMiB), Command: "as above"})
	micro, command := of(micronode)
	r.add(goal{Name: "micronode at 300 requests/s, RSS", Unit: "MiB", Want: 128, Beyond: 64, Measured: medianOf(micro, memoryMiB), Command: command})
	length := r.length
	r.length = "14s" // 5 s of it are the burst
	burst, command := of("burst")
	r.length = length
	r.add(goal{Name: "10× burst of 5 s, drained after its end", Unit: "ms", Want: 500, Beyond: 5, Measured: medianOf(burst, drainedMs), Command: command})
	roots, command := of("roots")
	r.add(goal{Name: "root lag to a long poll, p99", Unit: "ms", Want: 5, Beyond: 2, Command: command,
		Measured: medianOf(roots, func(b *benchResult) float64 { return b.Roots.Lag.P99 })})
	r.add(goal{Name: "/roots under 200 readers, p95", Unit: "ms", Want: 2, Beyond: 1, Command: "as above",
		Measured: medianOf(roots, func(b *benchResult) float64 { return b.Roots.Poll.P95 })})
}

const tenMillion = 10_000_000

// tenMillion takes the home of that size out of the curve that lies in the folder of results,
// and fills one where there is none.
func (r *goalRun) tenMillion() {
	p, command := curvePoint(r.out, tenMillion), "`just curve`"
	if p == nil {
		p, command = new(homePoint), "`just goals`"
		home, err := r.newHome()
		if err != nil {
			r.err = err
			return
		}
		defer func() { r.err = errors.Join(r.err, os.RemoveAll(home)) }()
		booked, written, err := r.fill(r.ctx, home, tenMillion)
		if err != nil {
			r.err = err
			return
		}
		if *p, r.err = r.point(r.ctx, home); r.err != nil {
			return
		}
		p.WriteAmplification = written / (booked * entryBytes)
		if p.VerifyPerSecond, r.err = r.verify(r.ctx, home); r.err != nil {
			return
		}
	}
	r.add(goal{Name: "ready after a clean stop with 10 M entries", Unit: "ms", Want: 50, Beyond: 25, Measured: p.ReadyCleanMs, Command: command})
	r.add(goal{Name: "ready when killed with 10 M entries", Unit: "ms", Want: 200, Beyond: 100, Measured: p.ReadyKilledMs, Command: command})
	r.add(goal{Name: "disk bytes an entry of 200, after a clean stop", Unit: "bytes", Want: 260, Beyond: 150, Measured: p.DiskBytesPerEntry, Command: command})
	r.add(goal{Name: "write amplification", Unit: "×", Want: 3, Beyond: 2.2, Measured: p.WriteAmplification, Command: command + ", write_bytes of /proc/PID/io"})
	r.add(goal{Name: "`ledgerctl verify`", Unit: "entries/s", Want: 500e3, Beyond: 1e6, More: true, Measured: p.VerifyPerSecond, Command: command})
	r.add(goal{Name: "inclusion proof at 10 M entries, p50 of random ones", Unit: "ms", Want: 1, Beyond: 0.2, Measured: p.ProofP50, Command: command})
}

// empty: a start on nothing.
func (r *goalRun) empty() {
	var times []float64
	for range max(r.repeats, 5) {
		home, err := r.newHome()
		if err != nil {
			r.err = err
			return
		}
		n, err := r.startNode(r.ctx, home, macronode)
		if err != nil {
			r.err = err
			return
		}
		times = append(times, ms(n.ready))
		if r.err = errors.Join(n.stop(), os.RemoveAll(home)); r.err != nil {
			return
		}
	}
	r.add(goal{Name: "ready after start, empty", Unit: "ms", Want: 40, Beyond: 20, Measured: median(times), Command: "`just goals`"})
}

// programs: allocations, and the size of what is shipped.
func (r *goalRun) programs() {
	small, err1 := r.benchmarked(r.ctx, "committer", "^BenchmarkPipeline$/^disk$/^entries=16$", "1s")
	large, err2 := r.benchmarked(r.ctx, "committer", "^BenchmarkPipeline$/^disk$/^entries=1024$", "1s")
	r.err = errors.Join(err1, err2, r.tool(r.ctx, "go", "test", "-run", "Alloc", "-count", "1", "./wire", "./store", "./committer", "./sidecar"),
		r.tool(r.ctx, "just", "build"))
	if r.err != nil {
		return
	}
	r.add(goal{Name: "allocations an entry, as those of a commit grow with its entries", Unit: "", Want: 0,
		Measured: max(0, float64(int((large["allocs/op"]-small["allocs/op"])/(1024-16)))), Command: "`go test -run Alloc ./...`"})
	info, err := os.Stat(filepath.Join("bin", "ledgerctl")) // ron-ledgerd is its other name
	if err != nil {
		r.err = err
		return
	}
	r.add(goal{Name: "both programs, static", Unit: "MiB", Want: 40, Beyond: 30, Measured: float64(info.Size()) / (1 << 20), Command: "`just build`"})
}
