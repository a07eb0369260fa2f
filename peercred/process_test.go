package peercred

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The tests run this binary again, as other users and in other namespaces. What such a
// process has to do is its role, in the environment; it says one line and then waits
// until its standard input ends.
const (
	roleVariable = "PEERCRED_TEST_ROLE"
	pathVariable = "PEERCRED_TEST_PATH"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	line := play(role, os.Getenv(pathVariable))
	fmt.Println(strings.ReplaceAll(line, "\n", " "))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// keptOpen is what a role holds until the process ends.
var keptOpen []any

func play(role, path string) string {
	switch role {
	case "dial":
		conn, err := net.Dial("unix", path)
		if err != nil {
			return err.Error()
		}
		keptOpen = append(keptOpen, conn)
		cred, err := ServerCred(conn.(*net.UnixConn), 0, uint32(os.Geteuid()))
		return fmt.Sprintf("server uid %d, %v", cred.UID, err)
	case "listen":
		listener, err := Listen(path, ListenOptions{Mode: 0o666})
		keptOpen = append(keptOpen, listener)
		return fmt.Sprint(err)
	case "serve":
		listener, err := Listen(path, ListenOptions{Mode: 0o666})
		if err != nil {
			return err.Error()
		}
		defer listener.Close()
		fmt.Println("ready")
		_, cred, err := listener.Accept()
		_, isOverflow := errors.AsType[*OverflowError](err)
		return fmt.Sprintf("uid %d pid %d overflow %v", cred.UID, cred.PID, isOverflow)
	case "lock":
		lock, err := LockFile(path)
		keptOpen = append(keptOpen, lock)
		return fmt.Sprint(err)
	case "confine":
		return confineAndLook(path)
	case "harden":
		return hardenAndLook()
	}
	return "no such role: " + role
}

// process is a running role.
type process struct {
	command *exec.Cmd
	stdin   io.Closer
	stdout  *bufio.Reader
}

// start runs a role. The error is that of starting: namespaces may be forbidden.
func start(t *testing.T, role, path string, as *syscall.SysProcAttr) (*process, error) {
	t.Helper()
	// The link leads to the binary even where its folder is closed to the other uid.
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), roleVariable+"="+role, pathVariable+"="+path)
	command.SysProcAttr = as
	command.Stderr = os.Stderr
	command.Dir = "/"
	stdin, err := command.StdinPipe()
	must(t, err)
	stdout, err := command.StdoutPipe()
	must(t, err)
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{command, stdin, bufio.NewReader(stdout)}
	t.Cleanup(func() { p.stdin.Close(); _ = p.command.Wait() })
	return p, nil
}

func mustStart(t *testing.T, role, path string, as *syscall.SysProcAttr) *process {
	t.Helper()
	p, err := start(t, role, path, as)
	must(t, err)
	return p
}

// line is what the process says next.
func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.stdout.ReadString('\n')
	must(t, err)
	return strings.TrimSuffix(line, "\n")
}

// kill ends the process as a crash does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	must(t, p.command.Process.Kill())
	_ = p.command.Wait()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openDir is a folder with a short path that other users can pass through.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pc")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func socketIn(dir string) string { return filepath.Join(dir, "s") }

func mustListen(t *testing.T, path string, options ListenOptions) *Listener {
	t.Helper()
	listener, err := Listen(path, options)
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}
