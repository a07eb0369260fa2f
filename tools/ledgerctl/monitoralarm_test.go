package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// monitorArgs runs ledgerctl monitor with more flags.
func (w *watched) monitor(args ...string) (status int, said string) {
	var stdout, stderr strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, env: func(string) string { return "" }}
	status = a.run(w.t.Context(), append([]string{"monitor", "--url", w.url, "--ca", w.ca, "--key", w.liar.VKey, "--state", w.statePath}, args...))
	return status, stdout.String() + stderr.String()
}

// script writes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMonitorFollowsEpochs(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		genesis := newLiar(t, kind, 1)
		for name, tc := range map[string]struct {
			epochs []byte // log ids, one look each
			forks  bool   // the last one has lost something
			size   []uint64
			status int
			want   string
		}{
			"all is there":           {[]byte{2}, false, []uint64{70}, exitOK, "a new epoch"},
			"two epochs":             {[]byte{2, 3}, false, []uint64{70, 90}, exitOK, "a new epoch"},
			"some is lost":           {[]byte{2}, true, []uint64{70}, exitRefuted, "some of what was seen is lost"},
			"more is lost":           {[]byte{2}, false, []uint64{50}, exitRefuted, "entries 51 to 60 are lost"},
			"an epoch without entry": {[]byte{2}, false, []uint64{60}, exitRefuted, "two epochs at size 60"},
			"back to the first":      {[]byte{2, 1}, false, []uint64{70, 80}, exitRefuted, "is back in the epoch"},
		} {
			w := startWatched(t, newLiar(t, kind, 1))
			w.liar.Size = 60
			if status, said := w.run(genesis.VKey); status != exitOK {
				t.Fatalf("status %d: %s", status, said)
			}
			var status int
			var said string
			for i, id := range tc.epochs {
				if err := w.liar.Epoch(id); err != nil {
					t.Fatal(err)
				}
				w.liar.Size = tc.size[i]
				if i == len(tc.epochs)-1 && tc.forks {
					w.liar.History = 1
				}
				before := w.state()
				if status, said = w.run(genesis.VKey); status != exitOK && w.state() != before {
					t.Errorf("%v, %s: the state was changed", kind, name)
				}
			}
			if status != tc.status || !strings.Contains(said, tc.want) && tc.status != exitOK {
				t.Errorf("%v, %s: status %d: %s", kind, name, status, said)
			}
		}
	}
}

// Another name, hash or key is no epoch of this ledger.
func TestMonitorTakesNoForeignEpoch(t *testing.T) {
	w := startWatched(t, newLiar(t, merkle.SHA256, 1))
	key := w.liar.VKey
	w.liar.Size = 60
	if status, said := w.run(key); status != exitOK {
		t.Fatalf("status %d: %s", status, said)
	}
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	for name, tc := range map[string]struct {
		origin string
		key    ed25519.PrivateKey
	}{
		"another name": {merkle.Origin("tset", merkle.LogID{2}, merkle.SHA256), private},
		"another hash": {merkle.Origin("test", merkle.LogID{2}, merkle.Blake3), private},
		"another key":  {merkle.Origin("test", merkle.LogID{2}, merkle.SHA256), stranger},
	} {
		signer, err := merkle.NewSigner(tc.origin, tc.key)
		if err != nil {
			t.Fatal(err)
		}
		w.liar.Signer, w.liar.Size = signer, 70
		if status, said := w.run(key); status != exitRefuted || !strings.Contains(said, "not this ledger's") {
			t.Errorf("%s: status %d: %s", name, status, said)
		}
	}
}

// What is run on an alarm gets what a server says in variables, never as words.
func TestMonitorExec(t *testing.T) {
	w := startWatched(t, newLiar(t, merkle.SHA256, 1))
	w.liar.Size = 60
	seen := filepath.Join(t.TempDir(), "seen")
	program := script(t, `echo "$# $LEDGER_ALARM $LEDGER_KNOWN_SIZE $LEDGER_SEEN_SIZE $LEDGER_ALARM_TEXT" >> '`+seen+"'\n")
	metrics := filepath.Join(t.TempDir(), "metrics.prom")
	if status, said := w.monitor("--once", "--exec", program, "--metrics", metrics); status != exitOK {
		t.Fatalf("status %d: %s", status, said)
	}
	if _, err := os.Stat(seen); err == nil {
		t.Error("the program ran without an alarm")
	}
	w.liar.Size, w.liar.History = 80, 1
	if status, said := w.monitor("--once", "--exec", program, "--metrics", metrics); status != exitRefuted {
		t.Errorf("status %d: %s", status, said)
	}
	text, err := os.ReadFile(seen)
	if err != nil || !strings.HasPrefix(string(text), "0 fork 60 80 fork: ") {
		t.Errorf("the program saw %q: %v", text, err)
	}
	if text, err = os.ReadFile(metrics); err != nil || !strings.Contains(string(text), `kind="fork"} 1`) || !strings.Contains(string(text), "ledger_monitor_size{url=") {
		t.Errorf("the metrics are %s: %v", text, err)
	}
	evidence, err := os.ReadFile(w.statePath + ".alarm")
	if err != nil || !strings.Contains(string(evidence), "\n80\n") {
		t.Errorf("the evidence is %q: %v", evidence, err)
	}
	if status, said := w.monitor("--once", "--exec", script(t, "exit 3\n")); status != exitRefuted || !strings.Contains(said, "run --exec") {
		t.Errorf("a program that fails: status %d: %s", status, said)
	}
}

