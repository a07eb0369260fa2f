package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "hold a whole ledger against its own bytes",
		Long: `Verify reads the home of a sidecar that has stopped, or a copy of one, from the first
record to the last: it decodes and hashes each, computes each root again, counts all the
money again by the rules, and compares what the home says besides: balances, index,
holds, tiles, roots, the head file. It changes nothing there. It names the first entry
that is wrong, and the exit status is then 4.

While a sidecar runs on it a home cannot be verified: copy it when it has stopped.`,
		Example: "  ledgerctl verify\n  ledgerctl verify --home /backup/ledger --json",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := a.homePath()
			if err != nil {
				return err
			}
			started := time.Now()
			report, err := sidecar.Verify(cmd.Context(), home, a.verifyProgress())
			if a.terminal(a.stderr) {
				fmt.Fprint(a.stderr, "\r\x1b[K")
			}
			var finding *sidecar.VerifyFinding
			if errors.As(err, &finding) {
				return refutedError{err}
			}
			if err != nil {
				return err
			}
			return a.printReport(&report, time.Since(started))
		},
	}
}

// verifyProgress returns what shows on a terminal how far it is.
func (a *app) verifyProgress() func(done, size uint64) {
	if !a.terminal(a.stderr) {
		return nil
	}
	var shown time.Time
	return func(done, size uint64) {
		if now := time.Now(); now.Sub(shown) > progressEvery {
			shown = now
			fmt.Fprintf(a.stderr, "\r%d of %d entries, %d %%\x1b[K", done, size, done*100/max(size, 1))
		}
	}
}

// reportJSON is what verify --json prints.
type reportJSON struct {
	Entries  uint64  `json:"entries"`
	Commits  uint64  `json:"commits"`
	Accounts uint64  `json:"accounts"`
	Root     string  `json:"root"`
	State    uint64  `json:"state"` // entries that the derived state covers
	Seconds  float64 `json:"seconds"`
}

func (a *app) printReport(r *sidecar.VerifyReport, took time.Duration) error {
	if a.json {
		return printJSON(a.stdout, reportJSON{r.Size, r.Commits, r.Accounts, r.Root.String(), r.StateSize, took.Seconds()})
	}
	_, err := fmt.Fprintf(a.stdout, "sound: %d entries in %d commits, %d accounts, derived state at %d (%.0f entries/s)\nroot  %s\n",
		r.Size, r.Commits, r.Accounts, r.StateSize, float64(r.Size)/max(took.Seconds(), 1e-6), r.Root)
	return err
}
