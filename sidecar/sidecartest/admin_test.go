package sidecartest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// TestAdminister changes the level of the log, takes profiles and traces, and sees where the time of
// requests went, on the real programs.
func TestAdminister(t *testing.T) {
	p := StartProcess(t, Build(t), ShortDir(t))
	run := func(args ...string) string {
		t.Helper()
		stdout, exit := p.CLI(args...)
		if exit != 0 {
			t.Fatalf("ledgerctl %s exits with %d", strings.Join(args, " "), exit)
		}
		return stdout
	}
	run("mint", "bank", "1000")
	if level := run("admin", "log-level"); level != "info\n" {
		t.Errorf("the level is %q", level)
	}
	if strings.Contains(p.Output(), `"answered"`) {
		t.Error("requests are logged at info")
	}
	if level := run("admin", "log-level", "debug"); level != "debug\n" {
		t.Errorf("the level is %q", level)
	}
	run("transfer", "bank", "acct/a", "5")
	if _, exit := p.CLI("transfer", "acct/a", "bank", "6"); exit == 0 { // rejected
		t.Error("6 of 5 were transferred")
	}
	run("roots")
	token := `"capability":"[0-9a-f]{32}","kid":"[0-9a-f]{16}"`
	for _, want := range []string{
		`"message":"administered".*"command":"log_level"`,
		`"message":"connected","connection":\d+,"uid":\d+,"pid":\d+,"gid":\d+`,
		`"message":"hello","connection":\d+.*` + token + `.*"client":"ledgerctl.*"rights":\[`,
		`"message":"answered","connection":\d+.*"request":\d+,"first":2,"last":2,"size":2.*` + token,
		`"message":"answered".*"not_new":1,"reason":"insufficient_funds","detail":".+",` + token,
		`"message":"read",.*` + token + `,"request":\d+,"what":"ROOTS"`,
		`"message":"disconnected".*"why":`,
	} {
		line := regexp.MustCompile(want)
		// A line is written behind the answer, and reaches the test through a pipe.
		for deadline := time.Now().Add(time.Minute); !line.MatchString(p.Output()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log has no %s:\n%s", want, p.Output())
			}
		}
	}
	var slow []sidecar.SlowRequest
	if err := json.Unmarshal([]byte(run("trace", "slow", "--json")), &slow); err != nil || len(slow) == 0 || slow[0].Total <= 0 || int(slow[0].UID) != os.Getuid() {
		t.Errorf("slow requests %+v: %v", slow, err)
	}
	if table := run("trace", "slow"); !strings.Contains(table, "admission") {
		t.Errorf("trace slow prints %s", table)
	}
	for _, args := range [][]string{{"profile", "cpu", "-s", "0.2"}, {"profile", "heap"}, {"profile", "goroutine"}, {"trace", "dump", "-s", "0.2"}} {
		out := filepath.Join(t.TempDir(), "out")
		run(append(args, "--out", out)...)
		text, err := os.ReadFile(out)
		if err != nil || !strings.HasPrefix(string(text), "\x1f\x8b") && !strings.HasPrefix(string(text), "go 1.") {
			t.Errorf("ledgerctl %s wrote %.16q: %v", strings.Join(args, " "), text, err)
		}
	}
	if text := run("metrics", "ledger_size"); text != "ledger_size_entries 2\n" {
		t.Errorf("the metrics are %q", text)
	}
	for _, args := range [][]string{{"profile", "secrets"}, {"admin", "log-level", "loud"}, {"profile", "cpu", "-s", "61"}} {
		if _, exit := p.CLI(args...); exit == 0 {
			t.Errorf("ledgerctl %s is carried out", strings.Join(args, " "))
		}
	}
}

// TestAdministerTakesTheRightByName refuses a token that does all but administer, and none at all.
func TestAdministerTakesTheRightByName(t *testing.T) {
	s, token := startSidecar(t, nil)
	for name, row := range map[string]struct {
		token []byte
		want  wire.Reason
	}{
		"own uid, no token": {nil, wire.ReasonUnauth},
		"narrowed":          {narrowed(t, token, "op = append,read"), wire.ReasonPolicyDenied},
	} {
		conn := greet(t, s, row.token)
		for command := wire.AdminLogLevel; command <= wire.AdminMetrics+1; command++ {
			conn.Send(Frame(wire.FrameAdmin, 5, (&wire.Admin{Command: command}).Append(nil)))
			h, payload := conn.Receive()
			var m wire.ErrorMessage
			if h.Type != wire.FrameError || !m.Decode(payload).OK() || m.Reason != row.want {
				t.Errorf("%s: %v was answered with %v %v, want %v", name, command, h.Type, m.Reason, row.want)
			}
		}
	}
	conn := greet(t, s, token)
	conn.Send(Frame(wire.FrameAdmin, 5, (&wire.Admin{Command: 200}).Append(nil)))
	h, payload := conn.Receive()
	var m wire.ErrorMessage
	if h.Type != wire.FrameError || !m.Decode(payload).OK() || m.Reason != wire.ReasonMalformed {
		t.Errorf("an unknown command was answered with %v %v", h.Type, m.Reason)
	}
}
