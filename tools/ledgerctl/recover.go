package main

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func (a *app) recoverCommand() *cobra.Command {
	var accept, reason, archived string
	cmd := &cobra.Command{
		Use: "recover", Short: "see what a ledger in safe mode has lost, and go on without it",
		Long: `Recover reads the home of a sidecar that has stopped. By itself it changes nothing: it
verifies all that is there, as verify does, and says what is wrong: in which file, from
which sequence number on, what is lost, and the last good sequence number and root. The
exit status is then 4.

With --archive the log is also held against its archive, as the sidecar does: a home that is
older than its archive looks sound by itself.

Where there is a backup or an archive that reaches further, restore that instead. What
--accept-loss gives up is gone: entries that were acknowledged are booked no more.

With --accept-loss SEQ the ledger goes on behind SEQ, which has to be the last good
sequence number that recover has shown. Where something lies behind it the log is cut
there, and the log as it was is kept beside it. A new epoch begins: its first record says
where the old log was cut and what is lost, the log id is another, tokens of the old
one are refused, and whoever has kept a root of what is lost will notice.`,
		Example: "  ledgerctl recover\n  ledgerctl recover --archive /mnt/archive\n  ledgerctl recover --accept-loss 5120 --reason 'disk 3 replaced, ticket 77'",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := a.homePath()
			if err != nil {
				return err
			}
			o := sidecar.RecoverOptions{Home: home, Archive: archived}
			if cmd.Flags().Changed("accept-loss") {
				last, err := strconv.ParseUint(accept, 10, 63)
				if err != nil {
					return usagef("--accept-loss is %.40q: it has to be a sequence number, the last good one that recover has shown", accept)
				}
				return a.acceptLoss(cmd, o, last, reason)
			}
			if reason != "" {
				return usagef("--reason goes with --accept-loss")
			}
			return a.diagnose(cmd, o)
		},
	}
	cmd.Flags().StringVar(&accept, "accept-loss", "", "go on behind this `SEQ`, the last good sequence number, in a new epoch")
	cmd.Flags().StringVar(&archived, "archive", "", "archive `DIR` or URL of the ledger (archive.dir, archive.url): what it holds beyond the log is lost, too")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record of the new epoch: `TEXT` of at most 256 characters, ASCII")
	return cmd
}

func (a *app) diagnose(cmd *cobra.Command, o sidecar.RecoverOptions) error {
	tell, stop := a.showEntries("recover")
	o.Progress = tell
	d, err := sidecar.Diagnose(cmd.Context(), o)
	stop()
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(a.stdout, d)
	} else {
		err = a.printDiagnosis(&d)
	}
	if err == nil && !d.Sound {
		err = refutedError{errors.New("the log is not sound")}
	}
	return err
}

func (a *app) printDiagnosis(d *sidecar.Diagnosis) error {
	return a.printing(func(w *bufio.Writer) error {
		line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
		diagnosis(line, d)
		return nil
	})
}

// diagnosis says a Diagnosis in lines.
func diagnosis(line func(format string, args ...any), d *sidecar.Diagnosis) {
	line("home       %s", d.Home)
	line("log id     %s, epoch %d", d.LogID, d.Epoch)
	if d.Why != "" {
		line("wrong      %s", d.Why)
	}
	for _, file := range d.Files {
		line("file       %s", file)
	}
	if d.State != "" {
		line("state      %s", d.State)
		line("           It follows from the log: remove %s/state, and the next start makes it again.", d.Home)
	}
	line("last good  %d, root %s", d.LastGood, d.Root)
	if d.Sound {
		line("sound      the log up to its end: there is nothing to accept, start the sidecar")
		return
	}
	switch {
	case d.LostLast > 0:
		line("lost       entries %d to %d", d.LostFirst, d.LostLast)
	default:
		line("lost       it cannot be told whether entries behind %d are", d.LastGood)
	}
	if !d.HeadKnown {
		line("           The head file is missing or cannot be read: there may have been more.")
	}
	line("")
	line("Nothing was changed. Restore a backup or an archive that reaches further, or go on without")
	line("what is lost, in a new epoch:")
	line("  ledgerctl --home %s recover --accept-loss %d", d.Home, d.LastGood)
}

func (a *app) acceptLoss(cmd *cobra.Command, o sidecar.RecoverOptions, last uint64, reason string) error {
	tell, stop := a.showEntries("recover")
	o.Progress = tell
	begun, aside, err := sidecar.AcceptLoss(cmd.Context(), o, last, reason)
	stop()
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.stdout, struct {
			Epoch  uint64 `json:"epoch"`
			LogID  string `json:"log_id"`
			OldLog string `json:"old_log_id"`
			Cut    uint64 `json:"cut"`
			Root   string `json:"root"`
			Known  uint64 `json:"known,omitempty"`
			Aside  string `json:"aside,omitempty"`
		}{begun.Number, fmt.Sprintf("%x", begun.LogID), fmt.Sprintf("%x", begun.OldLogID), begun.Cut, fmt.Sprintf("%x", begun.Root), begun.Known, aside})
	}
	return a.printing(func(w *bufio.Writer) error {
		line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
		line("epoch %d has begun: log id %x behind %x", begun.Number, begun.LogID, begun.OldLogID)
		line("cut at %d, root %x", begun.Cut, begun.Root)
		if begun.Known > begun.Cut {
			line("given up: entries %d to %d", begun.Cut+1, begun.Known)
		}
		if aside != "" {
			line("the log as it was: %s (nothing reads it: move it away when you have what you need of it)", aside)
		}
		line("")
		line("Start the sidecar. Tokens of the old log id are refused: mint new ones (ledgerctl token mint).")
		return nil
	})
}
