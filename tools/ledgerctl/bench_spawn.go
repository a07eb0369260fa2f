package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// benchServerCommand runs the sidecar, as ron-ledgerd is, in a process of its own, so that
// its CPU and memory can be told from those of the load. It ends when its input does, and so
// with the bench, however that ends.
func (a *app) benchServerCommand() *cobra.Command {
	var cpuProfile string
	cmd := &cobra.Command{
		Use: "serve", Short: "run the sidecar of a bench", Hidden: true, Args: cobra.ArbitraryArgs,
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

// benchServer is a sidecar that a bench has started.
type benchServer struct {
	home       string
	process    *exec.Cmd
	leash      io.Closer
	ended      chan struct{}
	failure    error // of the process; read after ended
	readyAfter time.Duration
}

// Bounds of starting and stopping that sidecar.
const (
	spawnTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	spawnPoll    = 2 * time.Millisecond
)

// spawnServer starts a sidecar from the same program in a new home and waits until
// it answers.
func spawnServer(ctx context.Context, p *benchPlan, stderr io.Writer) (s *benchServer, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	s = &benchServer{ended: make(chan struct{})}
	if s.home, err = os.MkdirTemp(p.dir, "ledgerctl-bench-"); err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	s.process = exec.Command(program, "bench", "serve", "--cpuprofile", p.cpuProfile, "--",
		"--home", s.home, "--profile", p.node, "--https", "127.0.0.1:0", "--log-level", "warn")
	s.process.Stderr = stderr
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the bench, which stops it in order
	if s.leash, err = s.process.StdinPipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sidecar: %w", err), os.RemoveAll(s.home))
	}
	started := time.Now()
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sidecar: %w", err), os.RemoveAll(s.home))
	}
	go func() {
		s.failure = s.process.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sidecar: %w", err), s.stop())
	}
	s.readyAfter = time.Since(started)
	return s, nil
}

// awaitReady returns once HELLO is answered.
func (s *benchServer) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, spawnTimeout)
	defer cancel()
	for {
		c, err := dialBench(ctx, s.options())
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(spawnPoll):
		case <-s.ended:
			return fmt.Errorf("it ended at once: %w", s.failure)
		case <-ctx.Done():
			return err
		}
	}
}

func (s *benchServer) options() client.Options {
	return client.Options{
		Name: "ledgerctl bench", Socket: filepath.Join(s.home, socketFile), TokenFile: filepath.Join(s.home, tokenFile),
	}
}

// stop ends the sidecar and removes its home.
func (s *benchServer) stop() error {
	_ = s.leash.Close()
	var err error
	select {
	case <-s.ended:
		err = s.failure
	case <-time.After(stopTimeout):
		_ = s.process.Process.Kill()
		<-s.ended
		err = fmt.Errorf("it did not stop within %v", stopTimeout)
	}
	if err != nil {
		err = fmt.Errorf("stop the sidecar: %w", err)
	}
	return errors.Join(err, os.RemoveAll(s.home))
}
