package sidecartest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/trace"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// callFault is what the real program meets at one of its system calls.
type callFault struct {
	name    string
	verdict trace.Verdict
	hits    func(trace.Call) bool // nil: all
	lasting bool
	goesOn  bool // the program has to go on as if nothing had been
}

func onFile(c trace.Call) bool { return strings.HasPrefix(c.Path, "/") || c.Path == "" }
func isBytes(c trace.Call) bool {
	return c.Bytes > 1
}
func fillsDisk(c trace.Call) bool {
	switch c.Name {
	case "write", "pwrite64":
		return strings.HasPrefix(c.Path, "/")
	case "openat", "fallocate", "mkdirat", "linkat", "renameat":
		return true
	}
	return false
}

var callFaults = []callFault{
	{name: "SIGKILL", verdict: trace.Verdict{Kill: true}},
	{name: "EIO, not done", verdict: trace.Verdict{Err: syscall.EIO}},
	{name: "EIO, though done", verdict: trace.Verdict{Err: syscall.EIO, Done: true}},
	{name: "ENOSPC once", verdict: trace.Verdict{Err: syscall.ENOSPC}, hits: fillsDisk},
	{name: "ENOSPC from there on", verdict: trace.Verdict{Err: syscall.ENOSPC}, hits: fillsDisk, lasting: true},
	{name: "EROFS from there on", verdict: trace.Verdict{Err: syscall.EROFS}, hits: onFile, lasting: true},
	{name: "EINTR", verdict: trace.Verdict{Err: syscall.EINTR}, hits: onFile},
	{name: "short write, one byte", verdict: trace.Verdict{Bytes: 1}, hits: isBytes, goesOn: true},
}

// meets decides about the calls of one run.
type meets struct {
	fault *callFault
	at    int

	mu  sync.Mutex
	met string // the call that was met first
	all int
}

func (m *meets) decide(c trace.Call) trace.Verdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = c.Number
	if c.Number < m.at || m.met != "" && !m.fault.lasting || m.fault.hits != nil && !m.fault.hits(c) {
		return trace.Verdict{}
	}
	if m.met == "" {
		m.met = fmt.Sprintf("%d, %s %s", c.Number, c.Name, c.Path)
	}
	return m.fault.verdict
}

// TestSystemCalls lets every fault meet the system calls of a short run of the real program, which
// starts in an empty home, takes some 20 commits, writes a checkpoint and stops: every
// SYSCALL_STRIDE-th call, 150 unless told, beginning elsewhere for each fault. Whatever the program
// makes of it, everything that was acknowledged is there, and the next start finds it.
func TestSystemCalls(t *testing.T) {
	stride := int(setting(t, "SYSCALL_STRIDE", 150))
	bin := Build(t)
	for n := range callFaults {
		fault := &callFaults[n]
		t.Run(strings.ReplaceAll(fault.name, ",", ""), func(t *testing.T) {
			t.Parallel()
			exits, runs, calls, acked := map[string]int{}, 0, 0, 0
			for at := 1 + (n*17)%stride; ; at += stride {
				m := &meets{fault: fault, at: at}
				exit, count, err := traced(t, bin, m)
				calls = max(calls, m.all)
				if err != nil {
					t.Fatalf("call %s of some %d: %v", m.met, m.all, err)
				}
				if m.met == "" {
					break // the run ended before it
				}
				runs++
				exits[exit]++
				acked += count.Entries
			}
			t.Logf("%d runs of some %d calls, ended with %v; %d entries acknowledged, none lost", runs, calls, exits, acked)
			if runs == 0 {
				t.Error("it met no call")
			}
		})
	}
}

// runTimeout is how long a traced run may take before it counts as hanging.
const runTimeout = 2 * time.Minute

// traced runs the program once, traced, and holds what it left against the journal of its writer;
// starts it again, settles what is unresolved, stops it, and audits it.
func traced(t *testing.T, bin Binaries, m *meets) (exit string, count writers.Count, err error) {
	home, err := os.MkdirTemp("", "rl")
	if err != nil {
		return "", count, err
	}
	defer func() { _ = os.RemoveAll(home) }()
	load := writers.New(uint64(m.at), 1).At(home)
	load.Requests, load.Entries = 20, 40
	exit, err = runTraced(t, bin, home, load, trace.Options{Decide: m.decide}, nil)
	if err != nil {
		return exit, count, err
	}
	if count, err = load.Count(); err != nil {
		return exit, count, err
	}
	if m.fault.goesOn && (exit != "exit 0" || count.Unresolved > 0) {
		return exit, count, fmt.Errorf("%s, %d requests are not answered", exit, count.Unresolved)
	}
	if _, err := os.Stat(filepath.Join(home, "meta")); err == nil && count.Acked > 0 {
		copied := copyHome(t, home)
		if err := errors.Join(openAndCheck(load, copied), os.RemoveAll(copied)); err != nil {
			return exit, count, fmt.Errorf("what was left: %w", err)
		}
	}
	p := StartProcess(t, bin, home)
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	if err := load.Settle(ctx); err != nil {
		return exit, count, err
	}
	if status := p.Stop(); status != 0 {
		return exit, count, fmt.Errorf("started again, SIGTERM: exit status %d\n%s", status, p.Output())
	}
	return exit, count, openAndCheck(load, home)
}

// runTraced runs the program until the load is through, or the program has ended; a process that
// has not is stopped with SIGTERM. during, where it is set, is called meanwhile, and ends the load.
func runTraced(t *testing.T, bin Binaries, home string, load *writers.Load, options trace.Options, during func()) (exit string, err error) {
	output, err := os.CreateTemp("", "rl-output")
	if err != nil {
		return "", err
	}
	defer func() { _ = errors.Join(output.Close(), os.Remove(output.Name())) }()
	command := exec.Command(bin.Daemon, "--home", home, "--https", "127.0.0.1:0")
	command.Env = append(os.Environ(), "RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=256", "RON_LEDGER_SHUTDOWN_TIMEOUT=10s")
	command.Stdout, command.Stderr = output, output
	p, err := trace.Start(command, options)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	go func() {
		<-p.Done()
		cancel()
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		load.Run(ctx)
	}()
	if during != nil {
		during()
		cancel()
	}
	<-ended
	_ = p.Signal(syscall.SIGTERM) // it may have ended
	status, err := p.Wait(runTimeout)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(output.Name())
	if err != nil {
		return "", err
	}
	switch {
	case strings.Contains(string(text), "goroutine ") || strings.Contains(string(text), "panic"):
		return "", fmt.Errorf("it ended with a stack trace:\n%s", text)
	case status.Signaled():
		return status.Signal().String(), nil
	case status.ExitStatus() != 0 && status.ExitStatus() != 1 && status.ExitStatus() != 70:
		return "", fmt.Errorf("exit status %d:\n%s", status.ExitStatus(), text)
	}
	return fmt.Sprintf("exit %d", status.ExitStatus()), nil
}
