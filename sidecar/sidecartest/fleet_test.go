//go:build fleet

package sidecartest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// TestFleet has ledgerctl fleet follow FLEET_LEDGERS sidecars in processes of their own, two macronodes and
// otherwise micronodes, each once in FLEET_INTERVAL. Then one macronode is replaced by an older copy of itself, the other
// by a copy that went another way, and a tenth of the micronodes is stopped (SIGSTOP). Each has to be named as what it
// is within two intervals, and no other may be; and an entry is led to the line that anchors all.
func TestFleet(t *testing.T) {
	count, err1 := strconv.Atoi(os.Getenv("FLEET_LEDGERS"))
	interval, err2 := time.ParseDuration(os.Getenv("FLEET_INTERVAL"))
	if err1 != nil || err2 != nil || count < 3 {
		t.Fatalf("FLEET_LEDGERS and FLEET_INTERVAL say what is tried: %v, %v", err1, err2)
	}
	f := newFleet(t, count)
	m := f.follow(interval)
	took := m.await(func() bool { return m.states["ok"] == count }, 2*time.Minute)
	t.Logf("%d ledgers, %d MiB of memory in all; all are followed %v after the start of a monitor of %d MiB",
		count, f.memory()>>20, took.Round(time.Millisecond), residentBytes(t, m.command.Process.Pid)>>20)
	f.breakSome(max(1, (count-2)/10))
	m.await(func() bool { return len(m.named) == len(f.wrong) }, time.Minute+3*interval)
	m.mu.Lock()
	defer m.mu.Unlock()
	slowest := time.Duration(0)
	for url, wrong := range f.wrong {
		if got := m.named[url]; got.state != wrong.state {
			t.Errorf("%s is named %s, and is %s", url, got.state, wrong.state)
		} else if after := got.at.Sub(wrong.since); after > 2*interval {
			t.Errorf("%s is named %s after %v, and an interval is %v", url, got.state, after, interval)
		} else {
			slowest = max(slowest, after)
		}
	}
	for url, got := range m.named {
		if f.wrong[url].state == "" {
			t.Errorf("%s is named %s: nothing is wrong with it", url, got.state)
		}
	}
	t.Logf("%d ledgers were named, the last one after %v; an interval is %v", len(m.named), slowest.Round(time.Millisecond), interval)
	f.anchor()
}

// fleetOfProcesses is many sidecars.
type fleetOfProcesses struct {
	t     *testing.T
	bin   Binaries
	dir   string
	macro [2]*Process // with copies beside their homes: HOME.copy
	micro []*Process
	url   map[*Process]string
	vkey  map[*Process]string
	wrong map[string]wrongLedger // by URL
}

type wrongLedger struct {
	state string
	since time.Time
}

func newFleet(t *testing.T, count int) *fleetOfProcesses {
	t.Helper()
	f := &fleetOfProcesses{t: t, bin: Build(t), dir: ShortDir(t), url: map[*Process]string{}, vkey: map[*Process]string{}, wrong: map[string]wrongLedger{}}
	for i := range f.macro {
		f.macro[i] = f.withCopy(filepath.Join(f.dir, "m"+strconv.Itoa(i)), i)
	}
	home := f.macro[0].Home
	env := []string{"RON_LEDGER_HTTPS_CERT_FILE=" + filepath.Join(home, "tls.crt"), "RON_LEDGER_HTTPS_KEY_FILE=" + filepath.Join(home, "tls.key")}
	for i := range count - len(f.macro) {
		p := LaunchProcess(t, f.bin, filepath.Join(f.dir, strconv.Itoa(i)), env, "--profile", sidecar.Micronode)
		f.micro = append(f.micro, p)
	}
	for _, p := range f.micro {
		if err := p.await(); err != nil {
			t.Fatalf("start a micronode: %v\n%s", err, p.output)
		}
		f.register(p)
		f.mint(p, 3)
	}
	return f
}

// withCopy starts a macronode of three entries, beside whose home lies a copy as of the first one. The copy of
// an odd one has gone on with four others.
func (f *fleetOfProcesses) withCopy(home string, i int) *Process {
	f.t.Helper()
	p := StartProcess(f.t, f.bin, home)
	f.mint(p, 1)
	f.stopped(p)
	copyOf := home + ".copy"
	if out, err := exec.Command("cp", "-r", home, copyOf).CombinedOutput(); err != nil {
		f.t.Fatalf("copy %s: %v\n%s", home, err, out)
	}
	if i%2 == 1 {
		other := StartProcess(f.t, f.bin, copyOf)
		f.mint(other, 4)
		f.stopped(other)
	}
	p = StartProcess(f.t, f.bin, home)
	f.mint(p, 2)
	f.register(p)
	return p
}

func (f *fleetOfProcesses) stopped(p *Process) {
	f.t.Helper()
	if status := p.Stop(); status != 0 {
		f.t.Fatalf("ron-ledgerd ended with %d\n%s", status, p.output)
	}
}

func (f *fleetOfProcesses) dial(p *Process) *client.Client {
	f.t.Helper()
	o := client.Options{Socket: p.Socket}
	if token := filepath.Join(p.Home, sidecar.TokenFile); fileExists(token) {
		o.TokenFile = token
	}
	c, err := client.Dial(f.t.Context(), o)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mint books entries, each in a commit of its own.
func (f *fleetOfProcesses) mint(p *Process, entries int) {
	f.t.Helper()
	c := f.dial(p)
	defer func() { _ = c.Close() }()
	for range entries {
		var b client.Batch
		if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "bank", Amount: wire.AmountOf(1), Nonce: client.NewNonce()}); err != nil {
			f.t.Fatal(err)
		}
		if r, err := c.AppendRetry(f.t.Context(), &b); err != nil || r.Accepted != 1 {
			f.t.Fatalf("%+v, %v", r, err)
		}
	}
}

