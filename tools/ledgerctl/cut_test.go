package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
)

// cutter stands before a sidecar and breaks each connection after some bytes.
type cutter struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	most int64 // bytes that a connection lives for, at most, in either direction

	mu  sync.Mutex
	rng *rand.Rand
}

func newCutter(t *testing.T, target string, seed uint64, most int64) *cutter {
	c := &cutter{target: target, most: most, rng: rand.New(rand.NewPCG(seed, 0))}
	var err error
	if c.listener, err = net.Listen("unix", filepath.Join(t.TempDir(), "cut")); err != nil {
		t.Fatal(err)
	}
	c.running.Go(c.accept)
	t.Cleanup(func() {
		_ = c.listener.Close()
		c.running.Wait()
	})
	return c
}

func (c *cutter) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("unix", c.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		c.mu.Lock()
		up, down := c.rng.Int64N(c.most), c.rng.Int64N(c.most)
		c.mu.Unlock()
		pass := func(to, from net.Conn, n int64) {
			_, _ = io.CopyN(to, from, n)
			_ = to.Close()
			_ = from.Close()
		}
		c.running.Go(func() { pass(far, near, up) })
		c.running.Go(func() { pass(near, far, down) })
	}
}

// bankLines returns the first lines of the bank data.
func bankLines(t *testing.T, count int) []byte {
	f, err := os.Open("../../sidecar/sidecartest/testdata/czech-bank-1993.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfterN(all, []byte("\n"), count+1)
	return bytes.Join(lines[:count], nil)
}

// startMicronode starts a sidecar in this process.
func startMicronode(t *testing.T) *sidecar.Sidecar {
	config := sidecar.Defaults(sidecar.Micronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = t.TempDir(), "127.0.0.1:0", "error"
	s, err := sidecar.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// runHere runs a command line in this process.
func runHere(t *testing.T, socket string, stdin []byte, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	a := &app{stdin: bytes.NewReader(stdin), stdout: &out, stderr: &errs, env: func(string) string { return "" }}
	status = a.run(t.Context(), append(args, "--socket", socket))
	return status, out.String(), errs.String()
}

// TestAppendIsTheSameOverCutConnections sends the same lines over a whole connection
// and over ones that break at random bytes: the ledger and the summary have to be
// the same, the rejected lines included.
func TestAppendIsTheSameOverCutConnections(t *testing.T) {
	const lines = 9000 // the first rejected ones are 3879, 3957, 4708 …
	input := bankLines(t, lines)
	whole := startMicronode(t).Socket()
	_, want, _ := runHere(t, whole, input, "append", "--json")
	_, wantBalances, _ := runHere(t, whole, nil, "balances")
	var wanted, got summary
	if err := json.Unmarshal([]byte(want), &wanted); err != nil || wanted.Rejected == 0 {
		t.Fatalf("%s: %v", want, err)
	}
	resent := 0
	for round := range 3 {
		seed := rand.Uint64()
		target := startMicronode(t).Socket()
		c := newCutter(t, target, seed, 800_000) // several times what is under way at once
		args := []string{"append", "--json", "--retry", "15s", "--batch", []string{"128", "37", "100"}[round], "--inflight", "4"}
		if round%2 == 1 {
			args = append(args, "--connections", "2")
		}
		status, summary, errs := runHere(t, c.listener.Addr().String(), input, args...)
		if err := json.Unmarshal([]byte(summary), &got); err != nil || status != exitRejected {
			t.Fatalf("seed %d: exit %d, %s, %s, %v", seed, status, summary, errs, err)
		}
		if got.Accepted != wanted.Accepted || got.Rejected != wanted.Rejected || got.Duplicate != 0 || got.LastSeq != wanted.LastSeq {
			t.Errorf("seed %d: %s, want %s", seed, summary, want)
		}
		if _, balances, _ := runHere(t, target, nil, "balances"); balances != wantBalances {
			t.Errorf("seed %d: other balances", seed)
		}
		resent += got.Resent
	}
	if resent == 0 {
		t.Error("no connection was cut in the middle")
	}
}
