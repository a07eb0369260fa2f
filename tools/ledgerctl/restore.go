package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/sidecar"
)

// restoreFlags are those of every command that makes a home from a copy.
type restoreFlags struct {
	key, nodeKey, oldHome string
	sameEpoch             bool
	newest                uint64
}

func (f *restoreFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	flags.StringVar(&f.nodeKey, "node-key", "", "file with the node key to go on with (default: the one in the home, or a new one)")
	flags.BoolVar(&f.sameEpoch, "same-epoch", false, "go on under the same log id; takes --newest or --old-home, and the node key")
	flags.Uint64Var(&f.newest, "newest", 0, "highest sequence number that anybody holds an answer for")
	flags.StringVar(&f.oldHome, "old-home", "", "what is left of the old home: its head file says how far it got")
}

// options returns what the flags say.
func (f *restoreFlags) options(a *app) (o sidecar.RestoreOptions, err error) {
	if !f.sameEpoch && (f.newest > 0 || f.oldHome != "") {
		return o, usagef("--newest and --old-home are the evidence for --same-epoch: a new epoch needs none")
	}
	if o.Home, err = a.homePath(); err != nil {
		return o, err
	}
	o.Key, err = a.keyOf(f.key)
	o.NodeKey, o.SameEpoch, o.Newest, o.OldHome = f.nodeKey, f.sameEpoch, f.newest, f.oldHome
	return o, err
}

// keyOf reads a key that need not be given.
func (a *app) keyOf(key string) (note.Verifier, error) {
	if key == "" {
		fmt.Fprintln(a.stderr, "ledgerctl: without --key nothing shows who made this copy: checksums and roots are checked, signatures are not")
		return nil, nil
	}
	return readKey(key)
}

func (a *app) restoreCommand() *cobra.Command {
	var f restoreFlags
	var dir, log string
	cmd := &cobra.Command{
		Use: "restore --archive DIR --home DIR", Short: "make a home from an archive",
		Long: `Restore makes a ledger from the archive that archive.dir kept, up to the last segment that
is there. Every checksum is checked, every root computed again and every entry judged
again. The home must be empty, but for keys and certificates that you may put there
before: node.key, keyring, revocations. What an archive never holds is keys.

The end of the ledger may be missing in the copy, so the restored one begins a new epoch:
it has a new log id, and says on which root it goes on. --same-epoch goes on
as if nothing had been, and takes evidence that nothing is missing.

An interrupted restore is begun again by the same command.`,
		Example: "  ledgerctl restore --archive /mnt/archive --home /var/lib/ledger --key node.vkey\n" +
			"  ledgerctl restore --archive /mnt/archive --home new --key node.vkey --same-epoch --old-home broken --node-key broken/node.key",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("--archive is needed: see %s --help", cmd.CommandPath())
			}
			id, err := logID(log)
			if err != nil {
				return err
			}
			o, err := f.options(a)
			if err != nil {
				return err
			}
			return a.restored(&o, func() (sidecar.RestoreReport, error) { return sidecar.RestoreArchive(cmd.Context(), dir, id, &o) })
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&dir, "archive", "", "folder of the archive, or its URL (archive.url)")
	cmd.Flags().StringVar(&log, "log", "", "log id, where the archive holds several (default: that of --key)")
	return cmd
}

// logID reads a log id; nil where none is given.
func logID(text string) (*[16]byte, error) {
	if text == "" {
		return nil, nil
	}
	id, err := hex.DecodeString(text)
	if err != nil || len(id) != 16 {
		return nil, usagef("%q is not a log id: 32 hex digits", text)
	}
	return (*[16]byte)(id), nil
}

// restoredJSON is what restore --json prints.
type restoredJSON struct {
	Entries  uint64  `json:"entries"`
	Root     string  `json:"root"`
	LogID    string  `json:"log_id"`
	OldLogID string  `json:"old_log_id"`
	Epoch    uint64  `json:"epoch"`
	Seconds  float64 `json:"seconds"`
}

// restored runs a restore and says what came of it.
func (a *app) restored(o *sidecar.RestoreOptions, run func() (sidecar.RestoreReport, error)) error {
	started := time.Now()
	shown, stop := a.showEntries("restore")
	o.Progress = shown
	r, err := run()
	stop()
	if err != nil {
		return err
	}
	took := time.Since(started).Seconds()
	if r.Kept > 1 {
		fmt.Fprintf(a.stderr, "ledgerctl: entries before %d are pruned in this copy: its balances are taken as they are signed. Check them with ledgerctl verify --archive, or restore the archive\n", r.Kept)
	}
	if a.json {
		return printJSON(a.stdout, restoredJSON{r.Size, r.Root.String(), hex.EncodeToString(r.LogID[:]), hex.EncodeToString(r.OldLogID[:]), r.Epoch, took})
	}
	_, err = fmt.Fprintf(a.stdout, "restored %s: %d entries in %.1f s (%.0f entries/s)\nroot    %s\nlog id  %x\n",
		o.Home, r.Size, took, float64(r.Size)/max(took, 1e-6), r.Root, r.LogID)
	if err == nil && r.LogID != r.OldLogID {
		_, err = fmt.Fprintf(a.stdout, "epoch   %d, new: before it the log id was %x\n", r.Epoch, r.OldLogID)
	}
	return err
}

func (a *app) archiveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "archive", Short: "look at the archive of a ledger",
		Long: "Archive checks what the sidecar has written into its archive, segment by segment, without a\nsidecar. docs/BACKUP.md says how to restore from it."}
	var key, log string
	verify := &cobra.Command{
		Use: "verify DIR", Short: "compute every root of an archive again",
		Long: `Verify reads every segment of an archive: its checksum, its signature with --key, that it
follows the one before it, and that its records give the roots that it says. It names the
segment that is wrong, and the exit status is then 4.`,
		Example: "  ledgerctl archive verify /mnt/archive --key node.vkey",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := logID(log)
			if err != nil {
				return err
			}
			verifier, err := a.keyOf(key)
			if err != nil {
				return err
			}
			return a.verifyArchive(cmd.Context(), args[0], id, verifier)
		},
	}
	verify.Flags().StringVar(&key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	verify.Flags().StringVar(&log, "log", "", "log id, where the archive holds several (default: that of --key)")
	cmd.AddCommand(verify)
	return cmd
}

// archiveJSON is what archive verify --json prints.
type archiveJSON struct {
	Entries  uint64 `json:"entries"`
	Root     string `json:"root"`
	Segments uint64 `json:"segments"`
}

func (a *app) verifyArchive(ctx context.Context, dir string, id *[16]byte, key note.Verifier) error {
	shown, stop := a.showEntries("verify")
	head, err := sidecar.VerifyArchive(ctx, dir, id, key, shown)
	stop()
	if finding := new(sidecar.VerifyFinding); errors.As(err, &finding) {
		return refutedError{err}
	}
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.stdout, archiveJSON{head.Size, head.Root.String(), head.Segments})
	}
	_, err = fmt.Fprintf(a.stdout, "sound: %d entries in %d segments\nroot  %s\n", head.Size, head.Segments, head.Root)
	return err
}
