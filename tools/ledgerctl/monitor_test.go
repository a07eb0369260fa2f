package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/liar"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

func newLiar(t testing.TB, kind merkle.HashKind, seed byte) *liar.Server {
	t.Helper()
	l, err := liar.New(kind, 1, seed)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// watched is a monitor of a liar: run looks once.
type watched struct {
	t         *testing.T
	url, ca   string
	statePath string
	liar      *liar.Server
}

func startWatched(t *testing.T, l *liar.Server) *watched {
	server := httptest.NewTLSServer(l)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return &watched{t: t, url: server.URL, ca: ca, statePath: filepath.Join(dir, "state"), liar: l}
}

func (w *watched) run(key string) (status int, said string) {
	var stdout, stderr strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, env: func(string) string { return "" }}
	status = a.run(w.t.Context(), []string{"monitor", "--once", "--url", w.url, "--ca", w.ca, "--key", key, "--state", w.statePath})
	return status, stdout.String() + stderr.String()
}

func (w *watched) state() string {
	text, err := os.ReadFile(w.statePath)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func TestMonitorFollowsAnHonestServer(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		w := startWatched(t, newLiar(t, kind, 1))
		for _, size := range []uint64{0, 1, 7, 7, 8, 64, 99} {
			w.liar.Size = size
			if status, said := w.run(w.liar.VKey); status != exitOK || !strings.Contains(said, w.liar.Root(size).String()) {
				t.Fatalf("%v at %d: status %d: %s", kind, size, status, said)
			}
			if !strings.Contains(w.state(), "\n"+strconv.FormatUint(size, 10)+"\n") {
				t.Fatalf("the state at %d: %s", size, w.state())
			}
		}
	}
}

func TestMonitorTakesNoLie(t *testing.T) {
	ok := func(change func(*monitor.Page)) func(int, *monitor.Page) int {
		return func(status int, page *monitor.Page) int { change(page); return status }
	}
	for name, tc := range map[string]struct {
		history int
		size    uint64
		lie     func(int, *monitor.Page) int
		status  int
		want    string
	}{
		"fork at the same size":          {1, 60, nil, exitRefuted, "fork"},
		"fork that goes on":              {1, 80, nil, exitRefuted, "fork"},
		"rollback":                       {0, 50, nil, exitRefuted, "rollback"},
		"rollback to before the fork":    {1, 30, nil, exitRefuted, "rollback"},
		"rollback to nothing":            {0, 0, nil, exitRefuted, "rollback"},
		"no proof":                       {0, 80, ok(func(p *monitor.Page) { p.Consistency = nil }), exitRefuted, "withholds"},
		"an empty proof":                 {0, 80, ok(func(p *monitor.Page) { p.Consistency = new([]merkle.Hash) }), exitRefuted, "not proven"},
		"a bit of the proof":             {0, 80, ok(func(p *monitor.Page) { (*p.Consistency)[1][3] ^= 1 }), exitRefuted, "not proven"},
		"a hash too many":                {0, 80, ok(func(p *monitor.Page) { *p.Consistency = append(*p.Consistency, merkle.Hash{}) }), exitRefuted, "not proven"},
		"proofs refused":                 {0, 80, func(_ int, p *monitor.Page) int { return pick(p.Consistency != nil, http.StatusGone, 200) }, exitRefuted, "gives no proof"},
		"everything refused":             {0, 80, func(int, *monitor.Page) int { return http.StatusForbidden }, exitFailure, "403"},
		"a fault":                        {0, 80, func(int, *monitor.Page) int { return http.StatusBadGateway }, exitFailure, "502"},
		"next behind the roots":          {0, 80, ok(func(p *monitor.Page) { p.Next++ }), exitRefuted, "missed"},
		"next before the roots":          {0, 80, ok(func(p *monitor.Page) { p.Next -= 2 }), exitRefuted, "missed"},
		"next before since":              {0, 60, ok(func(p *monitor.Page) { p.Next = 3 }), exitRefuted, "missed"},
		"a root out of order":            {0, 80, ok(func(p *monitor.Page) { p.Roots[1].Seq = 61 }), exitRefuted, "lists a root"},
		"a root beyond the checkpoint":   {0, 80, ok(func(p *monitor.Page) { p.Roots[19].Seq, p.Next = 81, 81 }), exitRefuted, "lists a root"},
		"another root than is signed":    {0, 80, ok(func(p *monitor.Page) { p.Roots[19].Root[0] ^= 1 }), exitRefuted, "two roots"},
		"a bit of the checkpoint":        {0, 80, ok(func(p *monitor.Page) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n80\n", "\n81\n", 1) }), exitRefuted, "not this ledger's"},
		"no checkpoint":                  {0, 80, ok(func(p *monitor.Page) { p.Checkpoint = "" }), exitRefuted, "not this ledger's"},
		"a proof where nothing is to be": {0, 60, ok(func(p *monitor.Page) { *p.Consistency = append(*p.Consistency, merkle.Hash{}) }), exitRefuted, "not proven"},
	} {
		for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
			w := startWatched(t, newLiar(t, kind, 1))
			w.liar.Size = 60
			if status, said := w.run(w.liar.VKey); status != exitOK {
				t.Fatalf("status %d: %s", status, said)
			}
			before := w.state()
			w.liar.History, w.liar.Size, w.liar.Lie = tc.history, tc.size, tc.lie
			if status, said := w.run(w.liar.VKey); status != tc.status || !strings.Contains(said, tc.want) {
				t.Errorf("%s: status %d: %s", name, status, said)
			}
			if w.state() != before {
				t.Errorf("%s: the state was changed", name)
			}
			w.liar.History, w.liar.Size, w.liar.Lie = 0, 90, nil
			if status, said := w.run(w.liar.VKey); status != exitOK {
				t.Errorf("%s: an honest answer is not taken after it: status %d: %s", name, status, said)
			}
		}
	}
}

func pick(first bool, a, b int) int {
	if first {
		return a
	}
	return b
}

func TestMonitorTakesNoOtherKey(t *testing.T) {
	w := startWatched(t, newLiar(t, merkle.SHA256, 1))
	w.liar.Size = 5
	other := newLiar(t, merkle.SHA256, 2)
	if status, said := w.run(other.VKey); status != exitRefuted || !strings.Contains(said, "not this ledger's") {
		t.Errorf("status %d: %s", status, said)
	}
	if _, err := os.Stat(w.statePath); err == nil {
		t.Error("a state was written")
	}
	if status, _ := w.run("no+key"); status != exitFailure {
		t.Errorf("status %d", status)
	}
	if status, _ := w.run(w.liar.VKey); status != exitOK {
		t.Errorf("status %d", status)
	}
	if status, said := w.run(other.VKey); status != exitFailure || !strings.Contains(said, "--state") {
		t.Errorf("a state under another key: status %d: %s", status, said)
	}
}
