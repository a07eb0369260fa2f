package sidecar

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// scrubbed is a store on disk that was filled and closed, so that everything lies in tables, and is
// open again.
func scrubbed(t *testing.T, commits int, root func(seq uint64, root merkle.Hash) merkle.Hash) (*store.Store, string) {
	t.Helper()
	dir := t.TempDir()
	fatal := func(what string) { panic(what) }
	kind := merkle.SHA256
	frontier := merkle.NewFrontier(kind)
	s, err := store.Open(store.Options{Dir: dir, Hash: uint8(kind), Compression: store.CompressionNone, Fatal: fatal})
	if err != nil {
		t.Fatal(err)
	}
	for n := range commits {
		c := store.Commit{First: frontier.Size() + 1, TimeMs: 1}
		for i := range 20 {
			entry, fault := wire.AppendEntry(nil, &wire.Fields{
				Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: wire.Nonce{byte(n >> 8), byte(n), byte(i)}})
			if !fault.OK() {
				t.Fatal(fault)
			}
			record := (&wire.Stamp{}).Append(entry)
			frontier.Add(kind.Leaf(record))
			c.Records = append(c.Records, record...)
			c.Ends = append(c.Ends, uint32(len(c.Records)))
			c.Count++
		}
		c.Root = root(c.Last(), frontier.Root())
		if err := s.Append(&c); err != nil {
			t.Fatal(err)
		}
	}
	// A replay makes the state of it, as far as the roots are right.
	c, err := committer.Open(s, committer.Options{
		NowMs: func() int64 { return 1 }, NowNs: func() int64 { return 1 }, Fatal: fatal,
	})
	if err == nil {
		err = c.Close(t.Context())
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(store.Options{Dir: dir, Fatal: fatal}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

func same(_ uint64, root merkle.Hash) merkle.Hash { return root }

// newScrubber returns one that collects what it finds.
func newScrubber(s *store.Store, rate int64) (*scrubber, *[]committer.Loss) {
	losses := new([]committer.Loss)
	sc := &scrubber{
		store: s, log: zap.NewNop(), interval: time.Hour, room: func() bool { return true },
		lost: func(l *committer.Loss) { *losses = append(*losses, *l) },
	}
	sc.rate.Store(rate)
	return sc, losses
}

// TestScrub reads a sound home, and then one in which a byte was changed under the open databases:
// what is in the caches is right, and the scrub reads the disk.
func TestScrub(t *testing.T) {
	largest := func(dir string) string {
		paths, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%d tables in %s: %v", len(paths), dir, err)
		}
		most, path := int64(-1), ""
		for _, p := range paths {
			if info, err := os.Stat(p); err == nil && info.Size() > most {
				most, path = info.Size(), p
			}
		}
		return path
	}
	flip := func(path string, at func(size int) int) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		i := at(len(b))
		_, err = f.WriteAt([]byte{b[i] ^ 8}, int64(i))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	half := func(size int) int { return size / 2 }
	for name, tt := range map[string]struct {
		damage func(dir string)
		want   string
		range_ bool
	}{
		"sound":            {func(string) {}, "", false},
		"table of the log": {func(dir string) { flip(largest(dir+"/log"), half) }, "/log/", true},
		"its footer":       {func(dir string) { flip(largest(dir+"/log"), func(size int) int { return size - 3 }) }, "/log/", true},
		"table of the state": {func(dir string) {
			flip(largest(dir+"/state"), func(size int) int { return min(size/2, 40) })
		}, "/state/", false},
		"head file": {func(dir string) {
			if err := os.WriteFile(dir+"/head", make([]byte, 4160), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "/head", false},
		"meta file":          {func(dir string) { flip(dir+"/meta", half) }, "/meta", false},
		"log table is gone":  {func(dir string) { _ = os.Remove(largest(dir + "/log")) }, "/log/", true},
		"meta file is gone":  {func(dir string) { _ = os.Remove(dir + "/meta") }, "/meta", false},
		"state table is cut": {func(dir string) { _ = os.Truncate(largest(dir+"/state"), 30) }, "/state/", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := scrubbed(t, 30, same)
			tt.damage(dir)
			sc, losses := newScrubber(s, 1e9)
			err := sc.pass(t.Context())
			if tt.want == "" {
				if err != nil || sc.entries.Load() != 600 || sc.bytes.Load() < 60_000 || sc.rows.Load() < 600 {
					t.Errorf("%d entries, %d rows, %d bytes: %v", sc.entries.Load(), sc.rows.Load(), sc.bytes.Load(), err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing was found")
			}
			sc.found(err)
			if len(*losses) != 1 || !strings.Contains((*losses)[0].What, tt.want) || tt.range_ != ((*losses)[0].First > 0) || sc.errors.Load() != 1 {
				t.Errorf("%+v: %v", *losses, err)
			}
		})
	}
}

// TestScrubComputesRoots has a log under whose checksums everything is right but one root.
func TestScrubComputesRoots(t *testing.T) {
	s, _ := scrubbed(t, 30, func(seq uint64, root merkle.Hash) merkle.Hash {
		if seq == 200 {
			root[5] ^= 1
		}
		return root
	})
	sc, losses := newScrubber(s, 1e9)
	sc.found(sc.pass(t.Context()))
	if len(*losses) != 1 || (*losses)[0].First != 181 || (*losses)[0].Last != 600 || !strings.Contains((*losses)[0].What, "does not recompute") {
		t.Errorf("%+v", *losses)
	}
}

// TestScrubKeepsToItsRate reads no faster than it may, does not touch the block cache, and ends at once
// when it is stopped.
func TestScrubKeepsToItsRate(t *testing.T) {
	written, dir := scrubbed(t, 200, same)
	if err := written.Close(); err != nil {
		t.Fatal(err)
	}
	// What is open to be read alone compacts nothing and counts nothing in the background, which would
	// go through the cache.
	s, err := store.Open(store.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	before := s.Metrics()
	sc, _ := newScrubber(s, 2e6)
	began := time.Now()
	if err := sc.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if least := time.Duration(float64(sc.bytes.Load())/2e6*1e9) - 2*scrubPause; time.Since(began) < least {
		t.Errorf("%d bytes in %v", sc.bytes.Load(), time.Since(began))
	}
	if after := s.Metrics(); after.CacheBytes != before.CacheBytes || after.CacheMisses != before.CacheMisses || after.CacheHits != before.CacheHits {
		t.Errorf("the cache has %d bytes, %d hits and %d misses, had %d, %d and %d, and %d bytes were read", after.CacheBytes, after.CacheHits,
			after.CacheMisses, before.CacheBytes, before.CacheHits, before.CacheMisses, sc.bytes.Load())
	}
	slow, losses := newScrubber(s, 1)
	slow.interval = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	slow.cancel = cancel
	slow.ended.Go(func() { slow.run(ctx) })
	for slow.bytes.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	slow.stop()
	if len(*losses) != 0 || slow.errors.Load() != 0 || slow.passes.Load() != 0 {
		t.Errorf("stopped amid a pass: %+v, %d errors", *losses, slow.errors.Load())
	}
}

// TestScrubOfADiskThatFails: a read that fails is counted and tried again, and proves nothing.
func TestScrubOfADiskThatFails(t *testing.T) {
	s, _ := scrubbed(t, 10, same)
	sc, losses := newScrubber(s, 1e9)
	failing := errors.New("no such luck")
	if _, err := sc.scrubLog(func(int) error { return failing }); !errors.Is(err, failing) {
		t.Errorf("%v", err)
	} else {
		sc.found(err)
	}
	if len(*losses) != 0 || sc.errors.Load() != 1 {
		t.Errorf("%+v, %d errors", *losses, sc.errors.Load())
	}
	if err := sc.pass(t.Context()); err != nil {
		t.Error(err)
	}
}
