package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func (a *app) verifyCommand() *cobra.Command {
	var export, key, checkpoint string
	var from archiveNamed
	cmd := &cobra.Command{
		Use: "verify", Short: "hold a whole ledger against its own bytes",
		Long: `Verify reads the home of a sidecar, or a copy of one, from the first record to the last:
it decodes and hashes each, computes each root again, counts all the money again by the
rules, and compares what the home says besides: balances, index, holds, tiles, roots, the
head file. It names the first entry that is wrong, and the exit status is then 4.

It changes nothing in the home and takes no lock there: while a sidecar runs on it, what
is verified is the ledger as it was when verify began.

Entries whose bodies were pruned (retention.keep) are read from the archive: the one of
--archive, or of the configuration (--config, the environment), and the state is held
against them all the same. The key of a bucket is in the environment, or in the file that
archive.credentials names.

With --export an exported ledger is verified, a file of JSON Lines or a directory of
tlog-tiles, against the checkpoint that the key of --key has signed: every record, the
root, the rules. A directory has its checkpoint in it; that of a file is named by
--checkpoint (ledgerctl roots --checkpoint), and entries behind its size are not read.`,
		Example: "  ledgerctl verify\n  ledgerctl verify --home /backup/ledger --json\n  ledgerctl verify --config /etc/ron-ledger.toml\n" +
			"  ledgerctl verify --export site --key node.vkey\n" +
			"  ledgerctl verify --export all.jsonl --checkpoint checkpoint --key node.vkey",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			verify, err := a.whatToVerify(export, from, key, checkpoint)
			if err != nil {
				return err
			}
			started := time.Now()
			shown, stop := a.showEntries("verify")
			report, err := verify(cmd.Context(), shown)
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
	cmd.Flags().StringVar(&export, "export", "", "verify this file or directory, which export has written")
	cmd.Flags().StringVar(&key, "key", "", "with --export and an archive: verifier key of the ledger, the line itself or a file with it (default with an archive: HOME/node.vkey)")
	cmd.Flags().StringVar(&from.place, "archive", "", "folder or URL of the archive, which has what was pruned")
	cmd.Flags().StringVar(&from.config, "config", "", "configuration file that names the archive (default RON_LEDGER_CONFIG)")
	cmd.Flags().StringVar(&checkpoint, "checkpoint", "", "with --export FILE: file with a signed checkpoint")
	return cmd
}

type verification func(ctx context.Context, progress func(done, size uint64)) (sidecar.VerifyReport, error)

// archiveNamed says where the archive is: by its place, or by a configuration file.
type archiveNamed struct{ place, config string }

// whatToVerify returns what the flags ask for: the home, or an export.
func (a *app) whatToVerify(export string, from archiveNamed, key, checkpoint string) (verification, error) {
	if export == "" {
		if key != "" && from == (archiveNamed{}) || checkpoint != "" {
			return nil, usagef("--key is for --export, --archive and --config, --checkpoint for --export")
		}
		return a.homeToVerify(from, key)
	}
	verifier, err := readKey(key)
	if err != nil {
		return nil, err
	}
	e := sidecar.Export{Path: export, Key: verifier}
	info, err := os.Stat(export)
	if err != nil {
		return nil, fmt.Errorf("read --export: %w", err)
	}
	if info.IsDir() != (checkpoint == "") {
		return nil, usagef("--checkpoint is for an export that is a file, and is needed there: a directory has its own")
	}
	if checkpoint != "" {
		if e.Checkpoint, err = os.ReadFile(checkpoint); err != nil {
			return nil, fmt.Errorf("read --checkpoint: %w", err)
		}
	}
	return func(ctx context.Context, progress func(done, size uint64)) (sidecar.VerifyReport, error) {
		return sidecar.VerifyExport(ctx, e, progress)
	}, nil
}

// homeToVerify returns the verification of the home, with the archive that is named, or, where bodies
// were pruned, with that of the configuration.
func (a *app) homeToVerify(from archiveNamed, key string) (verification, error) {
	home, err := a.homePath()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, progress func(done, size uint64)) (report sidecar.VerifyReport, err error) {
		if from.place == "" {
			if report, err = sidecar.Verify(ctx, home, progress); !errors.Is(err, sidecar.ErrVerifyPruned) {
				return report, err
			}
		}
		c := &sidecar.Config{}
		if from.place == "" {
			if c, err = a.loadConfig(from.config, ""); err != nil {
				return report, err
			}
			if cmp.Or(c.Archive.URL, c.Archive.Dir, c.Archive.Adopt) == "" {
				return report, fmt.Errorf("verify %s: older entries are in the archive alone: say where it is with --archive, or with --config", home)
			}
		}
		c.Archive.URL = cmp.Or(from.place, c.Archive.URL)
		verifier, err := readKey(cmp.Or(key, filepath.Join(home, "node.vkey")))
		if err != nil {
			return report, err
		}
		return sidecar.VerifyWithArchive(ctx, home, &c.Archive, verifier, progress)
	}, nil
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
	Epoch    uint64  `json:"epoch"`
	LogID    string  `json:"log_id"`
}

func (a *app) printReport(r *sidecar.VerifyReport, took time.Duration) error {
	if a.json {
		return printJSON(a.stdout, reportJSON{r.Size, r.Commits, r.Accounts, r.Root.String(), r.StateSize, took.Seconds(),
			r.Epoch, fmt.Sprintf("%x", r.LogID)})
	}
	_, err := fmt.Fprintf(a.stdout, "sound: %d entries in %d commits, %d accounts, derived state at %d (%.0f entries/s)\nroot  %s\nlog   %x, epoch %d\n",
		r.Size, r.Commits, r.Accounts, r.StateSize, float64(r.Size)/max(took.Seconds(), 1e-6), r.Root, r.LogID, r.Epoch)
	return err
}
