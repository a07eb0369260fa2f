package sidecartest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// mountRole is set in the process that TestMounts starts in a mount namespace of its own.
const mountRole = "SIDECARTEST_MOUNTS"

// noReserve has nobody watch the free space of a disk that is smaller than the reserve.
const noReserve = "RON_LEDGER_DISK_RESERVE_BYTES=0"

// TestMounts runs the tests that mount file systems, small and failing ones, in a mount namespace
// that ends with them. Where none may be made (it takes CAP_SYS_ADMIN) it says so; the sweeps in
// memory stand in.
func TestMounts(t *testing.T) {
	if os.Getenv(mountRole) == "" {
		again(t)
		return
	}
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	bin := Build(t)
	t.Run("full tmpfs, with the reserve", func(t *testing.T) { testReserve(t, bin) })
	t.Run("full tmpfs, without the reserve", func(t *testing.T) { testNoSpace(t, bin) })
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Logf("no loop devices: no ext4 to cut the power of or to fail: %v", err)
		return
	}
	t.Run("power cuts, ext4", func(t *testing.T) { testPowerCuts(t, bin) })
	t.Run("ext4 turns read-only", func(t *testing.T) { testReadOnly(t, bin) })
}

// again runs TestMounts in a mount namespace.
func again(t *testing.T) {
	t.Helper()
	command := exec.Command("/proc/self/exe", "-test.run", "^TestMounts$", "-test.v", "-test.timeout", "30m")
	command.Env = append(os.Environ(), mountRole+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Log("no mount namespace may be made here: a full, failing and powerless disk is tested in memory alone")
		return
	}
	for line := range strings.Lines(string(out)) {
		t.Log(strings.TrimRight(line, "\n"))
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestMounts")) {
		t.Errorf("in the namespace: %v", err)
	}
}

// mountAt mounts a file system and unmounts it at the end of the test.
func mountAt(t *testing.T, what, kind string, options ...string) (dir string) {
	t.Helper()
	dir = ShortDir(t)
	run(t, "mount", "-t", kind, "-o", strings.Join(append(options, "nosuid"), ","), what, dir)
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// homeIn makes a home in a file system that is mounted.
func homeIn(t *testing.T, dir string) string {
	t.Helper()
	home := filepath.Join(dir, "h")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return home
}

// waitUntil waits for a condition.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute in vain: %s", what)
		}
	}
}

// testReserve fills a small tmpfs by appends: they are refused with disk_pressure before it is full,
// reads go on, and when there is room again appends do.
func testReserve(t *testing.T, bin Binaries) {
	dir := mountAt(t, "tmpfs", "tmpfs", "size=48m")
	home := homeIn(t, dir)
	load := writers.New(1, 3).At(home)
	load.Memo, load.Pause = 900, 2*time.Millisecond // slower than diskInterval lets a reserve of 24 MiB be used up
	p := StartProcessEnv(t, bin, home, []string{"RON_LEDGER_DISK_RESERVE_BYTES=24MiB", "RON_LEDGER_STORE_MEMTABLE_BYTES=1MiB"})
	under(t, load, func() {
		waitUntil(t, "disk_pressure", func() bool { n, _ := load.Count(); return n.Refused[wire.ReasonDiskPressure] > 0 })
		if _, exit := p.CLI("balances"); exit != 0 {
			t.Errorf("balances under disk_pressure: exit status %d", exit)
		}
		run(t, "mount", "-o", "remount,size=256m", dir)
		load.Pause = 20 * time.Millisecond
		awaitAcks(t, load, 50)
	})
	stopAndCheck(t, p, load)
}

// stopAndCheck settles what is unresolved, stops the process and holds the home against the load.
func stopAndCheck(t *testing.T, p *Process, load *writers.Load) {
	t.Helper()
	settle(t, load)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, p.Home)
	count, _ := load.Count()
	t.Logf("%+v", count)
}

// testNoSpace fills a small tmpfs that nobody watches: the process stops with status 70, says why,
// and a start that finds room finds everything that was acknowledged.
func testNoSpace(t *testing.T, bin Binaries) {
	dir := mountAt(t, "tmpfs", "tmpfs", "size=24m")
	home := homeIn(t, dir)
	load := writers.New(1, 3).At(home)
	load.Memo = 900
	env := []string{noReserve, "RON_LEDGER_STORE_MEMTABLE_BYTES=1MiB"}
	p := StartProcessEnv(t, bin, home, env)
	under(t, load, func() {
		if exit := p.Wait(); exit != 70 || !strings.Contains(p.Output(), "no space left on device") || strings.Contains(p.Output(), "goroutine ") {
			t.Errorf("exit status %d\n%s", exit, p.Output())
		}
	})
	full := LaunchProcess(t, bin, home, env) // on the full disk: it starts, or says what is wrong
	if err := full.await(); err == nil {
		full.Kill()
	} else if output := full.Output(); !strings.Contains(output, "no space left on device") || strings.Contains(output, "goroutine ") {
		t.Errorf("a start on a full disk: %v\n%s", err, output)
	} else {
		t.Logf("a start on the full disk: exit status %d", full.command.ProcessState.ExitCode())
	}
	run(t, "mount", "-o", "remount,size=256m", dir)
	CheckLoad(t, load, copyHome(t, home))
	stopAndCheck(t, StartProcessEnv(t, bin, home, env), load)
}

