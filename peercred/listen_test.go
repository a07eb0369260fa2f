package peercred

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// names lists a directory, hidden names too.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return strings.Join(list, " ")
}

func TestListenMakesAndRemoves(t *testing.T) {
	// The umask must neither open nor close what was asked for.
	for _, mode := range []fs.FileMode{0o600, 0o660, 0o666, 0o622} {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		path := socketIn(dir)
		listener, err := Listen(path, ListenOptions{Mode: mode})
		must(t, err)
		info, err := os.Lstat(path)
		must(t, err)
		if info.Mode() != fs.ModeSocket|mode {
			t.Errorf("mode %v, want %v", info.Mode(), fs.ModeSocket|mode)
		}
		if got := names(t, dir); got != "s s.lock" {
			t.Errorf("there is %q, want the socket and its lock", got)
		}
		must(t, listener.Close())
		if got := names(t, dir); got != "" {
			t.Errorf("Close leaves %q", got)
		}
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second Close: %v", err)
		}
		if _, _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
	}
}

// TestSocketIsNeverOpen looks at the bound socket before its permissions are set: the
// kernel must have taken them from the descriptor, whatever the umask is.
func TestSocketIsNeverOpen(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := socketIn(t.TempDir())
	inner, err := bindPrivately(path)
	must(t, err)
	defer inner.Close()
	info, err := os.Lstat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o after the bind, want 0600", info.Mode().Perm())
	}
}

func TestListenMakesDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if _, err := Listen(socketIn(dir), ListenOptions{}); err == nil {
		t.Error("a missing directory was made unasked")
	}
	mustListen(t, socketIn(dir), ListenOptions{DirMode: 0o711})
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o711 {
		t.Errorf("the directory has mode %04o, want 0711", info.Mode().Perm())
	}
}

func TestSecondInstance(t *testing.T) {
	path := socketIn(t.TempDir())
	mustListen(t, path, ListenOptions{})
	_, err := Listen(path, ListenOptions{})
	held, ok := errors.AsType[*HeldError](err)
	if !ok || held.PID != os.Getpid() || !strings.Contains(err.Error(), "another ron-ledgerd") {
		t.Errorf("a second instance: %v", err)
	}
	conn, err := net.Dial("unix", path)
	must(t, err)
	conn.Close()
}

func TestAfterCrash(t *testing.T) {
	dir := t.TempDir()
	path := socketIn(dir)
	p := mustStart(t, "listen", path, nil)
	if got := p.line(t); got != "<nil>" {
		t.Fatal(got)
	}
	if _, err := Listen(path, ListenOptions{}); err == nil {
		t.Fatal("listened beside a living instance")
	}
	p.kill(t)
	if got := names(t, dir); got != "s s.lock" {
		t.Errorf("a crash leaves %q", got)
	}
	// A crash between bind and rename leaves a dead socket under the private name.
	inner, err := bindPrivately(privateName(path))
	must(t, err)
	must(t, inner.Close())
	listener := mustListen(t, path, ListenOptions{})
	conn, err := net.Dial("unix", path)
	must(t, err)
	conn.Close()
	must(t, listener.Close())
	if got := names(t, dir); got != "" {
		t.Errorf("Close leaves %q", got)
	}
}

func TestListenRefuses(t *testing.T) {
	long := strings.Repeat("a", 200)
	cases := []struct {
		name string
		path string // below a fresh directory; absolute and abstract ones as they are
		make func(path string) error
		text string
	}{
		{"no path", "=", nil, "empty"},
		{"abstract", "=@ledger", nil, "abstract"},
		{"abstract with NUL", "=\x00ledger", nil, "abstract"},
		{"too long", "=/tmp/" + long, nil, "needs 205 bytes and the kernel takes 107: choose a path that is 98 bytes shorter"},
		{"no room for the private name", "=/tmp/" + long[:99] + "/s", nil, "needs 114 bytes"},
		{"no directory", "d/s", nil, "missing"},
		{"the directory is a file", "d/s", func(path string) error { return os.WriteFile(filepath.Dir(path), nil, 0o600) }, "directory"},
		{"writable by others", "d/s", func(path string) error { return mkdir(filepath.Dir(path), 0o777) }, "0777"},
		{"writable by the group", "d/s", func(path string) error { return mkdir(filepath.Dir(path), 0o770) }, "chmod go-w"},
		{"a file", "s", func(path string) error { return os.WriteFile(path, nil, 0o600) }, "a regular file, not a socket"},
		{"a directory", "s", func(path string) error { return mkdir(path, 0o700) }, "a directory, not a socket"},
		{"a fifo", "s", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "a fifo, not a socket"},
		{"a symbolic link to nothing", "s", func(path string) error { return os.Symlink("/nonexistent", path) }, "a symbolic link"},
		{"a symbolic link to a dead socket", "s", func(path string) error {
			return errors.Join(deadSocket(path+"2"), os.Symlink(path+"2", path))
		}, "a symbolic link"},
		{"a living socket without a lock", "s", livingSocket, "another process listens"},
		{"a datagram socket", "s", livingDatagram, "cannot tell"},
		{"the lock is a symbolic link", "s", func(path string) error { return os.Symlink("/tmp/elsewhere", path+".lock") }, "a symbolic link, not a lock file"},
		{"the lock is a directory", "s", func(path string) error { return mkdir(path+".lock", 0o700) }, "lock"},
		{"the private name is a file", "s", func(path string) error { return os.WriteFile(privateName(path), nil, 0o600) }, "left over"},
	}
	for _, c := range cases {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		path, asItIs := strings.CutPrefix(c.path, "=")
		if !asItIs {
			path = filepath.Join(dir, c.path)
		}
		if c.make != nil {
			must(t, c.make(path))
		}
		before := names(t, dir)
		listener, err := Listen(path, ListenOptions{})
		if err == nil {
			listener.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.text)
		}
		if after := names(t, dir); after != before {
			t.Errorf("%s: there was %q and is %q", c.name, before, after)
		}
	}
	for _, options := range []ListenOptions{{Mode: fs.ModeSetuid | 0o600}, {DirMode: 0o777}, {DirMode: fs.ModeDir | 0o700}, {GID: -1}} {
		if _, err := Listen(socketIn(t.TempDir()), options); err == nil {
			t.Errorf("%+v was accepted", options)
		}
	}
}

