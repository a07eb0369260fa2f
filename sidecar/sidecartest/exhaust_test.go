package sidecartest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// limited returns the programs with a daemon that has a limit of the shell's set first.
func limited(t *testing.T, bin Binaries, limit string) Binaries {
	t.Helper()
	script := filepath.Join(ShortDir(t), "ron-ledgerd")
	text := fmt.Sprintf("#!/bin/sh\nulimit %s || exit 99\nexec %s \"$@\"\n", limit, bin.Daemon)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Binaries{Daemon: script, CLI: bin.CLI}
}

// TestOutOfDescriptors gives ron-ledgerd few descriptors and has connections take all that it lends
// them: those that are there go on, over many checkpoints, which need files; turning the others away
// is cheap; and when the connections are gone new ones are served.
func TestOutOfDescriptors(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	load := writers.New(1, 2).At(home)
	p := StartProcessEnv(t, limited(t, bin, "-n 160"), home, []string{"RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=256", "RON_LEDGER_UDS_HANDSHAKE_TIMEOUT=1m"})
	under(t, load, func() {
		awaitAcks(t, load, 20)
		var taken []net.Conn
		for range 400 {
			conn, err := net.DialTimeout("unix", filepath.Join(home, "ledger.sock"), time.Second)
			if err != nil {
				break // the backlog is full
			}
			taken = append(taken, conn)
		}
		if len(taken) < 100 {
			t.Errorf("only %d connections were made", len(taken))
		}
		before := cpuTime(t, p.PID())
		count, _ := load.Count()
		awaitAcks(t, load, 100)
		after, _ := load.Count()
		t.Logf("%d connections beside the load: %d requests went on, %s of processor time", len(taken), after.Acked-count.Acked, cpuTime(t, p.PID())-before)
		for _, conn := range taken {
			_ = conn.Close()
		}
	})
	idle(t, p)
	waitForRoom(t, p)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, home)
}

// waitForRoom waits until the process takes connections again: those before are closed in a moment.
func waitForRoom(t *testing.T, p *Process) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(20 * time.Millisecond) {
		if _, stderr, exit := RunCLI(t, p.bin, p.Home, "status"); exit == 0 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("with descriptors again, a new connection: exit status %d: %s\n%s", exit, stderr, p.Output())
		}
	}
}

// idle takes all descriptors by connections that say nothing, while there is no load, and asks that
// the process does next to nothing. What comes to an end, such as turning the last ones away, may be
// in one look at it; what spins is in each.
func idle(t *testing.T, p *Process) {
	t.Helper()
	for range 400 {
		conn, err := net.DialTimeout("unix", filepath.Join(p.Home, "ledger.sock"), time.Second)
		if err != nil {
			break
		}
		defer func() { _ = conn.Close() }()
	}
	const looks = 3
	for look := 1; ; look++ {
		before, began := cpuTime(t, p.PID()), time.Now()
		time.Sleep(700 * time.Millisecond)
		used, took := cpuTime(t, p.PID())-before, time.Since(began)
		t.Logf("out of descriptors and idle for %s: %s of processor time", took.Round(time.Millisecond), used)
		if used <= took/2 {
			return
		}
		if look == looks {
			t.Fatalf("it used %s of processor time in %s, and no less before: the accepting spins", used, took)
		}
	}
}

// cpuTime returns the processor time that a process has used, in clock ticks of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // user and system time
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// starve limits the memory of a process to little more than it has: in a control group of its own,
// where the kernel then kills it, or else of its address space, where it ends itself.
func starve(t *testing.T, pid int) (how string) {
	t.Helper()
	const more = 2 << 20
	group := fmt.Sprintf("/sys/fs/cgroup/memory/ron-ledger-test-%d", pid)
	if os.Mkdir(group, 0o755) == nil {
		t.Cleanup(func() { _ = os.Remove(group) })
		set := func(name string, value int64) error {
			return os.WriteFile(filepath.Join(group, name), []byte(strconv.FormatInt(value, 10)), 0o644)
		}
		resident := statusBytes(t, pid, "VmRSS:")
		if errors.Join(set("memory.limit_in_bytes", resident/8), set("cgroup.procs", int64(pid))) == nil {
			return "control group"
		}
	}
	limit := statusBytes(t, pid, "VmSize:") + more
	if out, err := exec.Command("prlimit", "--pid", strconv.Itoa(pid), "--as="+strconv.FormatInt(limit, 10)).CombinedOutput(); err != nil {
		t.Fatalf("prlimit: %v\n%s", err, out)
	}
	return "address space"
}

// statusBytes reads a size from /proc/PID/status.
func statusBytes(t *testing.T, pid int, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("/proc/%d/status has no %s", pid, name)
	return 0
}

// TestOutOfMemory takes the memory from ron-ledgerd amid a load, MEMORY_ROUNDS times, 2 unless told,
// until it ends: whatever ended it, everything acknowledged is there.
func TestOutOfMemory(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	load := writers.New(1, 4).At(home)
	load.Memo = 900
	ends := map[string]int{}
	for range int(setting(t, "MEMORY_ROUNDS", 2)) {
		p := StartProcess(t, bin, home)
		under(t, load, func() {
			awaitAcks(t, load, 50)
			how := starve(t, p.PID())
			p.Wait()
			status := p.command.ProcessState.Sys().(syscall.WaitStatus)
			if status.Exited() && status.ExitStatus() == 0 {
				t.Errorf("it ended with 0 for want of memory\n%s", p.Output())
			}
			ends[how+": "+p.command.ProcessState.String()]++
		})
		CheckLoad(t, load, copyHome(t, home))
	}
	p := StartProcess(t, bin, home)
	settle(t, load)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, home)
	count, _ := load.Count()
	t.Logf("%v; %+v", ends, count)
}