// A server that stands still, or withholds what is new, is found by its age; once, and
// again after it had gone on.
func TestMonitorFreshness(t *testing.T) {
	w := startWatched(t, newLiar(t, merkle.SHA256, 1))
	w.liar.Size = 60
	if status, said := w.monitor("--once", "--max-age", "1h"); status != exitOK {
		t.Fatalf("status %d: %s", status, said)
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(w.statePath, old, old); err != nil {
		t.Fatal(err)
	}
	if status, said := w.monitor("--once", "--max-age", "1h"); status != exitStale || !strings.Contains(said, "nothing newer than size 60") {
		t.Errorf("a server that stands still: status %d: %s", status, said)
	}
	w.liar.Lie = func(int, *monitor.Page) int { return http.StatusBadGateway }
	if status, said := w.monitor("--once", "--max-age", "1h"); status != exitStale {
		t.Errorf("a server that cannot be asked: status %d: %s", status, said)
	}
	w.liar.Lie, w.liar.Size = nil, 61
	if status, said := w.monitor("--once", "--max-age", "1h"); status != exitOK {
		t.Errorf("a server that went on: status %d: %s", status, said)
	}
}

// While it goes on, the alarm of age is raised once.
func TestMonitorIsToldOnceThatNothingComes(t *testing.T) {
	w := startWatched(t, newLiar(t, merkle.SHA256, 1))
	w.liar.Size = 60
	seen := filepath.Join(t.TempDir(), "seen")
	ctx, stop := context.WithCancel(t.Context())
	looks := 0
	w.liar.Lie = func(status int, _ *monitor.Page) int {
		if looks++; looks == 6 {
			stop()
		}
		return status
	}
	var stderr strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: &strings.Builder{}, stderr: &stderr, env: func(string) string { return "" }}
	status := a.run(ctx, []string{"monitor", "--url", w.url, "--ca", w.ca, "--key", w.liar.VKey, "--state", w.statePath,
		"--interval", "1ms", "--max-age", "1ns", "--exec", script(t, "echo $LEDGER_ALARM >> '"+seen+"'\n")})
	text, err := os.ReadFile(seen)
	if status != exitOK || err != nil || string(text) != "stale\n" {
		t.Errorf("status %d, %q: %v: %s", status, text, err, stderr.String())
	}
}

func TestMonitorCompare(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		// state returns the state of a monitor that saw a history at a size.
		state := func(history int, size uint64) (path string, w *watched) {
			w = startWatched(t, newLiar(t, kind, 1))
			w.liar.History, w.liar.Size = history, size
			if status, said := w.run(w.liar.VKey); status != exitOK {
				t.Fatalf("status %d: %s", status, said)
			}
			return w.statePath, w
		}
		at60, w := state(0, 60)
		again60, _ := state(0, 60)
		other60, _ := state(1, 60)
		at80, _ := state(0, 80)
		other80, _ := state(1, 80)
		before, _ := state(1, 30) // both histories begin like this
		w.liar.Size = 90
		server := []string{"--url", w.url, "--ca", w.ca}
		for name, tc := range map[string]struct {
			files  []string
			status int
			want   string
		}{
			"equal":                                   {[]string{at60, again60}, exitOK, "one history"},
			"fork at one size":                        {[]string{at60, again60, other60}, exitRefuted, "signed two histories"},
			"of two sizes":                            {[]string{at60, at80}, exitFailure, "--url"},
			"of two sizes, and one is a fork":         {[]string{at60, other80}, exitFailure, "--url"},
			"of two sizes, proven":                    {append([]string{at60, at80, before}, server...), exitOK, "one history: 3"},
			"of two sizes, one is a fork, not proven": {append([]string{at60, other80}, server...), exitRefuted, "fork"},
			"a file that is none":                     {[]string{at60, w.ca}, exitFailure, "read the state"},
		} {
			var out strings.Builder
			a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &out, env: func(string) string { return "" }}
			status := a.run(t.Context(), append([]string{"monitor", "compare", "--key", w.liar.VKey}, tc.files...))
			if status != tc.status || !strings.Contains(out.String(), tc.want) {
				t.Errorf("%v, %s: status %d: %s", kind, name, status, out.String())
			}
			if strings.HasPrefix(name, "fork") && strings.Count(out.String(), "— test/") != 2 {
				t.Errorf("%v, %s: not both checkpoints are shown: %s", kind, name, out.String())
			}
		}
		// A server that proves to each what each has seen is caught where they meet.
		w.liar.Choose = func(since uint64) int {
			if since == 80 {
				return 1
			}
			return 0
		}
		var out strings.Builder
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &out, env: func(string) string { return "" }}
		status := a.run(t.Context(), append([]string{"monitor", "compare", "--key", w.liar.VKey, at60, other80}, server...))
		if status != exitRefuted || !strings.Contains(out.String(), "signed two histories") {
			t.Errorf("%v, a server with two faces: status %d: %s", kind, status, out.String())
		}
	}
}
