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
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
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

// startAttack runs a role under a uid and waits until it is at it.
func startAttack(t *testing.T, uid uint32, role, socket string, token []byte) (stop func()) {
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
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = stdin.Close()
			_ = command.Wait()
		}
	}
	t.Cleanup(stop)
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return stop
}

// quantiles sends n appends of one entry, one after the other, and returns how long the
// median one and the slowest of a hundred took. None may be refused.
func quantiles(t *testing.T, conn *Raw, n int) (p50, p99 time.Duration) {
	t.Helper()
	var took []time.Duration
	for i := range n {
		f := mintOf(wire.AmountOf(1), 0)
		binary.BigEndian.PutUint64(f.Nonce[:], uint64(time.Now().UnixNano()))
		began := time.Now()
		conn.Send(AppendFrame(uint64(i+10), 0, 1, entry(t, f)))
		h, payload := conn.Receive()
		var answer wire.AppendedView
		if h.Type != wire.FrameAppended || !answer.Decode(payload).OK() || answer.Accepted != 1 {
			var m wire.ErrorMessage
			_ = m.Decode(payload)
			t.Fatalf("append %d is answered with %s %s: %q", i, h.Type, m.Reason, m.Detail)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100]
}

// TestFloodDoesNotStarveOthers lets one uid flood and another open 500 connections that
// begin a HELLO and do not end it, beside 100 TLS handshakes that never begin: a third
// uid is served throughout, and afterwards nothing is left of the attack.
func TestFloodDoesNotStarveOthers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: other uids cannot be taken; the tests of committer.Lanes and of admission stand for it")
		return
	}
	const flooder, loris = 54321, 54322
	dir := ShortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var home string
	s, _ := startSidecar(t, func(c *sidecar.Config) {
		home = c.Home
		c.UDS.Path, c.UDS.Mode = filepath.Join(dir, "s"), 0o666
		c.UDS.AllowUIDs = []uint32{flooder, loris}
	})
	key, err := keyringOf(t, home).Minting()
	if err != nil {
		t.Fatal(err)
	}
	id, err := sidecar.LogIDOf(home)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := capability.CaveatKind(uint8(wire.KindMint))
	if err != nil {
		t.Fatal(err)
	}
	token := mintUnder(t, key, capability.Info{Caveats: []capability.Caveat{capability.CaveatLog(id), kinds}})
	conn := greet(t, s, token)
	_, _ = quantiles(t, conn, 50)
	goroutines, descriptors := runtime.NumGoroutine(), usedDescriptors(t)
	quiet50, quiet99 := quantiles(t, conn, 400)

	stops := []func(){
		startAttack(t, loris, "loris 500", s.Socket(), nil),
		startAttack(t, loris, "hold 100", s.HTTPSAddr(), nil),
		startAttack(t, flooder, "flood 64", s.Socket(), token),
	}
	size := s.Status().Size
	began := time.Now()
	flood50, flood99 := quantiles(t, conn, 60)
	rate := float64(s.Status().Size-size) / time.Since(began).Seconds()
	t.Logf("quiet p50 %v p99 %v; under attack p50 %v p99 %v, %.1f times; %.0f entries/s of the flood; %d connections",
		quiet50, quiet99, flood50, flood99, float64(flood99)/float64(quiet99), rate, s.Status().Connections)
	if flood99 > starvedAfter {
		t.Errorf("under attack p99 is %v, above %v others starve", flood99, starvedAfter)
	}
	for _, stop := range stops {
		stop()
	}
	for deadline := time.Now().Add(drainedWithin); ; time.Sleep(20 * time.Millisecond) {
		g, d := runtime.NumGoroutine(), usedDescriptors(t)
		if g <= goroutines && d <= descriptors+storeDescriptors {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the attack there are %d goroutines and %d descriptors, before it %d and %d", g, d, goroutines, descriptors)
		}
	}
	_, _ = quantiles(t, conn, 50)
}

// starvedAfter tells waiting for some commits of the flood from waiting for all that the
// flood has queued: 64 connections × 64 requests × 200 entries, many seconds. It is wide,
// since the attackers take the processors from whoever measures too.
const starvedAfter = 2 * time.Second

// drainedWithin is how long it may take to commit what the flood has queued: it was taken,
// so it is committed, also when nobody waits for the answer.
const drainedWithin = 30 * time.Second

// storeDescriptors is how many files a database of some hundred MB has open that an empty
// one has not.
const storeDescriptors = 64

func usedDescriptors(t *testing.T) int {
	t.Helper()
	used, _, err := peercred.Descriptors()
	if err != nil {
		t.Fatal(err)
	}
	return used
}