// ext4 makes a file system in a file in memory and mounts it.
func ext4(t *testing.T, options ...string) (image, dir string) {
	t.Helper()
	image = filepath.Join(mountAt(t, "tmpfs", "tmpfs", "size=1g"), "image")
	run(t, "truncate", "-s", "128M", image)
	run(t, "mkfs.ext4", "-q", "-F", image)
	return image, mountAt(t, image, "ext4", append(options, "loop")...)
}

// testPowerCuts cuts the power of a ledger on ext4 amid a load, POWER_CUTS times, 3 unless told: what
// the block device has when the process is gone, and nothing that only the page cache has, is mounted
// elsewhere, its journal replayed by the kernel, and held against what was acknowledged by then. The
// device is taken to keep what it was given: no cache of its own is lost.
func testPowerCuts(t *testing.T, bin Binaries) {
	cuts, lost := int(setting(t, "POWER_CUTS", 3)), 0
	for first := 0; first < cuts; first += cutsPerHome {
		n := min(cutsPerHome, cuts-first)
		t.Run(fmt.Sprintf("%d to %d", first+1, first+n), func(t *testing.T) { lost += cutPower(t, bin, first, n) })
	}
	t.Logf("%d cuts, %d of them lost something that was not synced", cuts, lost)
	if lost == 0 {
		t.Error("no cut lost anything: the test has tested nothing")
	}
}

// cutsPerHome is how often one ledger loses its power. It grows from life to life, and so does its
// audit.
const cutsPerHome = 10

// cutPower cuts the power of one ledger n times and returns how many cuts lost something.
func cutPower(t *testing.T, bin Binaries, first, n int) (lost int) {
	image, dir := ext4(t, "commit=60")
	home := homeIn(t, dir)
	load := writers.New(uint64(first), 3).At(home)
	for cut := range n {
		p := LaunchProcess(t, bin, home, []string{"RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=500", noReserve})
		under(t, load, func() {
			awaitAcks(t, load, 5+37*(first+cut)%100)
			p.Kill()
		})
		copied := filepath.Join(filepath.Dir(image), "cut")
		run(t, "cp", "--sparse=always", image, copied)
		left := filepath.Join(mountAt(t, copied, "ext4", "loop"), "h")
		if !sameFile(t, filepath.Join(home, "head"), filepath.Join(left, "head")) {
			lost++
		}
		CheckLoad(t, load, copyHome(t, left))
		run(t, "umount", filepath.Dir(left))
	}
	stopAndCheck(t, StartProcessEnv(t, bin, home, []string{noReserve}), load)
	return lost
}

func sameFile(t *testing.T, one, other string) bool {
	t.Helper()
	a, err1 := os.ReadFile(one)
	b, err2 := os.ReadFile(other)
	if err1 != nil {
		t.Fatal(err1)
	}
	return err2 == nil && bytes.Equal(a, b)
}

// testReadOnly has ext4 find an error of its own amid a load, upon which it turns read-only: the
// process stops with status 70 and says why, a start on it says so too, and once it is mounted again
// everything acknowledged is there.
func testReadOnly(t *testing.T, bin Binaries) {
	image, dir := ext4(t, "errors=remount-ro")
	source, err := exec.Command("findmnt", "-n", "-o", "SOURCE", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	home := homeIn(t, dir)
	load := writers.New(1, 3).At(home)
	p := StartProcessEnv(t, bin, home, []string{noReserve})
	under(t, load, func() {
		awaitAcks(t, load, 50)
		trigger := filepath.Join("/sys/fs/ext4", filepath.Base(strings.TrimSpace(string(source))), "trigger_fs_error")
		if err := os.WriteFile(trigger, []byte("a test"), 0o200); err != nil {
			t.Fatal(err)
		}
		if exit := p.Wait(); exit != 70 || !saysWhy(p.Output()) {
			t.Errorf("exit status %d\n%s", exit, p.Output())
		}
	})
	output, exit := runDaemon(t, bin, nil, nil, "--home", home, "--https", "127.0.0.1:0")
	if exit != 1 && exit != 70 || !saysWhy(output) {
		t.Errorf("a start on it: exit status %d\n%s", exit, output)
	}
	run(t, "umount", dir)
	run(t, "mount", "-t", "ext4", "-o", "loop", image, dir)
	CheckLoad(t, load, copyHome(t, home))
	stopAndCheck(t, StartProcessEnv(t, bin, home, []string{noReserve}), load)
}

// saysWhy reports whether output names what a file system that failed reports: EIO what was under
// way, EROFS what comes later.
func saysWhy(output string) bool {
	return (strings.Contains(output, "read-only file system") || strings.Contains(output, "input/output error")) && !strings.Contains(output, "goroutine ")
}
