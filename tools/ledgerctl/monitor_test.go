package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// liar is a server of roots that holds two histories with the same first records
// and answers as it is told to.
type liar struct {
	kind      merkle.HashKind
	signer    note.Signer
	key       string
	histories [2][]merkle.Hash // leaves; they differ from the record forkAt on

	history int                                     // which one it tells
	choose  func(since uint64) int                  // which one it tells to whom; nil: all the same
	size    uint64                                  // how much of it
	lie     func(status int, page *watchedPage) int // changes the honest answer
}

const forkAt = 40

func newLiar(t testing.TB, kind merkle.HashKind, seed byte) *liar {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	origin := merkle.Origin("test", merkle.LogID{1}, kind)
	signer, err := merkle.NewSigner(origin, private)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{kind: kind, signer: signer}
	if l.key, err = merkle.VerifierKey(origin, private.Public().(ed25519.PublicKey)); err != nil {
		t.Fatal(err)
	}
	for i := range byte(100) {
		l.histories[0] = append(l.histories[0], kind.Leaf([]byte{i}))
		forked := i
		if i >= forkAt {
			forked += 100
		}
		l.histories[1] = append(l.histories[1], kind.Leaf([]byte{forked}))
	}
	return l
}

func (l *liar) prover() *merkle.Prover {
	return &merkle.Prover{
		Kind:   l.kind,
		Leaves: func(_ uint64, width int) ([]merkle.Hash, error) { return l.histories[l.history][:width], nil },
		Tile:   func(uint8, uint64) ([]byte, error) { return nil, nil },
	}
}

func (l *liar) root(size uint64) merkle.Hash {
	root, err := l.prover().RootAt(size)
	if err != nil {
		panic(err)
	}
	return root
}

func (l *liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.ParseUint(r.FormValue("since"), 10, 64)
	proof := r.FormValue("proof") == "1"
	if l.choose != nil {
		l.history = l.choose(since)
	}
	status, page := http.StatusOK, &watchedPage{Next: since}
	text, err := merkle.Checkpoint{Origin: l.signer.Name(), Size: l.size, Root: l.root(l.size)}.Sign(l.signer)
	if err != nil {
		panic(err)
	}
	page.Checkpoint = string(text)
	if proof && since > l.size {
		http.Error(w, "parameter since: the tree has not had this size", http.StatusBadRequest)
		return
	}
	for seq := since + 1; seq <= l.size; seq++ {
		page.Roots = append(page.Roots, watchedRoot{seq, l.root(seq)})
		page.Next = seq
	}
	if proof {
		hashes, err := l.prover().ConsistencyProof(since, l.size)
		if err != nil {
			panic(err)
		}
		hashes = append([]merkle.Hash{}, hashes...) // as the sidecar does, never null
		page.Consistency = &hashes
	}
	if l.lie != nil {
		status = l.lie(status, page)
	}
	if status != http.StatusOK {
		http.Error(w, "no", status)
		return
	}
	_ = json.NewEncoder(w).Encode(page)
}

// watched is a monitor of a liar: run looks once.
type watched struct {
	t         *testing.T
	url, ca   string
	statePath string
	liar      *liar
}

func startWatched(t *testing.T, l *liar) *watched {
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
			w.liar.size = size
			if status, said := w.run(w.liar.key); status != exitOK || !strings.Contains(said, w.liar.root(size).String()) {
				t.Fatalf("%v at %d: status %d: %s", kind, size, status, said)
			}
			if !strings.Contains(w.state(), "\n"+strconv.FormatUint(size, 10)+"\n") {
				t.Fatalf("the state at %d: %s", size, w.state())
			}
		}
	}
}