// register notes where a sidecar publishes its roots, and its key.
func (f *fleetOfProcesses) register(p *Process) {
	f.t.Helper()
	c := f.dial(p)
	defer func() { _ = c.Close() }()
	text, err := c.Status(f.t.Context())
	var status struct {
		HTTPS string `json:"https"`
	}
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.url[p], f.vkey[p] = "https://"+status.HTTPS, c.Welcome().VerifyKey
}

// breakSome replaces the macronodes by their copies and stops some micronodes.
func (f *fleetOfProcesses) breakSome(silent int) {
	f.t.Helper()
	for _, p := range f.micro[:silent] {
		if err := p.command.Process.Signal(syscall.SIGSTOP); err != nil {
			f.t.Fatal(err)
		}
		f.wrong[f.url[p]] = wrongLedger{"silent", time.Now()}
	}
	for i, state := range []string{"rollback", "fork"} {
		p := f.macro[i]
		f.stopped(p)
		if err := os.Rename(p.Home, p.Home+".before"); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Rename(p.Home+".copy", p.Home); err != nil {
			f.t.Fatal(err)
		}
		StartProcess(f.t, f.bin, p.Home, "--https", strings.TrimPrefix(f.url[p], "https://"))
		f.wrong[f.url[p]] = wrongLedger{state, time.Now()} // before, it was away
	}
}

// memory is what all sidecars have resident, in bytes.
func (f *fleetOfProcesses) memory() (sum int64) {
	for p := range f.url {
		sum += residentBytes(f.t, p.PID())
	}
	return sum
}

func residentBytes(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// monitorProcess is ledgerctl fleet.
type monitorProcess struct {
	t       *testing.T
	command *exec.Cmd

	mu     sync.Mutex
	state  map[string]string // by URL
	states map[string]int    // how many are in which
	named  map[string]naming // by URL, the first time
}

type naming struct {
	state string
	at    time.Time
}

// follow starts ledgerctl fleet.
func (f *fleetOfProcesses) follow(interval time.Duration) *monitorProcess {
	f.t.Helper()
	var targets, ca strings.Builder
	for p, url := range f.url {
		fmt.Fprintf(&targets, "%s %s\n", url, f.vkey[p])
	}
	for _, p := range f.macro {
		text, err := os.ReadFile(filepath.Join(p.Home, "tls.crt"))
		if err != nil {
			f.t.Fatal(err)
		}
		ca.Write(text)
	}
	f.write("targets", targets.String())
	f.write("ca", ca.String())
	m := &monitorProcess{t: f.t, state: map[string]string{}, states: map[string]int{}, named: map[string]naming{}}
	m.command = exec.Command(f.bin.CLI, "fleet", "--targets", f.path("targets"), "--state", f.path("state"), "--ca", f.path("ca"),
		"--interval", interval.String(), "--publish", f.path("line"), "--publish-interval", interval.String(), "--name", "fleet.example")
	m.command.Stderr = os.Stderr
	stdout, err := m.command.StdoutPipe()
	if err == nil {
		err = m.command.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	read := make(chan struct{})
	go m.read(stdout, read)
	f.t.Cleanup(func() {
		_ = m.command.Process.Signal(os.Interrupt)
		<-read
		if err := m.command.Wait(); err != nil {
			f.t.Errorf("ledgerctl fleet: %v", err)
		}
	})
	return m
}

func (f *fleetOfProcesses) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fleetOfProcesses) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// read takes the lines that say what has changed: TIME STATE URL …
func (m *monitorProcess) read(stdout io.Reader, done chan<- struct{}) {
	defer close(done)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 3 {
			m.t.Errorf("ledgerctl fleet says %q", lines.Text())
			continue
		}
		at, err := time.Parse(time.RFC3339, words[0])
		if err != nil {
			m.t.Errorf("ledgerctl fleet says %q: %v", lines.Text(), err)
		}
		state, url := words[1], words[2]
		m.mu.Lock()
		m.states[m.state[url]]--
		m.states[state]++
		m.state[url] = state
		if _, known := m.named[url]; state != "ok" && !known {
			m.named[url] = naming{state, at}
		}
		m.mu.Unlock()
	}
}

// await waits until that is so, and returns how long it took.
func (m *monitorProcess) await(so func() bool, atMost time.Duration) time.Duration {
	m.t.Helper()
	began := time.Now()
	for {
		m.mu.Lock()
		done, named := so(), len(m.named)
		m.mu.Unlock()
		if done {
			return time.Since(began)
		}
		if time.Since(began) > atMost {
			m.t.Fatalf("after %v: %d are named, %v", atMost, named, m.states)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// anchor leads an entry of a micronode to the line of all, and has the proof checked.
func (f *fleetOfProcesses) anchor() {
	f.t.Helper()
	p := f.micro[len(f.micro)-1]
	for _, args := range [][]string{
		{"receipt", "2", "--socket", p.Socket, "--out", f.path("receipt")},
		{"fleet", "prove", f.path("receipt"), "--state", f.path("state"), "--url", f.url[p], "--ca", f.path("ca"), "--out", f.path("proof")},
		{"fleet", "verify", f.path("proof"), "--key", f.path("state/fleet.vkey")},
	} {
		stdout, stderr, exit := RunCLI(f.t, f.bin, p.Home, args...)
		if exit != 0 {
			f.t.Fatalf("ledgerctl %s: %d: %s", strings.Join(args, " "), exit, stderr)
		}
		f.t.Log(stdout)
	}
}
