package sidecartest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// crowd is how many connections one uid makes.
const crowd = 5000

// TestHostileCrowd makes 5,000 connections: with the limits that are set by default all
// beyond those are told so, and with higher ones all are served. Afterwards nothing of
// them is left in either.
func TestHostileCrowd(t *testing.T) {
	for _, c := range []struct {
		name   string
		served int
		env    []string
		says   string // to the others
	}{
		{"more than uds.max_connections_per_uid", 512, nil, "uid " + strconv.Itoa(os.Getuid()) + " has 512 connections open (uds.max_connections_per_uid)"},
		{"more than uds.max_connections", 1024, []string{"RON_LEDGER_UDS_MAX_CONNECTIONS_PER_UID=9000"}, "1024 connections are open (uds.max_connections)"},
		{"as many as it takes", crowd, []string{"RON_LEDGER_UDS_MAX_CONNECTIONS_PER_UID=9000", "RON_LEDGER_UDS_MAX_CONNECTIONS=9000"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := append(c.env, "RON_LEDGER_LOG_LEVEL=error", "RON_LEDGER_UDS_HANDSHAKE_TIMEOUT=1m")
			p := StartProcessEnv(t, Build(t), ShortDir(t), env)
			token := tokenIn(t, p.Home)
			first := DialRaw(t, p.Socket)
			first.patient()
			first.Send(HelloFrame(token))
			first.Receive()
			before := descriptorsOf(t, p)
			conns := make([]*Raw, crowd-1)
			for i := range conns {
				conns[i] = DialRaw(t, p.Socket)
				conns[i].patient()
				_, _ = conns[i].Write(HelloFrame(token)) // who is turned away may be so before
			}
			served := 1
			for i, conn := range conns {
				h, payload := conn.Receive()
				var m wire.ErrorMessage
				switch {
				case h.Type == wire.FrameWelcome:
					served++
				case h.Type != wire.FrameError || !m.Decode(payload).OK() || m.Reason != wire.ReasonBusy || m.Detail != c.says:
					t.Fatalf("connection %d is answered with %s %s: %q, want busy: %q", i+2, h.Type, m.Reason, m.Detail, c.says)
				}
			}
			if served != c.served {
				t.Errorf("%d were served, want %d", served, c.served)
			}
			for _, conn := range []*Raw{first, conns[c.served-2]} {
				f := mintOf(wire.AmountOf(1), 0)
				binary.BigEndian.PutUint64(f.Nonce[:], uint64(time.Now().UnixNano()))
				conn.Send(AppendFrame(2, 0, 1, entry(t, f)))
				if h, _ := conn.Receive(); h.Type != wire.FrameAppended {
					t.Errorf("an append among them is answered with %s", h.Type)
				}
			}
			for _, conn := range conns {
				_ = conn.Close()
			}
			for deadline := time.Now().Add(time.Minute); descriptorsOf(t, p) > before+storeDescriptors; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d descriptors are open, %d were", descriptorsOf(t, p), before)
				}
			}
		})
	}
}

// patient gives a connection time for thousands of others.
func (r *Raw) patient() { _ = r.SetDeadline(time.Now().Add(2 * time.Minute)) }

// descriptorsOf counts what a process has open.
func descriptorsOf(t *testing.T, p *Process) int {
	t.Helper()
	names, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.PID()), "fd"))
	if err != nil && !strings.Contains(err.Error(), "no such file") {
		t.Fatal(err)
	}
	return len(names)
}
