package sidecartest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a running ron-ledgerd: the real program, with a home of its own.
type Process struct {
	Home   string
	Socket string

	t       testing.TB
	bin     Binaries
	command *exec.Cmd
	output  *lockedBuffer
	exited  chan error
}

// startTimeout is how long a start may take before a test gives up.
const startTimeout = 2 * time.Minute

// ShortDir makes a directory whose path is short enough for a socket in it, as
// that of t.TempDir is not always.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// StartProcess starts ron-ledgerd on home, with further arguments, and waits
// until it answers.
func StartProcess(t testing.TB, bin Binaries, home string, args ...string) *Process {
	t.Helper()
	return StartProcessEnv(t, bin, home, nil, args...)
}

// StartProcessEnv is StartProcess with further environment variables, NAME=value. A socket
// that RON_LEDGER_SOCKET names is the one that is waited for.
func StartProcessEnv(t testing.TB, bin Binaries, home string, env []string, args ...string) *Process {
	t.Helper()
	p := LaunchProcess(t, bin, home, env, args...)
	if err := p.await(); err != nil {
		t.Fatalf("start ron-ledgerd: %v\n%s", err, p.output)
	}
	return p
}

// LaunchProcess is StartProcessEnv that does not wait until the process answers.
func LaunchProcess(t testing.TB, bin Binaries, home string, env []string, args ...string) *Process {
	t.Helper()
	return launch(t, bin, home, env, nil, args...)
}

// launch is LaunchProcess with a last word about the command, where there is one.
func launch(t testing.TB, bin Binaries, home string, env []string, change func(*exec.Cmd), args ...string) *Process {
	t.Helper()
	p := &Process{
		Home: home, Socket: filepath.Join(home, "ledger.sock"),
		t: t, bin: bin, output: new(lockedBuffer), exited: make(chan error, 1),
	}
	for _, variable := range env {
		if path, ok := strings.CutPrefix(variable, "RON_LEDGER_SOCKET="); ok {
			p.Socket = path
		}
	}
	args = append([]string{"--home", home, "--https", "127.0.0.1:0"}, args...)
	p.command = exec.Command(bin.Daemon, args...)
	p.command.Env = append(os.Environ(), env...)
	p.command.Stdout, p.command.Stderr = p.output, p.output
	if change != nil {
		change(p.command)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.command.Wait() }()
	t.Cleanup(func() {
		if p.command.ProcessState == nil {
			p.Kill()
		}
	})
	return p
}

// await waits until the socket accepts.
func (p *Process) await() error {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		select {
		case err := <-p.exited:
			p.exited <- err
			return fmt.Errorf("it ended: %w", err)
		default:
		}
		conn, err := net.Dial("unix", p.Socket)
		if err == nil {
			return conn.Close()
		}
	}
	return errors.New("it does not accept connections")
}

// Kill ends the process with SIGKILL.
func (p *Process) Kill() {
	p.t.Helper()
	_ = p.command.Process.Kill() // it may have ended by itself
	<-p.exited
}

// Stop ends the process with SIGTERM and returns its exit status.
func (p *Process) Stop() int {
	p.t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	return p.Wait()
}

// Wait waits for the process to end and returns its exit status.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(startTimeout):
		p.t.Fatalf("ron-ledgerd does not end\n%s", p.output)
		return -1
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Output returns what the process has printed.
func (p *Process) Output() string { return p.output.String() }

// CLI runs ledgerctl against the process and returns its output and exit status.
func (p *Process) CLI(args ...string) (stdout string, exit int) {
	p.t.Helper()
	stdout, stderr, exit := RunCLI(p.t, p.bin, p.Home, args...)
	if stderr != "" && exit != 0 && exit != 3 {
		p.t.Logf("ledgerctl %s: exit %d: %s", strings.Join(args, " "), exit, stderr)
	}
	return stdout, exit
}

// RunCLI runs ledgerctl with that home.
func RunCLI(t testing.TB, bin Binaries, home string, args ...string) (stdout, stderr string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, bin.CLI, append([]string{"--home", home}, args...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	if exited := new(exec.ExitError); err != nil && !errors.As(err, &exited) {
		t.Fatalf("ledgerctl %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

// Summary is what `ledgerctl append --json` prints.
type Summary struct {
	Accepted  int    `json:"accepted"`
	Duplicate int    `json:"duplicate"`
	Rejected  int    `json:"rejected"`
	LastSeq   uint64 `json:"last_seq"`
	Root      string `json:"root"`
}

// Append runs `ledgerctl append --json` and returns what it prints.
func (p *Process) Append(args ...string) (s Summary, exit int) {
	p.t.Helper()
	stdout, exit := p.CLI(append([]string{"append", "--json"}, args...)...)
	if exit != 0 && exit != 3 {
		return s, exit
	}
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		p.t.Fatalf("ledgerctl append --json printed %q: %v", stdout, err)
	}
	return s, exit
}

// lockedBuffer collects output that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
