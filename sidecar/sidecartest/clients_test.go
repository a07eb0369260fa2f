//go:build clients

package sidecartest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// driven are the clients in other languages, each with the command of its driver.
var driven = map[string][]string{
	"python":         {"python3", "../../wire/client/python/tests/driver.py"},
	"python/asyncio": {"python3", "../../wire/client/python/tests/driver.py", "asyncio"},
	"node":           {"node", "../../wire/client/node/tests/driver.js"},
}

// ask is one line to a driver, tell the line that comes back.
type ask struct {
	Op        string          `json:"op"`
	Socket    string          `json:"socket,omitempty"`
	TokenFile string          `json:"token_file,omitempty"`
	UIDs      []int           `json:"server_uids,omitempty"`
	Request   json.RawMessage `json:"request,omitempty"`
	Account   string          `json:"account,omitempty"`
	Nonce     string          `json:"nonce,omitempty"`
	Prefix    string          `json:"prefix"`
	After     string          `json:"after"`
	From      uint64          `json:"from"`
	To        uint64          `json:"to"`
	Seq       uint64          `json:"seq,omitempty"`
	Wait      float64         `json:"wait,omitempty"`
	Seed      uint32          `json:"seed,omitempty"`
	Seconds   float64         `json:"seconds,omitempty"`
}

type tell struct {
	Error *struct{ Type, Reason, Text string }

	Answer        *vectorAnswer
	Resent        bool
	Seq, Size     uint64
	Known, Ready  bool
	Balances      []vectorBalance
	Entries       []struct{ Seq uint64 }
	Sizes         []uint64
	Hashes        int
	Rights        []string
	Profile, Hash string
	Beliefs       *beliefs
	Bench         *measured
}

// driver is a client in another language that does what it is told.
type driver struct {
	t     testing.TB
	name  string
	in    io.WriteCloser
	lines *bufio.Reader
}

const driverTimeout = 3 * time.Minute

// startDriver starts one that ends with the test.
func startDriver(t testing.TB, name string) *driver {
	t.Helper()
	command := exec.Command(driven[name][0], driven[name][1:]...)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("%v: the clients need python3 and node, just clients installs them", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		defer kill.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return &driver{t, name, in, bufio.NewReaderSize(out, 1<<20)}
}

// try tells the driver what to do and returns what came of it.
func (d *driver) try(a ask) (r tell) {
	d.t.Helper()
	line, err := json.Marshal(a)
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		d.t.Fatalf("%s: %s: %v", d.name, a.Op, err)
	}
	stuck := time.AfterFunc(driverTimeout, func() { _ = d.in.Close(); panic(d.name + ": no answer to " + a.Op) })
	defer stuck.Stop()
	answer, err := d.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(answer, &r)
	}
	if err != nil {
		d.t.Fatalf("%s: %s: %v: %s", d.name, a.Op, err, answer)
	}
	return r
}

// do is try of what has to succeed.
func (d *driver) do(a ask) tell {
	d.t.Helper()
	r := d.try(a)
	if r.Error != nil {
		d.t.Fatalf("%s: %s: %+v", d.name, a.Op, *r.Error)
	}
	return r
}

func (d *driver) connect(f *fixture, socket string) tell {
	d.t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		r := d.try(ask{Op: "connect", Socket: socket, TokenFile: f.Token, UIDs: []int{os.Getuid()}})
		if r.Error == nil || r.Error.Reason != "busy" || time.Now().After(deadline) {
			return r
		}
	}
}

// rawVector has the requests of a vector as they stand in its file.
type rawVector struct {
	Before  []json.RawMessage
	Request json.RawMessage
}

// TestClientsVectors replays the canonical vectors through the clients in other
// languages. Vectors about the JSON form of entries are not theirs: they take fields.
// That of a full queue is left to TestClientsTorture, since they try again by themselves.
func TestClientsVectors(t *testing.T) {
	f, vectors := readFixture(t), readVectors(t)
	for name := range driven {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, replayed := startDriver(t, name), 0
			for i := range vectors {
				v := &vectors[i]
				if v.Unreadable != nil || v.Crowd > 0 {
					continue
				}
				replayed++
				d.t = t
				hash := []string{"blake3", "sha256"}[i%2]
				config := map[string]string{"profile": "micronode", "accumulator.hash": hash}
				d.replay(t, f, f.serve(t, config, v.Config), v, hash)
			}
			t.Logf("%d of %d vectors", replayed, len(vectors))
			if replayed < 30 {
				t.Errorf("only %d vectors were replayed", replayed)
			}
		})
	}
}

