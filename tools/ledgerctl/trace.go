package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

func (a *app) traceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trace", Short: "see why requests were slow",
		Long: "Trace shows where the time of slow requests went: slow lists them with their stations, dump\nwrites what the whole process did. The token needs the right to administer."}
	cmd.AddCommand(a.traceSlowCommand(), a.traceDumpCommand())
	return cmd
}

func (a *app) traceSlowCommand() *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use: "slow", Short: "print the slowest requests and where their time went",
		Long: `Slow prints the slowest appends of the last ten to twenty minutes, of each commit the one
that waited longest, with the time in each station:

  admission  for its turn to be checked      sync     of the log
  check      token and leaf hashes           archive  where commits wait for it (archive.mode)
  queue      for the committer               answer   to all requests of the commit
  commit     to be decided, and for the commit before to be synced

Connection and request are the numbers that the log has at level debug. The token needs the
right to administer.`,
		Example: "  ledgerctl trace slow\n  ledgerctl trace slow --json | jq '.[0]'",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminSlow})
			if err != nil {
				return err
			}
			if a.json {
				_, err := io.WriteString(a.stdout, text)
				return err
			}
			var list []sidecar.SlowRequest
			if err := json.Unmarshal([]byte(text), &list); err != nil {
				return fmt.Errorf("read the slowest requests: %w", err)
			}
			return a.printing(func(w *bufio.Writer) error { return printSlow(w, list[:min(most, len(list))]) })
		},
	}
	cmd.Flags().IntVarP(&most, "number", "n", 20, "how many to print")
	return cmd
}

func printSlow(w *bufio.Writer, list []sidecar.SlowRequest) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing was appended lately")
		return err
	}
	fmt.Fprintf(w, "%-24s %10s %8s %6s %7s %10s %9s %9s %9s %9s %9s %9s %9s\n",
		"answered", "connection", "request", "uid", "entries", "total", "admission", "check", "queue", "commit", "sync", "archive", "answer")
	word := func(ns int64) string { return time.Duration(ns).Round(time.Microsecond).String() }
	for i := range list {
		r := &list[i]
		fmt.Fprintf(w, "%-24s %10d %8d %6d %7d %10s %9s %9s %9s %9s %9s %9s %9s\n", timeWord(r.TimeMs), r.Connection, r.Request, r.UID, r.Entries,
			word(r.Total), word(r.Admission), word(r.Check), word(r.Queue), word(r.Commit), word(r.Sync), word(r.Archive), word(r.Answer))
	}
	return nil
}

func (a *app) traceDumpCommand() *cobra.Command {
	var seconds float64
	var out string
	cmd := &cobra.Command{
		Use: "dump --out FILE", Short: "write an execution trace of the sidecar, for go tool trace",
		Long: `Dump writes what the sidecar's process does during --seconds, as go tool trace reads it; where
trace.slow_commit is set, also what it did in the seconds before. A trace holds some 8 MiB: of
a busy process that is less than --seconds. The token needs the right to administer.`,
		Example: "  ledgerctl trace dump -s 2 --out ledger.trace",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ms, err := wireMs(seconds)
			if err != nil {
				return err
			}
			return a.saveAnswer(cmd.Context(), out, &wire.Admin{Command: wire.AdminTrace, Ms: ms})
		},
	}
	cmd.Flags().Float64VarP(&seconds, "seconds", "s", 2, "how long to look; at most 60")
	cmd.Flags().StringVar(&out, "out", "", "file to write (default stdout)")
	return cmd
}
