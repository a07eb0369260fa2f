package sidecartest

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// TestConfigReload changes the configuration file of the real program under a live connection, with SIGHUP and
// without: a limit holds for that connection at once, what needs a restart is named in the log and in STATUS, and a file that
// cannot be read changes nothing.
func TestConfigReload(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	file := filepath.Join(ShortDir(t), "ledger.toml")
	write := func(text string) {
		t.Helper()
		replace(t, file, []byte("[log]\nlevel = \"info\"\n"+text))
	}
	write("[limits]\nmax_entries_per_request = 5\n")
	p := StartProcess(t, bin, home, "--config", file)
	hangUp := func() {
		t.Helper()
		if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	conn := DialRaw(t, p.Socket)
	conn.patient()
	conn.Send(HelloFrame(tokenIn(t, home)))
	conn.Receive()
	takesThree := func() bool { // a repetition of what may be booked already
		var entries []byte
		for i := range 3 {
			entries = append(entries, entry(t, mintOf(wire.AmountOf(1), byte(i+1)))...)
		}
		conn.Send(AppendFrame(7, 0, 3, entries))
		h, payload := conn.Receive()
		if h.Type == wire.FrameAppended {
			return true
		}
		var m wire.ErrorMessage
		if h.Type != wire.FrameError || !m.Decode(payload).OK() || m.Reason != wire.ReasonTooLarge {
			t.Fatalf("answered with %v: %v", h.Type, m.Reason)
		}
		return false
	}
	says := func(text string) func() bool {
		return func() bool { return strings.Contains(p.Output(), text) }
	}
	if !takesThree() {
		t.Fatal("three entries are refused where five may come")
	}

	write("[limits]\nmax_entries_per_request = 2\n[queues]\ncommit = 7\n[uds]\nmax_connections = 3\nmax_inflight = 2\nhandshake_timeout = \"1m\"\n[store]\ncache_bytes = \"8MiB\"\n")
	hangUp()
	waitUntil(t, "two entries a request, on a live connection", func() bool { return !takesThree() })
	waitUntil(t, "the change in the log", says(`"needs_restart":["store.cache_bytes: 24MiB to 8MiB"]`))
	if text, exit := p.CLI("status", "--json"); exit != 0 {
		t.Errorf("status: exit status %d", exit)
	} else {
		var status sidecar.Status
		if err := json.Unmarshal([]byte(text), &status); err != nil || !slices.Equal(status.RestartNeeded, []string{"store.cache_bytes"}) || status.QueueCapacity != 7 || status.ConnectionsMax != 3 {
			t.Errorf("restart needed for %v, the queue takes %d, there may be %d connections, %v", status.RestartNeeded, status.QueueCapacity, status.ConnectionsMax, err)
		}
	}
	second := DialRaw(t, p.Socket)
	second.Send(HelloFrame(tokenIn(t, home)))
	var welcome wire.Welcome
	if h, payload := second.Receive(); h.Type != wire.FrameWelcome || !welcome.Decode(payload).OK() || welcome.MaxInflight != 2 {
		t.Errorf("a new connection is greeted with %s, and may have %d requests in flight", h.Type, welcome.MaxInflight)
	}
	DialRaw(t, p.Socket)
	if m := DialRaw(t, p.Socket).ReceiveError(); m.Reason != wire.ReasonBusy || !strings.Contains(m.Detail, "uds.max_connections") {
		t.Errorf("a fourth connection is refused with %s: %q", m.Reason, m.Detail)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	write("[limits]\nmax_entries_per_request = many\n")
	hangUp()
	waitUntil(t, "the fault in the log", says("that before stays in force"))
	if takesThree() {
		t.Error("a file that cannot be read has changed something")
	}

	write("[limits]\nmax_entries_per_request = 5\n") // and without SIGHUP
	waitUntil(t, "five entries a request, on a live connection", takesThree)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
}
