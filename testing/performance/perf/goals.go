package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// goalRun collects rows; the first failure ends it.
type goalRun struct {
	*harness
	ctx     context.Context
	length  string
	repeats int
	rows    []goal
	other   float64 // most that anything else used meanwhile, in cores
	err     error
}

// goals measures everything that the project has set itself, medians of --times runs,
// and leaves goals.json and goals.md.
func goals(ctx context.Context, h *harness) error {
	r := &goalRun{harness: h, ctx: ctx, length: "5s", repeats: 3}
	if h.seconds > 0 {
		r.length = h.seconds.String()
	}
	if h.times > 0 {
		r.repeats = h.times
	}
	m := thisMachine(h.dir)
	for _, part := range []func(){r.throughput, r.alone, r.openLoops, r.tenMillion, r.empty, r.programs} {
		if part(); r.err != nil {
			return r.err
		}
		if err := r.write(&m); err != nil {
			return err
		}
	}
	return nil
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

// tenMillion fills a home and opens it, as it was left and as a crash left it.
func (r *goalRun) tenMillion() {
	home, err := r.newHome()
	if err != nil {
		r.err = err
		return
	}
	defer func() { r.err = errors.Join(r.err, os.RemoveAll(home)) }()
	n, err := r.startNode(r.ctx, home, macronode)
	if err != nil {
		r.err = err
		return
	}
	_, err = r.burst(r.ctx, home, tenMillion)
	size, err2 := n.size(r.ctx)
	time.Sleep(2 * time.Second) // what is compacted behind the load counts too
	written := n.written()
	if r.err = errors.Join(err, err2, n.stop()); r.err != nil {
		return
	}
	var points []homePoint
	for range r.repeats {
		p, err := r.point(r.ctx, home)
		if err != nil {
			r.err = err
			return
		}
		points = append(points, p)
	}
	verified, err := r.verify(r.ctx, home)
	if err != nil {
		r.err = err
		return
	}
	point := func(of func(*homePoint) float64) float64 { return medianOf(points, of) }
	r.add(goal{Name: "ready after a clean stop with 10 M entries", Unit: "ms", Want: 50, Beyond: 25, Measured: point(func(p *homePoint) float64 { return p.ReadyCleanMs }), Command: "`just goals`"})
	r.add(goal{Name: "ready when killed with 10 M entries", Unit: "ms", Want: 200, Beyond: 100, Measured: point(func(p *homePoint) float64 { return p.ReadyKilledMs }), Command: "`just goals`"})
	r.add(goal{Name: "disk bytes an entry of 200, after a clean stop", Unit: "bytes", Want: 260, Measured: points[0].DiskBytesPerEntry, Command: "`just goals`"})
	r.add(goal{Name: "write amplification", Unit: "×", Want: 3, Beyond: 2.2, Measured: written / (float64(size) * entryBytes), Command: "`just goals`, write_bytes of /proc/PID/io"})
	r.add(goal{Name: "`ledgerctl verify`", Unit: "entries/s", Want: 500e3, Beyond: 1e6, More: true, Measured: verified, Command: "`ledgerctl verify`"})
	r.add(goal{Name: "inclusion proof at 10 M entries, p50", Unit: "ms", Want: 1, Beyond: 0.2, Measured: point(func(p *homePoint) float64 { return p.ProofP50 }), Command: "`just goals`"})
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

// write leaves what there is so far, with the curve beside it where that has been taken.
func (r *goalRun) write(m *machine) error {
	if err := writeJSON(filepath.Join(r.out, "goals.json"), r.rows); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s, kernel %s, %s; medians of %d; everything else used up to %.2f cores.\n\n",
		m.CPU, m.Cores, m.Filesystem, m.Kernel, m.Go, r.repeats, r.other)
	b.WriteString("| | goal | beyond | measured | | command |\n|---|---|---|---|---|---|\n")
	for _, g := range slices.Concat(r.rows, curveGoal(r.out)) {
		sign, word := "≤", "kept"
		if g.More {
			sign = "≥"
		}
		if !g.kept() {
			word = "**missed**"
		}
		beyond := ""
		if g.Beyond > 0 {
			beyond = figure(g.Beyond)
		}
		fmt.Fprintf(&b, "| %s | %s %s %s | %s | %s | %s | %s |\n", g.Name, sign, figure(g.Want), g.Unit, beyond, figure(g.Measured), word, g.Command)
	}
	return os.WriteFile(filepath.Join(r.out, "goals.md"), []byte(b.String()), 0o644)
}

// figure prints three digits that say something.
func figure(x float64) string {
	if x >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
