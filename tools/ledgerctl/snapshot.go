package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot", Short: "copy a whole ledger into one file, and back",
		Long: "Snapshot copies a running ledger into one file, checks such a file, and makes a home from\nit. docs/BACKUP.md says when to use it, and when the archive."}
	cmd.AddCommand(a.snapshotCreateCommand(), a.snapshotVerifyCommand(), a.snapshotRestoreCommand())
	return cmd
}

func (a *app) snapshotCreateCommand() *cobra.Command {
	var out string
	var stopped, toArchive bool
	cmd := &cobra.Command{
		Use: "create --out FILE", Short: "copy the ledger into a file or its archive, while it goes on",
		Long: `Create asks the sidecar for a copy of everything that it has on disk but for its keys, and
writes it into a file: a tar, compressed with zstd, with checksums and a signed manifest.
Commits go on meanwhile. The token needs the right to administer. One snapshot is made at a
time. With --stopped the home of a sidecar that has stopped is copied, without a socket.

The file is checked before it gets its name.

With --to-archive the sidecar puts it into its archive instead, beside the segments, which
stay: a take-over (ron-ledgerd --adopt) begins with the newest one there that is good and
reads the segments behind it alone.`,
		Example: "  ledgerctl snapshot create --out ledger-$(date +%F).tar.zst\n  ledgerctl snapshot create --to-archive\n  ledgerctl snapshot create --stopped --home /var/lib/ledger --out ledger.tar.zst",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case toArchive && (stopped || out != ""):
				return usagef("--to-archive goes with neither --out nor --stopped: a running sidecar puts it there")
			case toArchive:
				return a.archiveSnapshot(cmd.Context())
			case out == "":
				return usagef("--out or --to-archive is needed: see %s --help", cmd.CommandPath())
			}
			return a.createSnapshot(cmd.Context(), out, stopped)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to make")
	cmd.Flags().BoolVar(&stopped, "stopped", false, "copy the home of a sidecar that has stopped")
	cmd.Flags().BoolVar(&toArchive, "to-archive", false, "have it put into the archive, for a take-over to begin with")
	return cmd
}

// archiveSnapshot has the sidecar put a snapshot into its archive, and says what it is.
func (a *app) archiveSnapshot(ctx context.Context) error {
	began := time.Now()
	var answer bytes.Buffer
	if err := a.with(ctx, func(c *client.Client) error { return c.SnapshotToArchive(ctx, &answer) }); err != nil {
		return err
	}
	var s sidecar.ArchivedSnapshot
	if err := json.Unmarshal(answer.Bytes(), &s); err != nil {
		return fmt.Errorf("read what the sidecar says of the snapshot: %w", err)
	}
	took := time.Since(began).Seconds()
	if a.json {
		return printJSON(a.stdout, archivedSnapshotJSON{s, took})
	}
	_, err := fmt.Fprintf(a.stdout, "snapshot of %s in its archive, as %s: entries %d to %d, %d bytes in %.1f s\nroot  %s\n", s.Origin, s.Name, s.First, s.Size, s.Bytes, took, s.Root)
	return err
}

// archivedSnapshotJSON is what snapshot create --to-archive --json prints.
type archivedSnapshotJSON struct {
	sidecar.ArchivedSnapshot
	Seconds float64 `json:"seconds"`
}

func (a *app) createSnapshot(ctx context.Context, out string, stopped bool) (err error) {
	beside := filepath.Join(filepath.Dir(out), "."+filepath.Base(out)+".new")
	file, err := os.OpenFile(beside, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make --out: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close(), os.Remove(beside))
		}
	}()
	began := time.Now()
	if err := a.writeSnapshot(ctx, file, stopped); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write --out: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read --out back: %w", err)
	}
	info, err := sidecar.CheckSnapshot(bufio.NewReaderSize(file, 1<<20), nil)
	if err != nil {
		return fmt.Errorf("read --out back: %w", err)
	}
	length, err := file.Seek(0, io.SeekEnd)
	if err := errors.Join(err, file.Close(), os.Rename(beside, out), syncFolder(filepath.Dir(out))); err != nil {
		return fmt.Errorf("write --out: %w", err)
	}
	return a.printSnapshot(info, length, time.Since(began))
}

