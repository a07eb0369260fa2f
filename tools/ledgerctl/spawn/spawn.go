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
	Env        []string  // nil: that of this process
	CPUProfile string    // file; "" for none
	Stderr     io.Writer // takes what the sidecar says
}

// Server is a sidecar with a home of its own, which is started and ended again and again. Its methods are for one
// goroutine, but for Client.
type Server struct {
	Home       string
	Args       []string      // of ron-ledgerd, but for --home; for the next start
	ReadyAfter time.Duration // from the newest start of the process to an answered HELLO

	options Options
	process *exec.Cmd // nil: none runs
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
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// New makes the home of a sidecar, which Start starts.
func New(o Options) (*Server, error) {
	home, err := os.MkdirTemp(o.Dir, "ledgerctl-")
	if err != nil {
		return nil, fmt.Errorf("make the home of a sidecar: %w", err)
	}
	return &Server{Home: home, Args: o.Args, options: o}, nil
}

// Start starts the sidecar on its home, from the same program, and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	args := append(slices.Clone(Command), "--cpuprofile", s.options.CPUProfile, "--", "--home", s.Home)
	process := exec.Command(program, append(args, s.Args...)...)
	process.Stderr, process.Env = s.options.Stderr, s.options.Env
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for who started it, and stops it in order
	leash, err := process.StdinPipe()
	if err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	started := time.Now()
	if err := process.Start(); err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	s.process, s.leash, s.ended = process, leash, make(chan struct{})
	go func() {
		s.failure = process.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("start a sidecar: %w", err)
	}
	s.ReadyAfter = time.Since(started)
	return nil
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

// PID returns the process id of the one that runs.
func (s *Server) PID() int { return s.process.Process.Pid }

// Signal sends it a signal.
func (s *Server) Signal(signal os.Signal) error { return s.process.Process.Signal(signal) }

// Kill ends it at once, whatever it does.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill() // it may have ended by itself
		<-s.ended
		s.process = nil
	}
}

// Stop lets it drain. That it ends otherwise than with status 0 is an error. Its home stays.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	_ = s.leash.Close()
	defer s.Kill()
	select {
	case <-s.ended:
		if s.failure != nil {
			return fmt.Errorf("stop the sidecar: %w", s.failure)
		}
		return nil
	case <-time.After(stopTimeout):
		return fmt.Errorf("stop the sidecar: it did not stop within %v", stopTimeout)
	}
}

// Remove ends what runs and removes the home.
func (s *Server) Remove() error {
	s.Kill()
	return os.RemoveAll(s.Home)
}