// serve starts an empty ledger of that configuration in this process, and returns its
// socket.
func (f *fixture) serve(t *testing.T, further ...map[string]string) (socket string) {
	t.Helper()
	config, err := sidecar.Load([]string{"--home", ShortDir(t), "--https", "127.0.0.1:0"}, append(f.environment(further...), "RON_LEDGER_LOG_LEVEL=error"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := sidecar.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.Socket()
}

func (d *driver) replay(t *testing.T, f *fixture, socket string, v *vector, hash string) {
	d.t.Helper()
	r := d.connect(f, socket)
	if r.Error != nil {
		d.t.Fatalf("%s: %s: %+v", d.name, v.Name, *r.Error)
	}
	if v.OtherConnections > 0 {
		d.do(ask{Op: "close"})
		d.refusedAmong(f, socket, v)
		return
	}
	var raw rawVector
	readJSON(d.t, filepath.Join(vectorsDir, v.Name+".json"), &raw, false)
	for _, request := range raw.Before {
		d.do(ask{Op: "append", Request: request})
	}
	if r = d.try(ask{Op: "append", Request: raw.Request}); v.Error != nil {
		if r.Error == nil || r.Error.Reason != v.Error.Reason {
			d.t.Errorf("%s: %s: refused with %+v, want %+v", d.name, v.Name, r.Error, v.Error)
		}
	} else if r.Answer == nil {
		d.t.Errorf("%s: %s: %+v", d.name, v.Name, r.Error)
	} else {
		t.Run(v.Name, func(t *testing.T) { checkAnswer(t, r.Answer, v.Answer, hash) })
	}
	d.do(ask{Op: "close"})
}

// refusedAmong takes all connections that the ledger allows and has the client try.
func (d *driver) refusedAmong(f *fixture, socket string, v *vector) {
	d.t.Helper()
	for range v.OtherConnections {
		o := client.Options{Socket: socket, TokenFile: f.Token}
		var c *client.Client
		var err error
		for deadline := time.Now().Add(startTimeout); c == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			c, err = client.Dial(d.t.Context(), o) // the client's own may still be counted
		}
		if c == nil {
			d.t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	var r tell
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		r = d.try(ask{Op: "connect", Socket: socket, TokenFile: f.Token})
		if r.Error == nil || r.Error.Type != "DisconnectedError" {
			break // closed before HELLO was written, some cannot read why
		}
	}
	if r.Error == nil || r.Error.Reason != v.Error.Reason {
		d.t.Errorf("%s: %s: refused with %+v, want %+v", d.name, v.Name, r.Error, v.Error)
	}
}

const behaviourEntries = `[
	{"kind":"Mint","account":"shop/bank","amount":"1000","asset":"EUR","nonce":"019b7000-0000-7000-8000-000000000001","ts":1,"memo":"begin"},
	{"kind":"Transfer","account":"shop/bank","counterparty":"shop/till","amount":"250","asset":"EUR","nonce":"019b7000-0000-7000-8000-000000000002","ts":2},
	{"kind":"Burn","account":"shop/till","amount":"251","asset":"EUR","nonce":"019b7000-0000-7000-8000-000000000003","ts":3},
	{"kind":"Mint","account":"other","amount":"340282366920938463463374607431768211455","nonce":"019b7000-0000-7000-8000-000000000004","ts":4}]`

// TestClientsBehaviour has each client do what an application does, against a macronode
// that is killed in between.
func TestClientsBehaviour(t *testing.T) {
	for name := range driven {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := readFixture(t)
			p := f.start(t, map[string]string{"profile": "macronode"})
			d := startDriver(t, name)
			d.behave(t, f, p)
		})
	}
}

