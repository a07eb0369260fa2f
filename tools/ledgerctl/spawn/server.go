package spawn

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/wire/client"
)

// Options say what is started, and where.
type Options struct {
	Dir     string   // folder for the home
	Name    string   // begins the name of the home
	Command []string // the program and its arguments; the flags of the sidecar follow
	Env     []string // nil: that of this process
	Stderr  io.Writer
}

// Server is a sidecar with a home of its own. Its methods are for one goroutine, but for Client.
type Server struct {
	Home    string
	Flags   []string // of the sidecar, beside --home
	options Options
	process *exec.Cmd // nil: none runs
	leash   io.Closer
	ended   chan struct{}
	failure error // of the process; read after ended
}

// Bounds of starting and stopping.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	startPoll    = 2 * time.Millisecond
)

// New makes the home. Remove removes it.
func New(o Options) (*Server, error) {
	home, err := os.MkdirTemp(o.Dir, o.Name+"-")
	if err != nil {
		return nil, fmt.Errorf("make the home of a sidecar: %w", err)
	}
	return &Server{Home: home, options: o}, nil
}

// Start starts the sidecar on its home and returns, once HELLO is answered, how long that took.
func (s *Server) Start(ctx context.Context) (time.Duration, error) {
	command := append(s.options.Command[1:len(s.options.Command):len(s.options.Command)], "--home", s.Home)
	process := exec.Command(s.options.Command[0], append(command, s.Flags...)...)
	process.Stderr, process.Env = s.options.Stderr, s.options.Env
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the parent, which stops it in order
	leash, err := process.StdinPipe()
	if err != nil {
		return 0, fmt.Errorf("start a sidecar: %w", err)
	}
	began := time.Now()
	if err := process.Start(); err != nil {
		return 0, fmt.Errorf("start a sidecar: %w", err)
	}
	s.process, s.leash, s.ended = process, leash, make(chan struct{})
	go func() {
		s.failure = process.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return 0, fmt.Errorf("start a sidecar: %w", err)
	}
	return time.Since(began), nil
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

// Client returns how to reach it with the token of its home, under a name.
func (s *Server) Client(name string) client.Options {
	return client.Options{Name: name, Socket: filepath.Join(s.Home, "ledger.sock"), TokenFile: filepath.Join(s.Home, "token")}
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

// Stop lets it drain. How it ends otherwise than with status 0 is an error.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	_ = s.leash.Close()
	defer func() { s.process = nil }()
	select {
	case <-s.ended:
		if s.failure != nil {
			return fmt.Errorf("stop the sidecar: %w", s.failure)
		}
		return nil
	case <-time.After(stopTimeout):
		_ = s.process.Process.Kill()
		<-s.ended
		return fmt.Errorf("stop the sidecar: it did not stop within %v", stopTimeout)
	}
}

// Remove ends what runs and removes the home.
func (s *Server) Remove() error {
	s.Kill()
	return os.RemoveAll(s.Home)
}
