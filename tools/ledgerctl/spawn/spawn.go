package spawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// Command are the words by which the program is asked to Serve.
var Command = []string{"bench", "serve"}

// Serve runs the sidecar, as ron-ledgerd is, in this process. It ends when stdin does, and so with who has
// started it, however that ends. A CPU profile is written where a file for it is named.
func Serve(ctx context.Context, stdin io.Reader, cpuProfile string, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // its end is what counts
		cancel()
	}()
	return profiled(cpuProfile, func() error {
		if status := sidecar.Main(ctx, args); status != 0 {
			return fmt.Errorf("the sidecar ended with status %d", status)
		}
		return nil
	})
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

// Options says what is started.
type Options struct {
	Dir        string    // the home is made below it
	Args       []string  // of ron-ledgerd, but for --home
	CPUProfile string    // file; "" for none
	Stderr     io.Writer // takes what the sidecar says
}

// Server is a sidecar that was started.
type Server struct {
	Home       string
	ReadyAfter time.Duration // from the start of the process to an answered HELLO

	process *exec.Cmd
	leash   io.Closer
	ended   chan struct{}
	failure error // of the process; read after ended
}

// Bounds of starting and stopping that sidecar.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	startPoll    = 2 * time.Millisecond
)

// Start starts a sidecar from the same program in a new home and waits until it
// answers.
func Start(ctx context.Context, o Options) (s *Server, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	s = &Server{ended: make(chan struct{})}
	if s.Home, err = os.MkdirTemp(o.Dir, "ledgerctl-"); err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	args := append(slices.Clone(Command), "--cpuprofile", o.CPUProfile, "--", "--home", s.Home)
	s.process = exec.Command(program, append(args, o.Args...)...)
	s.process.Stderr = o.Stderr
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for who started it, and stops it in order
	if s.leash, err = s.process.StdinPipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sidecar: %w", err), os.RemoveAll(s.Home))
	}
	started := time.Now()
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sidecar: %w", err), os.RemoveAll(s.Home))
	}
	go func() {
		s.failure = s.process.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a sidecar: %w", err), s.Stop())
	}
	s.ReadyAfter = time.Since(started)
	return s, nil
}

// awaitReady returns once HELLO is answered.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := client.Dial(ctx, s.Client("ledgerctl"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(startPoll):
		case <-s.ended:
			return fmt.Errorf("it ended at once: %w", s.failure)
		case <-ctx.Done():
			return err
		}
	}
}

// Client returns how to reach it, under a name for its log.
func (s *Server) Client(name string) client.Options {
	return client.Options{
		Name: name, Socket: filepath.Join(s.Home, sidecar.SocketFile), TokenFile: filepath.Join(s.Home, sidecar.TokenFile),
	}
}

// Stop ends the sidecar and removes its home.
func (s *Server) Stop() error {
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
	return errors.Join(err, os.RemoveAll(s.Home))
}
