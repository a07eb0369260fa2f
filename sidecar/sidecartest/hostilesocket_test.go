package sidecartest

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHostileSocket lets others put something in the place of the socket, where they can,
// or beforehand: ledgerctl says what it found before a token is sent, and ron-ledgerd says
// why it does not listen there.
func TestHostileSocket(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: nothing of another uid can be made; TestListenRefuses has the rest")
		return
	}
	const other = 54321
	bin, home := Build(t), ShortDir(t)
	live := StartProcess(t, bin, home)
	give := func(err error, path string) error { return errors.Join(err, os.Lchown(path, other, other)) }
	var refused, denied = "ledgerctl", "ron-ledgerd"
	for _, c := range []struct {
		name string
		who  string // that is run and refuses
		make func(path string) error
		says string
	}{
		{"a socket of another uid", refused, func(path string) error { return foreignSocket(t, other, path) }, "check the server: it runs as uid 54321, expected one of [0]"},
		{"a link to a socket of another uid", refused, func(path string) error {
			return errors.Join(foreignSocket(t, other, path+"2"), os.Symlink(path+"2", path))
		}, "check the server: it runs as uid 54321, expected one of [0]"},
		{"a file", refused, func(path string) error { return os.WriteFile(path, nil, 0o600) }, "connection refused"},
		{"a socket that nobody has", refused, func(path string) error { return deadSocket(path) }, "connection refused"},
		{"nothing", refused, func(string) error { return nil }, "no such file"},
		{"a link that leads round", refused, func(path string) error { return os.Symlink(path, path) }, "too many levels of symbolic links"},

		{"a folder of another uid", denied, func(path string) error { return give(nil, filepath.Dir(path)) }, "belongs to uid 54321, who could replace the socket"},
		{"a link to a folder of another uid", denied, func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(os.Rename(dir, dir+"2"), os.Symlink(dir+"2", dir), give(nil, dir+"2"))
		}, "belongs to uid 54321, who could replace the socket"},
		{"a folder that others can write", denied, func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) }, "others could replace the socket"},
		{"a dead socket of another uid", denied, func(path string) error { return give(deadSocket(path), path) }, "belongs to uid 54321"},
		{"a file in its place", denied, func(path string) error { return os.WriteFile(path, nil, 0o600) }, "a regular file, not a socket"},
		{"a link in its place", denied, func(path string) error { return os.Symlink(live.Socket, path) }, "a symbolic link"},
		{"a lock of another uid", denied, func(path string) error { return give(os.WriteFile(path+".lock", nil, 0o666), path+".lock") }, "belongs to uid 54321"},
		{"a link in the place of its lock", denied, func(path string) error { return os.Symlink(live.Socket, path+".lock") }, "a symbolic link, not a lock file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(ShortDir(t), "d")
			path := filepath.Join(dir, "s")
			if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Mkdir(dir, 0o755), c.make(path)); err != nil {
				t.Fatal(err)
			}
			var said string
			var exit int
			if c.who == refused {
				_, said, exit = RunCLI(t, bin, home, "--socket", path, "balances")
			} else {
				said, exit = runDaemon(t, bin, nil, nil, "--home", filepath.Join(ShortDir(t), "home"), "--https", "127.0.0.1:0", "--socket", path)
			}
			if exit == 0 || !strings.Contains(said, c.says) || strings.Contains(said, "goroutine ") {
				t.Errorf("%s: exit %d, it says %q, want …%s…", c.who, exit, said, c.says)
			}
		})
	}
	replaceLive(t, live, other)
}

// replaceLive replaces the socket of a running sidecar, which only its own uid can do: its
// connections go on, those who come are told, and its end leaves what is not its own.
func replaceLive(t *testing.T, live *Process, other uint32) {
	t.Helper()
	conn := DialRaw(t, live.Socket)
	conn.Send(HelloFrame(tokenIn(t, live.Home)))
	conn.Receive()
	if err := os.Remove(live.Socket); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(live.Home, 0o711); err != nil { // for the other one to reach it
		t.Fatal(err)
	}
	if err := foreignSocket(t, other, live.Socket); err != nil {
		t.Fatal(err)
	}
	if reason, detail := askRoots(conn); reason != 0 {
		t.Errorf("a connection from before is refused with %s: %q", reason, detail)
	}
	if _, said, exit := RunCLI(t, live.bin, live.Home, "balances"); exit == 0 || !strings.Contains(said, "uid 54321") {
		t.Errorf("one who comes: exit %d, %q", exit, said)
	}
	if code := live.Stop(); code != 0 {
		t.Errorf("exit status %d\n%s", code, live.Output())
	}
	if info, err := os.Lstat(live.Socket); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket of another is gone: %v", err)
	}
}

// foreignSocket has a process of another uid listen at a path.
func foreignSocket(t *testing.T, uid uint32, path string) error {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "rl")
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, int(uid), int(uid))); err != nil {
		return err
	}
	startAttack(t, uid, "listen 1", filepath.Join(dir, "s"), nil)
	return os.Rename(filepath.Join(dir, "s"), path)
}

// deadSocket leaves a socket behind which nobody listens.
func deadSocket(path string) error {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	return listener.Close()
}
