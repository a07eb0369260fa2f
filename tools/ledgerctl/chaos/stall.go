package chaos

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
)

const (
	// stallLeast is longer than what LedgerCommitVerySlow calls slow.
	stallLeast = 300 * time.Millisecond
	stallMost  = 800 * time.Millisecond
	stallPause = 200 * time.Millisecond

	slowBucket = 0.15 // seconds: the threshold of LedgerCommitVerySlow, and a bucket of the histogram
)

// stall holds the whole process with SIGSTOP, as a frozen control group, a machine that is moved or a disk that hangs
// does, and lets it go on. No connection is lost by it, and what was under way is answered.
func stall() attack {
	return attack{
		name: "stall", do: doStall,
		moved: []expectation{{
			metric: fmt.Sprint("ledger_commit_latency_seconds above ", slowBucket), alert: "LedgerCommitVerySlow", want: "rises",
			value: func(m scrape.Metrics) float64 { return m.Above("ledger_commit_latency_seconds", slowBucket) },
			moved: func(before, _, after float64) bool { return after > before },
		}},
	}
}

func doStall(ctx context.Context, r *run) error {
	stalls := 0
	for r.goesOn(ctx) && pause(ctx, stallPause) {
		if err := r.server.Signal(syscall.SIGSTOP); err != nil {
			return fmt.Errorf("stop the process: %w", err)
		}
		pause(ctx, r.between(stallLeast, stallMost))
		if err := r.server.Signal(syscall.SIGCONT); err != nil {
			return fmt.Errorf("let the process go on: %w", err)
		}
		stalls++
		r.recovered(ctx, time.Now())
	}
	r.report.did("times SIGSTOP", stalls)
	count, err := r.writers.Count()
	if err == nil && count.Broken > 0 {
		err = fmt.Errorf("%d connections were lost by stalls that are shorter than any deadline", count.Broken)
	}
	r.check("no connection lost", err, "every stall is shorter than any deadline")
	return nil
}
