package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/spawn"
)

// serveCommand runs the sidecar, as ron-ledgerd is, in a process of its own, so that its CPU and memory can be
// told from those of the load, and so that it can be killed. It ends when its input does.
func (a *app) serveCommand() *cobra.Command {
	var cpuProfile string
	cmd := &cobra.Command{
		Use: "serve", Short: "run the sidecar of bench and chaos", Hidden: true, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			go func() {
				_, _ = io.Copy(io.Discard, a.stdin) // its end is what counts
				cancel()
			}()
			return profiled(cpuProfile, func() error {
				if status := sidecar.Main(ctx, args); status != 0 {
					return fmt.Errorf("the sidecar ended with status %d", status)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&cpuProfile, "cpuprofile", "", "write a CPU profile to this file")
	return cmd
}

// profiled runs with a CPU profile where a file for it is named.
func profiled(path string, run func() error) (err error) {
	if path == "" {
		return run()
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write CPU profile: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := pprof.StartCPUProfile(file); err != nil {
		return fmt.Errorf("write CPU profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	return run()
}

// spawnSidecar starts a sidecar from the same program in a new home below dir and waits until it answers.
func (a *app) spawnSidecar(ctx context.Context, dir, profile, cpuProfile string) (*spawn.Server, time.Duration, error) {
	command, err := serveCommandLine("--cpuprofile", cpuProfile)
	if err != nil {
		return nil, 0, err
	}
	server, err := spawn.New(spawn.Options{Dir: dir, Name: "ledgerctl-bench", Command: command, Stderr: a.stderr})
	if err != nil {
		return nil, 0, err
	}
	server.Flags = []string{"--profile", profile, "--https", "127.0.0.1:0", "--log-level", "warn"}
	readyAfter, err := server.Start(ctx)
	if err != nil {
		return nil, 0, errors.Join(err, server.Remove())
	}
	return server, readyAfter, nil
}

// serveCommandLine returns what starts serveCommand; flags of the sidecar may follow.
func serveCommandLine(flags ...string) ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	return append(append([]string{program, "serve"}, flags...), "--"), nil
}
