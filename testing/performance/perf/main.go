package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// Profiles of the sidecar.
const (
	micronode = "micronode"
	macronode = "macronode"
)

// flags are those of all commands; each uses what it needs.
type flags struct {
	out, dir, baselines, tags, only string
	short, write, resume            bool
	times                           int
	seconds, soak                   time.Duration
	most                            float64 // millions of entries
}

var commands = map[string]func(context.Context, *harness) error{
	"gate": gate, "spread": spread, "goals": goals, "curve": curve, "soak": soak, "knobs": turnKnobs, "budget": budget,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "perf: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	var f flags
	set := flag.NewFlagSet("perf", flag.ContinueOnError)
	set.StringVar(&f.out, "out", "out/perf", "folder for the results")
	set.StringVar(&f.dir, "dir", "out/perf/homes", "folder for homes: its disk is what is measured")
	set.StringVar(&f.baselines, "baselines", "testing/performance/baselines", "folder of the baselines")
	set.StringVar(&f.tags, "tags", "", "build tags of the programs that are measured")
	set.BoolVar(&f.short, "short", false, "gate: the short form, with its own tolerances")
	set.BoolVar(&f.write, "write", false, "gate: write the baselines; spread: write the tolerances")
	set.StringVar(&f.only, "only", "", "goals: these parts alone, by comma: throughput, alone, profiles, ten-million, empty, programs; knobs: these alone")
	set.BoolVar(&f.resume, "resume", false, "goals: leave out parts that were taken in the same way already")
	set.IntVar(&f.times, "times", 0, "how often each figure is taken (default gate, goals and knobs 3, spread 30)")
	set.DurationVar(&f.seconds, "seconds", 0, "how long each load lasts (default gate 20s, short 1.5s, goals 5s, knobs 4s, budget 10s)")
	set.DurationVar(&f.soak, "duration", 30*time.Minute, "soak: how long")
	set.Float64Var(&f.most, "most", 50, "curve: millions of entries at the end")
	if len(args) == 0 || commands[args[0]] == nil {
		return errors.New("gate, spread, goals, curve, soak, knobs or budget is wanted, and then flags")
	}
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	h, err := newHarness(ctx, &f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	return commands[args[0]](ctx, h)
}

// harness has what is measured: the programs, built from this tree.
type harness struct {
	*flags
	scratch string   // below dir; removed at the end
	bin     string   // where the programs are
	env     []string // for the programs, beside that of this one
}

func newHarness(ctx context.Context, f *flags) (*harness, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return nil, errors.New("run it from the root of the repository: go run ./testing/performance/perf")
	}
	for _, dir := range []*string{&f.out, &f.dir} {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return nil, err
		}
		*dir = absolute
		if err := os.MkdirAll(absolute, 0o755); err != nil {
			return nil, err
		}
	}
	scratch, err := os.MkdirTemp(f.dir, "perf-")
	if err != nil {
		return nil, err
	}
	h := &harness{flags: f, scratch: scratch, bin: filepath.Join(scratch, "bin")}
	say("build both programs and the benchmarks")
	err = errors.Join(
		h.tool(ctx, "go", "build", "-trimpath", "-tags", f.tags, "-o", h.bin+"/", "./sidecar/ron-ledgerd", "./tools/ledgerctl"),
		h.tool(ctx, "go", "test", "-c", "-tags", f.tags, "-o", h.benchmark("store"), "./store"),
		h.tool(ctx, "go", "test", "-c", "-tags", f.tags, "-o", h.benchmark("committer"), "./committer"),
		h.tool(ctx, "go", "test", "-c", "-tags", f.tags, "-o", h.benchmark("committer/merkle"), "./committer/merkle"))
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *harness) close() error { return os.RemoveAll(h.scratch) }

// benchmark names the program with the benchmarks of a package.
func (h *harness) benchmark(name string) string { return filepath.Join(h.bin, name+".bench") }

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "perf: "+format+"\n", args...) }
