package trace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Verdict is what becomes of a call. The zero Verdict lets it happen.
type Verdict struct {
	Kill  bool          // the process ends by SIGKILL before the call
	Err   syscall.Errno // what the call reports; it does not happen, unless Done is set
	Done  bool
	Bytes int // of a write: at most so many happen and are reported; 0: all
}

// Options say what is done to a process.
type Options struct {
	// Decide is asked before each call, by one goroutine. Nil lets all happen.
	Decide func(Call) Verdict
	// Clock returns what is added to the time of day, in seconds, each time that the process asks.
	// Nil leaves the clock alone.
	Clock func() int64
}

// Process is a program that is traced.
type Process struct {
	pid     int
	options Options
	count   int
	threads map[int]*thread
	done    chan struct{}
	status  syscall.WaitStatus
	err     error
}

// thread is one of the process, between two of its stops.
type thread struct {
	within  bool // a call
	verdict Verdict
	clock   uint64 // address of the answer to a call for the time; 0: none is under way
}

// Start starts a command, whose output has to be files. The caller MUST call Wait.
func Start(command *exec.Cmd, options Options) (*Process, error) {
	p := &Process{options: options, threads: map[int]*thread{}, done: make(chan struct{})}
	if command.SysProcAttr == nil {
		command.SysProcAttr = new(syscall.SysProcAttr)
	}
	command.SysProcAttr.Ptrace, command.SysProcAttr.Setpgid = true, true
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // one thread is the tracer, and ends with this goroutine
		defer close(p.done)
		err := p.start(command)
		started <- err
		if err == nil {
			p.err = p.trace()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("trace %s: %w", command.Path, err)
	}
	return p, nil
}

func (p *Process) start(command *exec.Cmd) error {
	if err := command.Start(); err != nil {
		return err
	}
	p.pid = command.Process.Pid
	if err := command.Process.Release(); err != nil { // it is waited for here
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.pid, &status, syscall.WALL, nil); err != nil {
		return err
	}
	const options = syscall.PTRACE_O_TRACESYSGOOD | syscall.PTRACE_O_TRACECLONE | ptraceExitKill
	if err := syscall.PtraceSetOptions(p.pid, options); err != nil {
		return err
	}
	if p.options.Clock != nil {
		if err := hideVDSO(p.pid); err != nil {
			return err
		}
	}
	return syscall.PtraceSyscall(p.pid, 0)
}

// ptraceExitKill ends the process with its tracer.
const ptraceExitKill = 0x100000

// syscallStop is the signal of a stop at a system call.
const syscallStop = syscall.SIGTRAP | 0x80

// trace lets the threads go on from stop to stop until the process has ended.
func (p *Process) trace() error {
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-p.pid, &status, syscall.WALL, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for the process: %w", err)
		case status.Exited() || status.Signaled():
			if tid == p.pid {
				p.status = status
				return nil
			}
			delete(p.threads, tid)
			continue
		case !status.Stopped():
			continue
		}
		signal := p.stopped(tid, status)
		if err := syscall.PtraceSyscall(tid, int(signal)); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("let thread %d go on: %w", tid, err)
		}
	}
}

// stopped handles one stop and returns the signal that the thread goes on with.
func (p *Process) stopped(tid int, status syscall.WaitStatus) syscall.Signal {
	t, known := p.threads[tid]
	if !known {
		t = new(thread)
		p.threads[tid] = t
	}
	switch signal := status.StopSignal(); {
	case signal == syscallStop:
		t.within = !t.within
		if t.within {
			p.enter(tid, t)
		} else {
			p.leave(tid, t)
		}
		return 0
	case signal == syscall.SIGTRAP, signal == syscall.SIGSTOP && !known:
		return 0 // a clone, or the first stop of a thread
	default:
		return signal
	}
}

// enter asks about a call and prepares what was decided. A thread that is gone by now needs nothing.
func (p *Process) enter(tid int, t *thread) {
	var regs syscall.PtraceRegs
	t.verdict, t.clock = Verdict{}, 0
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	if p.options.Clock != nil && regs.Orig_rax == sysClockGettime && regs.Rdi == 0 {
		t.clock = regs.Rsi
	}
	call, ok := p.call(&regs)
	if !ok || p.options.Decide == nil {
		return
	}
	t.verdict = p.options.Decide(call)
	switch v := &t.verdict; {
	case v.Kill:
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	case v.Err != 0 && !v.Done:
		regs.Orig_rax = ^uint64(0)
		_ = syscall.PtraceSetRegs(tid, &regs)
	case v.Err == 0 && v.Bytes > 0 && call.Bytes > v.Bytes:
		regs.Rdx = uint64(v.Bytes)
		_ = syscall.PtraceSetRegs(tid, &regs)
	}
}

// leave changes what a call reports.
func (p *Process) leave(tid int, t *thread) {
	if t.clock != 0 {
		moveTime(tid, uintptr(t.clock), p.options.Clock())
	}
	if t.verdict.Err == 0 {
		return
	}
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) == nil {
		regs.Rax = uint64(-int64(t.verdict.Err))
		_ = syscall.PtraceSetRegs(tid, &regs)
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error { return syscall.Kill(p.pid, s) }

// Wait waits for the process to end, and kills it after timeout: that is an error.
func (p *Process) Wait(timeout time.Duration) (syscall.WaitStatus, error) {
	select {
	case <-p.done:
		return p.status, p.err
	case <-time.After(timeout):
	}
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
	return p.status, errors.Join(p.err, fmt.Errorf("process %d has not ended within %s", p.pid, timeout), os.ErrDeadlineExceeded)
}