// TestForeignOwners needs root to give files away.
func TestForeignOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: files of others cannot be made")
		return
	}
	cases := []struct {
		name string
		give func(dir string) error
		text string
	}{
		{"directory", func(dir string) error { return os.Chown(dir, 1000, 1000) }, "could replace the socket"},
		{"socket", func(dir string) error {
			return errors.Join(deadSocket(socketIn(dir)), os.Chown(socketIn(dir), 1000, 1000))
		}, "belongs to uid 1000"},
		{"lock", func(dir string) error {
			return errors.Join(os.WriteFile(socketIn(dir)+".lock", nil, 0o666), os.Chown(socketIn(dir)+".lock", 1000, 1000))
		}, "belongs to uid 1000"},
	}
	for _, c := range cases {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		must(t, c.give(dir))
		if _, err := Listen(socketIn(dir), ListenOptions{}); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s of another: %v, want an error with %q", c.name, err, c.text)
		}
	}
	// Where the sticky bit is set, others cannot replace what is ours.
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o777|fs.ModeSticky))
	mustListen(t, socketIn(dir), ListenOptions{})
}

// TestCloseSparesOthers: what has taken the socket's place is not removed.
func TestCloseSparesOthers(t *testing.T) {
	path := socketIn(t.TempDir())
	listener, err := Listen(path, ListenOptions{})
	must(t, err)
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte("kept"), 0o600))
	must(t, listener.Close())
	if _, err := os.Stat(path); err != nil {
		t.Errorf("Close removed what it had not made: %v", err)
	}
	if _, err := os.Stat(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock is still there: %v", err)
	}
}

// TestManyStart: of many that start at once and give up again, one at a time listens.
func TestManyStart(t *testing.T) {
	path := socketIn(t.TempDir())
	var group sync.WaitGroup
	var mutex sync.Mutex
	listening, most, starts := 0, 0, 0
	count := func(step int) {
		mutex.Lock()
		defer mutex.Unlock()
		listening += step
		most = max(most, listening)
		starts += max(step, 0)
	}
	for range 8 {
		group.Go(func() {
			for range 50 {
				listener, err := Listen(path, ListenOptions{})
				if err != nil {
					if _, held := errors.AsType[*HeldError](err); !held {
						t.Errorf("neither listening nor held: %v", err)
					}
					continue
				}
				count(+1)
				count(-1)
				if err := listener.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if most != 1 || starts == 0 {
		t.Errorf("%d listened at once, %d in all", most, starts)
	}
}

func mkdir(path string, mode fs.FileMode) error {
	return errors.Join(os.Mkdir(path, mode), os.Chmod(path, mode))
}

func deadSocket(path string) error {
	inner, err := bindPrivately(path)
	if err != nil {
		return err
	}
	return inner.Close()
}

// living keeps sockets from being collected.
var living []any

func livingSocket(path string) error {
	listener, err := net.Listen("unix", path)
	living = append(living, listener)
	return err
}

func livingDatagram(path string) error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	living = append(living, conn)
	return err
}

func ExampleListen() {
	dir, err := os.MkdirTemp("", "l")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	listener, err := Listen(filepath.Join(dir, "ledger.sock"), ListenOptions{Mode: 0o600})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer listener.Close()
	go net.Dial("unix", listener.Path())
	conn, cred, err := listener.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(Policy{}.Check(cred))
	// Output: <nil>
}
