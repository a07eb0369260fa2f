package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/bench"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/spawn"
	"github.com/rustyonions/ron-ledger/wire/client"
)

const benchHelp = `Bench measures a sidecar: one that it starts itself (--spawn, in a temporary home
that is removed again) or the one that is running. It books real entries.

Closed loop, without --rate: each connection keeps --inflight requests of --batch
entries under way. Open loop, with --rate: requests are sent on schedule, whatever
the answers do, and latencies count from when a request was due.

Profiles set what is not set by hand:
  micronode   open loop, 300 requests/s, batches log-normal with median 8, p90 32
  macronode   open loop, 1,200 requests/s, median 16, p90 64
  burst       macronode, then ten times the rate for 5 s, then as before
  max         closed loop, 64 connections, 4 requests of 256 entries each
  roots       macronode, with --readers readers over HTTPS: one in ten polls long,
              the others once a second
  soak        requests of one entry at 60 % of what a closed loop of the same reaches
              just before, with 20 readers, for 30 minutes; judges growth of memory,
              goroutines and descriptors, and of latency

With --replay the entries of a journal (JSON Lines, .gz too) are sent once, in their
order, over one connection.

At the end each service level that the figures allow to judge is held against them.
Exit status 0: all were kept; 1: one was missed, or the bench failed.`

func (a *app) benchCommand() *cobra.Command {
	p := bench.NewPlan()
	cmd := &cobra.Command{
		Use: "bench", Short: "measure a sidecar under load", Long: benchHelp,
		Example: "  ledgerctl bench --spawn --profile macronode\n  ledgerctl bench --spawn --connections 64 --batch 1000 --json",
		Args:    exactly(0),
	}
	p.Flags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := p.Settle(cmd.Flags().Changed)
		if err == nil {
			err = a.bench(cmd.Context(), &p)
		}
		if wrong := bench.PlanError(""); errors.As(err, &wrong) {
			return usageError{err}
		}
		return err
	}
	cmd.AddCommand(a.benchServerCommand())
	return cmd
}

// benchServerCommand runs the sidecar of a bench in a process of its own, so that its CPU and memory can be told
// from those of the load.
func (a *app) benchServerCommand() *cobra.Command {
	var cpuProfile string
	cmd := &cobra.Command{
		Use: spawn.Command[len(spawn.Command)-1], Short: "run the sidecar of a bench", Hidden: true, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return spawn.Serve(cmd.Context(), a.stdin, cpuProfile, args)
		},
	}
	cmd.Flags().StringVar(&cpuProfile, "cpuprofile", "", "write a CPU profile to this file")
	return cmd
}

// bench runs a plan and prints what came of it.
func (a *app) bench(ctx context.Context, p *bench.Plan) error {
	o := bench.Options{Stderr: a.stderr, Journal: a.benchJournal}
	var err error
	if o.Client, err = a.options(); err != nil {
		return err
	}
	o.Home, _ = a.homePath() // without one there is no certificate to find
	if a.terminal(a.stderr) {
		o.Progress = a.stderr
	}
	result, err := bench.Run(ctx, p, o)
	if result == nil {
		return err
	}
	if a.json {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(result))
	} else {
		err = errors.Join(err, result.Print(a.stdout))
	}
	if err != nil {
		return err
	}
	return result.Missed()
}

// benchJournal reads a file as append does.
func (a *app) benchJournal(path string, entries, bytes int) iter.Seq2[*client.Batch, error] {
	return func(yield func(*client.Batch, error) bool) {
		in, err := a.openInput(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = in.close() }() // it was only read
		var read chunk
		for {
			failed := read.fill(in, entries, bytes)
			if read.entries.Len() > 0 && !yield(&read.entries, nil) {
				return
			}
			if failed != nil {
				if !errors.Is(failed, io.EOF) {
					yield(nil, failed)
				}
				return
			}
		}
	}
}
