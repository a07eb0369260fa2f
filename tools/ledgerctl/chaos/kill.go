package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
)

// Moments of a kill: so long the sidecar has served before it comes.
const (
	killAfterLeast = 50 * time.Millisecond
	killAfterMost  = 500 * time.Millisecond
)

// kill ends the process with SIGKILL again and again and starts it at once, as a kubelet or systemd would.
func kill() attack {
	return attack{
		name: "kill", do: doKill,
		config: "[checkpoint]\ninterval_entries = 2048\n", // checkpoints are met as well
		moved: []expectation{{
			metric: "process_start_time_seconds", alert: "LedgerRestarts", want: "changes",
			value: func(m scrape.Metrics) float64 { return m.Sum("process_start_time_seconds") },
			moved: func(before, _, after float64) bool { return after > before },
		}},
	}
}

func doKill(ctx context.Context, r *run) error {
	kills := 0
	for r.goesOn(ctx) && pause(ctx, r.between(killAfterLeast, killAfterMost)) {
		since := time.Now()
		r.server.Kill()
		kills++
		if err := r.server.Start(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("after SIGKILL %d: %w", kills, err)
		}
		r.recovered(ctx, since)
	}
	r.report.did("times SIGKILL", kills)
	return nil
}
