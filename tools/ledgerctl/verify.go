package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func (a *app) verifyCommand() *cobra.Command {
	var dir, key string
	cmd := &cobra.Command{
		Use: "verify", Short: "hold a whole ledger against its own bytes",
		Long: `Verify reads the home of a sidecar, or a copy of one, from the first record to the last:
it decodes and hashes each, computes each root again, counts all the money again by the
rules, and compares what the home says besides: balances, index, holds, tiles, roots, the
head file. It names the first entry that is wrong, and the exit status is then 4.

It changes nothing in the home and takes no lock there: while a sidecar runs on it, what
is verified is the ledger as it was when verify began.

Entries whose bodies were pruned (retention.keep) are read from the archive: --archive.`,
		Example: "  ledgerctl verify\n  ledgerctl verify --home /backup/ledger --json",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := a.homePath()
			if err != nil {
				return err
			}
			started := time.Now()
			shown, stop := a.showEntries("verify")
			report, err := a.verifyHome(cmd.Context(), home, dir, key, shown)
			stop()
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
	cmd.Flags().StringVar(&dir, "archive", "", "folder of the archive, which has what was pruned")
	cmd.Flags().StringVar(&key, "key", "", "verifier key of the archive (default: HOME/node.vkey)")
	return cmd
}

func (a *app) verifyHome(ctx context.Context, home, dir, key string, shown func(done, size uint64)) (sidecar.VerifyReport, error) {
	if dir == "" {
		return sidecar.Verify(ctx, home, shown)
	}
	if key == "" {
		key = filepath.Join(home, "node.vkey")
	}
	verifier, err := readKey(key)
	if err != nil {
		return sidecar.VerifyReport{}, err
	}
	return sidecar.VerifyWithArchive(ctx, home, dir, verifier, shown)
}

// showEntries shows how many entries of how many are done, as it is told, until stop is called.
func (a *app) showEntries(what string) (told func(done, size uint64), stop func()) {
	var done, size atomic.Uint64
	bar := a.startBar(what, progress.UnitsDefault, func() (int64, int64) { return int64(done.Load()), int64(size.Load()) })
	return func(entries, of uint64) {
		done.Store(entries)
		size.Store(of)
	}, bar.stop
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