func (d *driver) behave(t *testing.T, f *fixture, p *Process) {
	check := func(what string, ok bool, got any) {
		t.Helper()
		if !ok {
			t.Errorf("%s: %s: %+v", d.name, what, got)
		}
	}
	request := json.RawMessage(`{"entries":` + behaviourEntries + `,"balances":true}`)
	wrong := d.try(ask{Op: "connect", Socket: filepath.Join(p.Home, "ledger.sock"), TokenFile: f.Token, UIDs: []int{os.Getuid() + 1}})
	check("a server of another uid", wrong.Error != nil && wrong.Error.Type == "ServerIdentityError", wrong)
	none := d.try(ask{Op: "connect", Socket: filepath.Join(p.Home, "no.sock"), TokenFile: f.Token})
	check("no server", none.Error != nil && none.Error.Type == "DisconnectedError", none)
	r := d.connect(f, filepath.Join(p.Home, "ledger.sock"))
	check("connect", r.Error == nil && len(r.Rights) > 0 && r.Profile == "macronode", r)
	r = d.do(ask{Op: "append", Request: request})
	check("append", r.Answer.Accepted == 3 && r.Answer.First == 1 && r.Answer.Last == 3 && len(r.Answer.Results) == 1 &&
		r.Answer.Results[0].Index == 2 && r.Answer.Results[0].Reason == "insufficient_funds" && len(r.Answer.Balances) == 3, r.Answer)

	p.Kill()
	q := StartProcessEnv(t, p.bin, p.Home, p.command.Env)
	r = d.do(ask{Op: "append", Request: request})
	check("append again behind a crash", r.Answer.Accepted == 0 && len(r.Answer.Results) == 4 && r.Answer.Results[3].Seq == 3, r.Answer)
	r = d.do(ask{Op: "find", Account: "shop/bank", Nonce: "019b7000-0000-7000-8000-000000000002"})
	check("find", r.Seq == 2, r)
	r = d.do(ask{Op: "find", Account: "shop/till", Nonce: "019b7000-0000-7000-8000-000000000003"})
	check("find what was rejected", r.Seq == 0, r)
	r = d.do(ask{Op: "account", Account: "other"})
	check("account", r.Known && len(r.Balances) == 1 && r.Balances[0].Available == "340282366920938463463374607431768211455", r)
	r = d.do(ask{Op: "account", Account: "nobody"})
	check("account of nobody", !r.Known && len(r.Balances) == 0, r)
	r = d.do(ask{Op: "accounts", Prefix: "shop/"})
	check("accounts", len(r.Balances) == 2 && r.Balances[0].Account == "shop/bank" && r.Balances[1].Available == "250", r)
	r = d.do(ask{Op: "entries", From: 2})
	check("entries", len(r.Entries) == 2 && r.Entries[1].Seq == 3, r)
	r = d.do(ask{Op: "roots", Wait: 1})
	check("roots", len(r.Sizes) == 1 && r.Sizes[0] == 3, r)
	r = d.do(ask{Op: "watch", To: 3})
	check("watch", slices.Equal(r.Sizes, []uint64{3}), r)
	r = d.do(ask{Op: "status"})
	check("status", r.Ready, r)
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		if r = d.try(ask{Op: "prove", Seq: 2}); r.Error == nil || time.Now().After(deadline) {
			break // the newest checkpoint covers it
		}
	}
	check("prove", r.Error == nil && r.Seq == 2 && r.Hashes == 2 && r.Size == 3, r)
	r = d.try(ask{Op: "append", Request: json.RawMessage(`{"entries":[]}`)})
	check("an empty batch", r.Error != nil && r.Error.Reason == "malformed", r)
	r = d.try(ask{Op: "append", Request: json.RawMessage(`{"entries":[{"kind":"Mint","account":"no name","amount":"1","nonce":"019b7000-0000-7000-8000-000000000009","ts":1}]}`)})
	check("an entry that is none", r.Error != nil && r.Error.Type == "Fault", r)
	d.do(ask{Op: "close"})
	r = d.try(ask{Op: "status"})
	check("a client that was closed", r.Error != nil && r.Error.Type == "ClosedError", r)
	if exit := q.Stop(); exit != 0 {
		t.Errorf("ron-ledgerd exits with %d", exit)
	}
}

// TestClientsC compiles the example in C and has it append to a ledger.
func TestClientsC(t *testing.T) {
	f := readFixture(t)
	p := f.start(t, map[string]string{"profile": "micronode"})
	program := filepath.Join(t.TempDir(), "append")
	command := exec.Command("gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, "../../wire/client/c/append.c")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, want := range []string{"booked as 1\n", "duplicate of 1\n"} {
		command := exec.Command(program, filepath.Join(p.Home, "ledger.sock"), f.Token, "019b700000007000800000000000000a", "shop/bank", "1000")
		output, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(output), want) {
			t.Errorf("%v: %q, want %q", err, output, want)
		}
	}
	bank, err := f.dial(t, p).Account(t.Context(), "shop/bank")
	if err != nil || len(bank.Balances) != 1 || bank.Balances[0].Available != wire.AmountOf(1000) {
		t.Errorf("%+v, %v", bank, err)
	}
}
