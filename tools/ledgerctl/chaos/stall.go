package chaos

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

const (
	// stallLeast is longer than what LedgerCommitVerySlow calls slow.
	stallLeast = 300 * time.Millisecond
	stallMost  = 800 * time.Millisecond
	stallPause = 200 * time.Millisecond

	stallWriters = 8  // beside the others, and without a pause
	stallsMost   = 40 // until one has met a request under way

	slowBucket = 0.15 // seconds: the threshold of LedgerCommitVerySlow, and a bucket of the histogram
)

// stall holds the whole process with SIGSTOP, as a frozen control group, a machine that is moved or a disk that hangs
// does, and lets it go on. No connection is lost by it, and what was under way is answered. The ledger counts from the moment
// that it has read a request, so a stall is seen in its metrics only where it meets one under way. Therefore many write, each
// waits for a commit of its own, and where no stall has met one yet, further ones follow.
func stall() attack {
	return attack{
		name: "stall", do: doStall,
		config: "[commit]\nbatch_max_entries = 1\n",
		moved: []expectation{{
			metric: fmt.Sprint("ledger_commit_latency_seconds above ", slowBucket), alert: "LedgerCommitVerySlow", want: "rises", value: slowCommits,
			moved: func(before, _, after float64) bool { return after > before },
		}},
	}
}

func slowCommits(m scrape.Metrics) float64 {
	return m.Above("ledger_commit_latency_seconds", slowBucket)
}

func doStall(ctx context.Context, r *run) error {
	busy := writers.NewFrom(writerCount, r.options.Seed, stallWriters).At(r.server.Home)
	r.others = append(r.others, busy)
	writing, end := context.WithCancel(ctx)
	defer end()
	var all sync.WaitGroup
	defer all.Wait()
	defer end()
	all.Go(func() { busy.Run(writing) })
	before, err := r.figures.read(ctx, readTimeout)
	if err != nil {
		return fmt.Errorf("read the metrics: %w", err)
	}
	stalls, met := 0, false
	for (r.goesOn(ctx) || !met && stalls < stallsMost) && pause(ctx, stallPause) {
		if err := r.server.Signal(syscall.SIGSTOP); err != nil {
			return fmt.Errorf("stop the process: %w", err)
		}
		pause(ctx, r.between(stallLeast, stallMost))
		if err := r.server.Signal(syscall.SIGCONT); err != nil {
			return fmt.Errorf("let the process go on: %w", err)
		}
		stalls++
		r.recovered(ctx, time.Now())
		if m, err := r.figures.look(ctx); err == nil {
			met = slowCommits(m) > slowCommits(before)
		}
	}
	r.report.did("times SIGSTOP", stalls)
	var lost error
	for _, load := range r.loads() {
		if count, err := load.Count(); err != nil {
			lost = err
		} else if count.Broken > 0 {
			lost = fmt.Errorf("%d connections were lost by stalls that are shorter than any deadline", count.Broken)
		}
	}
	r.check("no connection lost", lost, "every stall is shorter than any deadline")
	return nil
}
