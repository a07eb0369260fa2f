package sidecar

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// stableOuter is a sidecar whose stable series is kept in a file, and whose clock stands still.
func stableOuter(t *testing.T) (o *outer, clock *time.Time) {
	o = newOuter(t, nil)
	clock = new(time.Time)
	*clock = time.Now()
	o.roots.stable.path = filepath.Join(t.TempDir(), stableFile)
	o.roots.stable.now = func() time.Time { return *clock }
	return o, clock
}

func (o *outer) key() note.Verifier {
	o.t.Helper()
	key, err := note.NewVerifier(o.identity.VerifyKey)
	if err != nil {
		o.t.Fatal(err)
	}
	return key
}

// stable returns the answer to a question with stable=1.
func (o *outer) stable(query string) (checkpoint merkle.Checkpoint, page struct {
	Roots []struct {
		Seq uint64 `json:"seq"`
	} `json:"roots"`
	Next        uint64        `json:"next"`
	Checkpoint  string        `json:"checkpoint"`
	Consistency []merkle.Hash `json:"consistency"`
}) {
	o.t.Helper()
	got := o.get("GET", "/roots?stable=1"+query)
	err := json.Unmarshal([]byte(got.body), &page)
	if err == nil {
		checkpoint, err = merkle.OpenCheckpoint([]byte(page.Checkpoint), o.key())
	}
	if err != nil {
		o.t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	return checkpoint, page
}

// Within an interval everybody gets one checkpoint, whatever is appended; nothing
// beyond it is told, and it is proven from the one before.
func TestStableSeries(t *testing.T) {
	o, clock := stableOuter(t)
	for i := range 3 {
		o.commit(2 + i)
	}
	first, page := o.stable("")
	if first.Size != 9 || len(page.Roots) != 3 || page.Next != 9 {
		t.Fatalf("%+v, %+v", first, page)
	}
	o.commit(5)
	o.commit(6)
	*clock = clock.Add(59 * time.Second)
	if again, page := o.stable("&since=5"); again != first || len(page.Roots) != 1 || page.Next != 9 {
		t.Errorf("within the interval: %+v, %+v", again, page)
	}
	if plain := o.get("GET", "/roots?stable=1", "Accept", "text/plain"); plain.body != string(o.roots.stable.newest.text) {
		t.Errorf("as text: %s", plain.body)
	}
	if live := o.get("GET", "/roots", "Accept", "text/plain"); !strings.Contains(live.body, "\n20\n") {
		t.Errorf("the live checkpoint: %s", live.body)
	}
	*clock = clock.Add(time.Second)
	second, page := o.stable(fmt.Sprintf("&proof=1&since=%d", first.Size))
	if err := merkle.VerifyConsistency(o.hash, first.Size, first.Root, second.Size, second.Root, page.Consistency); second.Size != 20 || err != nil {
		t.Errorf("the next one: %+v: %v", second, err)
	}
	*clock = clock.Add(time.Hour)
	if still, _ := o.stable(""); still != second {
		t.Errorf("while nothing is appended: %+v", still)
	}
	for _, wrong := range []string{"stable=2", "stable=1&wait=1s"} {
		if got := o.get("GET", "/roots?"+wrong); got.status != 400 {
			t.Errorf("%s: %d %s", wrong, got.status, got.body)
		}
	}
	if got := o.get("GET", "/roots?stable=1&proof=1&since=21"); got.status != 400 {
		t.Errorf("a proof from beyond: %d %s", got.status, got.body)
	}
}

// Behind a restart the series goes on with what it published, and a ledger that does
// not hold that is found.
func TestStableSeriesSurvivesRestart(t *testing.T) {
	o, _ := stableOuter(t)
	o.commit(3)
	first, _ := o.stable("")
	kept := o.roots.stable.newest.text
	o.commit(4)
	resumed := func(change func(text []byte) []byte, size uint64, root func(uint64) (merkle.Hash, error)) (*stableSeries, string) {
		s := &stableSeries{path: filepath.Join(t.TempDir(), stableFile), interval: time.Minute, now: time.Now, newer: o.roots.stable.newer}
		text := kept
		if change != nil {
			text = change(append([]byte(nil), kept...))
		}
		if err := os.WriteFile(s.path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		loss, err := s.load(o.key(), size, root)
		switch {
		case err != nil:
			return s, "error: " + err.Error()
		case loss != nil:
			return s, fmt.Sprintf("loss %d to %d: %s", loss.First, loss.Last, loss.What)
		}
		return s, ""
	}
	s, said := resumed(nil, 7, o.roots.prover.RootAt)
	if again, err := s.checkpoint(); said != "" || err != nil || string(again.text) != string(kept) || again.root != first.Root {
		t.Errorf("%s: %+v: %v", said, again, err)
	}
	if _, said := resumed(nil, 2, o.roots.prover.RootAt); !strings.HasPrefix(said, "loss 3 to 3: entries 3 to 3 are missing") {
		t.Errorf("a log that is shorter: %q", said)
	}
	if _, said := resumed(nil, 7, func(uint64) (merkle.Hash, error) { return merkle.Hash{1}, nil }); !strings.HasPrefix(said, "loss 0 to 0: at size 3 root") {
		t.Errorf("another root: %q", said)
	}
	for i := range len(kept) * 8 {
		s, said := resumed(func(text []byte) []byte { text[i/8] ^= 1 << (i % 8); return text }, 7, o.roots.prover.RootAt)
		if said == "" && s.newest.text != nil {
			t.Errorf("bit %d of the file is not noticed", i)
		}
	}
	private := *o.identity
	later, err := merkle.NewSigner(merkle.Origin("ron-ledger", merkle.LogID{99}, o.hash), private.NodeKey)
	if err != nil {
		t.Fatal(err)
	}
	other, err := merkle.Checkpoint{Origin: later.Name(), Size: 100}.Sign(later)
	if err != nil {
		t.Fatal(err)
	}
	if s, said := resumed(func([]byte) []byte { return other }, 7, o.roots.prover.RootAt); said != "" || s.newest.text != nil {
		t.Errorf("the checkpoint of another epoch: %q", said)
	}
}
