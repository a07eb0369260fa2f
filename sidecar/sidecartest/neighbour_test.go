package sidecartest

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// The attackers run this binary again under other uids. What such a process does is its
// role, in the environment; it says a line when it is at it and ends with its stdin.
const (
	attackRole   = "SIDECARTEST_ROLE"
	attackSocket = "SIDECARTEST_SOCKET"
	attackToken  = "SIDECARTEST_TOKEN"
)

// attack is what main does in a process that has a role.
func attack(role string) {
	if role == "cell" {
		if err := enterCell(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	socket := os.Getenv(attackSocket)
	token, _ := hex.DecodeString(os.Getenv(attackToken))
	kind, count, _ := strings.Cut(role, " ")
	n, _ := strconv.Atoi(count)
	for i := range n {
		switch kind {
		case "flood":
			go flood(socket, token, uint64(i))
		case "loris":
			go drip(socket)
		case "hold":
			go hold(socket)
		case "listen":
			listen(socket)
		}
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println("at it")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

const floodEntries = 200 // of one request

// flood sends entries, each a new one, as fast as the sidecar reads.
func flood(socket string, token []byte, serial uint64) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	if _, err := conn.Write(HelloFrame(token)); err != nil {
		return
	}
	one, _ := wire.AppendEntry(nil, &wire.Fields{Kind: wire.KindMint, Account: "flood", Amount: wire.AmountOf(1)})
	entries := slices.Repeat(one, floodEntries)
	for request := uint64(1); ; request++ {
		for i := range floodEntries {
			binary.BigEndian.PutUint64(entries[i*len(one)+16:], uint64(time.Now().UnixMilli())<<16|serial)
			binary.BigEndian.PutUint64(entries[i*len(one)+24:], request*floodEntries+uint64(i))
		}
		if _, err := conn.Write(AppendFrame(request, 0, floodEntries, entries)); err != nil {
			return
		}
	}
}

// drip begins a HELLO again and again and never ends it.
func drip(socket string) {
	for {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		_, _ = conn.Write(HelloFrame(nil)[:10])
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// hold connects to a TCP address and says nothing.
func hold(address string) {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// listen takes connections at a socket and reads what they send.
func listen(socket string) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(os.Stderr, conn) }() // nothing: a token would be seen
		}
	}()
}

// neighbour is a process of another uid that attacks.
type neighbour struct {
	t       *testing.T
	command *exec.Cmd
	stdin   io.Closer
	ended   bool
}

// startAttack runs a role under a uid and waits until it is at it.
func startAttack(t *testing.T, uid uint32, role, socket string, token []byte) *neighbour {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = []string{attackRole + "=" + role, attackSocket + "=" + socket, attackToken + "=" + hex.EncodeToString(token)}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	command.Stderr, command.Dir = os.Stderr, "/"
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	n := &neighbour{t: t, command: command, stdin: stdin}
	t.Cleanup(n.stop)
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return n
}

// stop ends it.
func (n *neighbour) stop() {
	if !n.ended {
		n.ended = true
		_ = n.stdin.Close()
		n.resume()
		_ = n.command.Wait()
	}
}

// pause and resume hold it as it is, and let it go on.
func (n *neighbour) pause()  { _ = n.command.Process.Signal(syscall.SIGSTOP) }
func (n *neighbour) resume() { _ = n.command.Process.Signal(syscall.SIGCONT) }

// limitCPU gives it a part of one processor, as a container with a limit has, and says how:
// by a control group of version 1 or 2 where one can be made, otherwise by its priority.
func (n *neighbour) limitCPU(part float64) string {
	n.t.Helper()
	const periodUs = 20_000
	quota, pid := strconv.Itoa(int(part*periodUs)), strconv.Itoa(n.command.Process.Pid)
	for _, version := range []struct {
		above string
		files [][2]string
	}{
		{"/sys/fs/cgroup/cpu", [][2]string{{"cpu.cfs_period_us", strconv.Itoa(periodUs)}, {"cpu.cfs_quota_us", quota}}},
		{"/sys/fs/cgroup", [][2]string{{"cpu.max", quota + " " + strconv.Itoa(periodUs)}}},
	} {
		dir := filepath.Join(version.above, "ron-ledger-test-"+pid)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		n.t.Cleanup(func() {
			n.stop() // a group is removed only when nobody is in it
			_ = os.Remove(dir)
		})
		ok := true
		for _, file := range append(version.files, [2]string{"cgroup.procs", pid}) {
			ok = ok && os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o600) == nil
		}
		if ok {
			return fmt.Sprintf("control group, %.2f processors", part)
		}
	}
	threads, _ := filepath.Glob("/proc/" + pid + "/task/*")
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, 19); err != nil {
			n.t.Fatal(err)
		}
	}
	return "priority 19"
}
