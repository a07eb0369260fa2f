package peercred

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A mounted secret lies behind a symbolic link, and its group may read it; others may not.
func TestReadMounted(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	must(t, errors.Join(os.WriteFile(file, []byte("secret"), 0o440), os.Symlink("file", link)))
	if text, err := ReadMounted(link, 6); err != nil || string(text) != "secret" {
		t.Errorf("it reads %q: %v", text, err)
	}
	if _, err := ReadMounted(link, 5); err == nil {
		t.Error("it reads more than it may")
	}
	if _, err := ReadMounted(filepath.Join(dir, "none"), 5); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	must(t, os.Chmod(file, 0o444))
	for _, path := range []string{link, dir} {
		if _, err := ReadMounted(path, 6); err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is read: %v", path, err)
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	p := mustStart(t, "lock", path, nil)
	if got := p.line(t); got != "<nil>" {
		t.Fatal(got)
	}
	_, err := LockFile(path)
	if held, ok := errors.AsType[*HeldError](err); !ok || held.PID != p.command.Process.Pid || held.Path != path {
		t.Errorf("a lock of another process: %v", err)
	}
	p.kill(t)
	lock, err := LockFile(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	text, err := os.ReadFile(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 || string(text) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("the lock file has mode %04o and says %q", info.Mode().Perm(), text)
	}
	must(t, lock.Close())
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close leaves the file: %v", err)
	}
	if lock.Close() == nil {
		t.Error("a second Close succeeds")
	}
}

// TestHeldErrorDistrustsTheFile: what stands in a lock file is shown as a number only.
func TestHeldErrorDistrustsTheFile(t *testing.T) {
	for text, want := range map[string]int{"": 0, "x": 0, "-5\n": 0, "12": 12, "12\n": 12, "12 13\n": 0, "99999999999999999999": 0, strings.Repeat("1", 100): 0} {
		path := filepath.Join(t.TempDir(), "lock")
		lock, err := LockFile(path)
		must(t, err)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		_, err = LockFile(path)
		if held, ok := errors.AsType[*HeldError](err); !ok || held.PID != want {
			t.Errorf("%q: %v, want pid %d", text, err, want)
		}
		must(t, lock.Close())
	}
}

func TestPrivate(t *testing.T) {
	cases := []struct {
		name string
		make func(path string) error
		ok   bool
		text string
	}{
		{"file 0600", func(path string) error { return write(path, 0o600) }, true, ""},
		{"file 0400", func(path string) error { return write(path, 0o400) }, true, ""},
		{"file 0640", func(path string) error { return write(path, 0o640) }, false, "chmod 0600"},
		{"file 0604", func(path string) error { return write(path, 0o604) }, false, "chmod 0600"},
		{"file 0610", func(path string) error { return write(path, 0o610) }, false, "chmod 0600"},
		{"directory 0700", func(path string) error { return mkdir(path, 0o700) }, true, ""},
		{"directory 0750", func(path string) error { return mkdir(path, 0o750) }, false, "chmod 0700"},
		{"symbolic link", func(path string) error { return errors.Join(write(path+"2", 0o600), os.Symlink(path+"2", path)) }, false, "a symbolic link"},
		{"fifo", func(path string) error { return syscall.Mkfifo(path, 0o600) }, false, "a fifo"},
		{"socket", deadSocket, false, "a socket"},
		{"nothing", func(string) error { return nil }, false, "no such file"},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "f")
		must(t, c.make(path))
		err := CheckPrivate(path)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: CheckPrivate = %v, want ok %v, %q", c.name, err, c.ok, c.text)
		}
		_, isPrivateError := errors.AsType[*PrivateError](err)
		if wantTyped := !c.ok && c.name != "nothing"; isPrivateError != wantTyped {
			t.Errorf("%s: %T", c.name, err)
		}
		text, err := ReadPrivate(path, 7)
		isFile := c.ok && strings.HasPrefix(c.name, "file")
		if (err == nil) != isFile || isFile && string(text) != "content" || err != nil && text != nil {
			t.Errorf("%s: ReadPrivate = %q, %v", c.name, text, err)
		}
	}
	path := filepath.Join(t.TempDir(), "f")
	must(t, write(path, 0o600))
	if _, err := ReadPrivate(path, 6); err == nil || !strings.Contains(err.Error(), "longer than 6 bytes") {
		t.Errorf("a file that is too long: %v", err)
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(path, 1000, 1000))
		if err := CheckPrivate(path); err == nil || !strings.Contains(err.Error(), "chown 0") {
			t.Errorf("a file of another: %v", err)
		}
	}
}

func write(path string, mode os.FileMode) error {
	return errors.Join(os.WriteFile(path, []byte("content"), 0o600), os.Chmod(path, mode))
}

func TestDescriptors(t *testing.T) {
	before, limit, err := Descriptors()
	must(t, err)
	file, err := os.Open("/dev/null")
	must(t, err)
	defer file.Close()
	after, _, err := Descriptors()
	must(t, err)
	if after != before+1 || before < 3 || limit < uint64(after) {
		t.Errorf("%d descriptors, then %d with one more, of %d", before, after, limit)
	}
}

func TestHarden(t *testing.T) {
	got := mustStart(t, "harden", "", nil).line(t)
	// A binary with cgo, which the race detector makes, cannot reach every thread; then
	// Harden says so and does the rest.
	whole := "took [no_new_privs not_dumpable no_core], <nil>, threads without no_new_privs: 0, core 0"
	withCgo := "took [not_dumpable no_core], harden the process: no_new_privs: "
	if got != whole && !strings.HasPrefix(got, withCgo) {
		t.Errorf("Harden: %s", got)
	}
}

// hardenAndLook is the role: what Harden says, and what the kernel shows of it.
func hardenAndLook() string {
	took, err := Harden()
	without := 0
	tasks, globErr := filepath.Glob("/proc/self/task/*/status")
	for _, task := range tasks {
		if status, _ := os.ReadFile(task); !strings.Contains(string(status), "NoNewPrivs:\t1") {
			without++
		}
	}
	var core syscall.Rlimit
	limitErr := syscall.Getrlimit(syscall.RLIMIT_CORE, &core)
	if err := errors.Join(globErr, limitErr); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("took %v, %v, threads without no_new_privs: %d, core %d", took, err, without, core.Max)
}