// writeSnapshot copies the ledger into a file. How long that will be is known when it is done.
func (a *app) writeSnapshot(ctx context.Context, file io.Writer, stopped bool) (err error) {
	var length atomic.Int64
	w := bufio.NewWriterSize(written{file, &length}, 1<<20)
	bar := a.startBar("snapshot", progress.UnitsBytes, func() (done, total int64) { return length.Load(), 0 })
	defer bar.stop()
	if stopped {
		var home string
		if home, err = a.homePath(); err == nil {
			_, err = sidecar.SnapshotHome(home, w)
		}
	} else {
		err = a.with(ctx, func(c *client.Client) error { return c.Snapshot(ctx, w) })
	}
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write --out: %w", err)
	}
	return nil
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// snapshotJSON is what snapshot create --json and verify --json print.
type snapshotJSON struct {
	Origin  string  `json:"origin"`
	First   uint64  `json:"first"`
	Size    uint64  `json:"size"`
	Root    string  `json:"root"`
	State   uint64  `json:"state"`
	TimeMs  int64   `json:"time_ms"`
	Version string  `json:"version"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func (a *app) printSnapshot(m *sidecar.SnapshotInfo, length int64, took time.Duration) error {
	if a.json {
		return printJSON(a.stdout, snapshotJSON{m.Origin, m.First, m.Size, m.Root.String(), m.State, m.TimeMs, m.Version, length, took.Seconds()})
	}
	_, err := fmt.Fprintf(a.stdout, "snapshot of %s: entries %d to %d, %d bytes in %.1f s\nroot  %s\n", m.Origin, m.First, m.Size, length, took.Seconds(), m.Root)
	return err
}

func (a *app) snapshotVerifyCommand() *cobra.Command {
	var key, scratch string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "check a snapshot, and all of the ledger in it",
		Long: `Verify checks the checksum of every file and, with --key, the signature of the manifest, and
then holds the ledger in it against its own bytes as ledgerctl verify does. For that it is
unpacked, below --scratch. What is wrong is named, and the exit status is then 4.`,
		Example: "  ledgerctl snapshot verify ledger.tar.zst --key node.vkey",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			verifier, err := a.keyOf(key)
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			began := time.Now()
			shown, stop := a.showEntries("verify")
			m, report, err := sidecar.VerifySnapshot(cmd.Context(), bufio.NewReaderSize(file, 1<<20), scratch, verifier, shown)
			stop()
			if finding := new(sidecar.VerifyFinding); errors.As(err, &finding) {
				return refutedError{fmt.Errorf("%s: %w", args[0], err)}
			}
			if err != nil {
				return err
			}
			if m.First > 1 {
				fmt.Fprintf(a.stderr, "ledgerctl: entries before %d are pruned: checksums and signature are sound; verify the whole with the archive: ledgerctl verify --archive\n", m.First)
				return a.printSnapshot(m, 0, time.Since(began))
			}
			return a.printReport(&report, time.Since(began))
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	cmd.Flags().StringVar(&scratch, "scratch", "", "folder with room to unpack it (default: that of temporary files)")
	return cmd
}

func (a *app) snapshotRestoreCommand() *cobra.Command {
	var f restoreFlags
	var verify, unarchived bool
	cmd := &cobra.Command{
		Use: "restore FILE --home DIR", Short: "make a home from a snapshot",
		Long: `Restore makes a ledger from a snapshot: every checksum is checked, every root computed again
and, as ledgerctl verify does, all that is derived from the entries, before the home counts.
That takes some 100 bytes of memory for each entry; with --verify=false balances and indexes
are taken as they are signed. As with ledgerctl restore, which see, the home must be empty but for keys, and a new
epoch begins unless --same-epoch has its evidence. A snapshot of a ledger whose older entries
are pruned is refused then, since a new epoch on it could not be archived: restore the
archive, or take it as it is with --unarchived.`,
		Example: "  ledgerctl snapshot restore ledger.tar.zst --home /var/lib/ledger --key node.vkey",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(a)
			if err != nil {
				return err
			}
			o.Unverified, o.Unarchived = !verify, unarchived
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }()
			return a.restored(&o, func() (sidecar.RestoreReport, error) {
				return sidecar.RestoreSnapshot(cmd.Context(), bufio.NewReaderSize(file, 1<<20), &o)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&verify, "verify", true, "hold the derived state against the entries before the home counts")
	cmd.Flags().BoolVar(&unarchived, "unarchived", false, "begin a new epoch on a pruned ledger, though it cannot be archived")
	return cmd
}