func TestMonitorTakesNoLie(t *testing.T) {
	ok := func(change func(*watchedPage)) func(int, *watchedPage) int {
		return func(status int, page *watchedPage) int { change(page); return status }
	}
	for name, tc := range map[string]struct {
		history int
		size    uint64
		lie     func(int, *watchedPage) int
		status  int
		want    string
	}{
		"fork at the same size":          {1, 60, nil, exitRefuted, "fork"},
		"fork that goes on":              {1, 80, nil, exitRefuted, "fork"},
		"rollback":                       {0, 50, nil, exitRefuted, "rollback"},
		"rollback to before the fork":    {1, 30, nil, exitRefuted, "rollback"},
		"rollback to nothing":            {0, 0, nil, exitRefuted, "rollback"},
		"no proof":                       {0, 80, ok(func(p *watchedPage) { p.Consistency = nil }), exitRefuted, "withholds"},
		"an empty proof":                 {0, 80, ok(func(p *watchedPage) { p.Consistency = new([]merkle.Hash) }), exitRefuted, "not proven"},
		"a bit of the proof":             {0, 80, ok(func(p *watchedPage) { (*p.Consistency)[1][3] ^= 1 }), exitRefuted, "not proven"},
		"a hash too many":                {0, 80, ok(func(p *watchedPage) { *p.Consistency = append(*p.Consistency, merkle.Hash{}) }), exitRefuted, "not proven"},
		"proofs refused":                 {0, 80, func(_ int, p *watchedPage) int { return pick(p.Consistency != nil, http.StatusGone, 200) }, exitRefuted, "gives no proof"},
		"everything refused":             {0, 80, func(int, *watchedPage) int { return http.StatusForbidden }, exitFailure, "403"},
		"a fault":                        {0, 80, func(int, *watchedPage) int { return http.StatusBadGateway }, exitFailure, "502"},
		"next behind the roots":          {0, 80, ok(func(p *watchedPage) { p.Next++ }), exitRefuted, "missed"},
		"next before the roots":          {0, 80, ok(func(p *watchedPage) { p.Next -= 2 }), exitRefuted, "missed"},
		"next before since":              {0, 60, ok(func(p *watchedPage) { p.Next = 3 }), exitRefuted, "missed"},
		"a root out of order":            {0, 80, ok(func(p *watchedPage) { p.Roots[1].Seq = 61 }), exitRefuted, "lists a root"},
		"a root beyond the checkpoint":   {0, 80, ok(func(p *watchedPage) { p.Roots[19].Seq, p.Next = 81, 81 }), exitRefuted, "lists a root"},
		"another root than is signed":    {0, 80, ok(func(p *watchedPage) { p.Roots[19].Root[0] ^= 1 }), exitRefuted, "two roots"},
		"a bit of the checkpoint":        {0, 80, ok(func(p *watchedPage) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n80\n", "\n81\n", 1) }), exitRefuted, "not this ledger's"},
		"no checkpoint":                  {0, 80, ok(func(p *watchedPage) { p.Checkpoint = "" }), exitRefuted, "not this ledger's"},
		"a proof where nothing is to be": {0, 60, ok(func(p *watchedPage) { *p.Consistency = append(*p.Consistency, merkle.Hash{}) }), exitRefuted, "not proven"},
	} {
		for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
			w := startWatched(t, newLiar(t, kind, 1))
			w.liar.size = 60
			if status, said := w.run(w.liar.key); status != exitOK {
				t.Fatalf("status %d: %s", status, said)
			}
			before := w.state()
			w.liar.history, w.liar.size, w.liar.lie = tc.history, tc.size, tc.lie
			if status, said := w.run(w.liar.key); status != tc.status || !strings.Contains(said, tc.want) {
				t.Errorf("%s: status %d: %s", name, status, said)
			}
			if w.state() != before {
				t.Errorf("%s: the state was changed", name)
			}
			w.liar.history, w.liar.size, w.liar.lie = 0, 90, nil
			if status, said := w.run(w.liar.key); status != exitOK {
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
	w.liar.size = 5
	other := newLiar(t, merkle.SHA256, 2)
	if status, said := w.run(other.key); status != exitRefuted || !strings.Contains(said, "not this ledger's") {
		t.Errorf("status %d: %s", status, said)
	}
	if _, err := os.Stat(w.statePath); err == nil {
		t.Error("a state was written")
	}
	if status, _ := w.run("no+key"); status != exitFailure {
		t.Errorf("status %d", status)
	}
	if status, _ := w.run(w.liar.key); status != exitOK {
		t.Errorf("status %d", status)
	}
	if status, said := w.run(other.key); status != exitFailure || !strings.Contains(said, "--state") {
		t.Errorf("a state under another key: status %d: %s", status, said)
	}
}
