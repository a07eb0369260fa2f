package store

import (
	"testing"
)

// TestAppendAllocations: the memory that Append takes must not depend on the entries of a commit.
// What is left belongs to Pebble's commit pipeline.
func TestAppendAllocations(t *testing.T) {
	for _, compression := range []string{CompressionNone, CompressionS2} {
		s := open(t, Options{FS: Memory(), Compression: compression})
		l := newLedger(newSeed(t))
		c := l.commit(512, 200)
		mustAppend(t, s, c)
		got := testing.AllocsPerRun(200, func() {
			c.First += uint64(c.Count)
			c.Groups = nil
			mustAppend(t, s, c)
		})
		t.Logf("%s: %.1f allocations a commit of %d", compression, got, c.Count)
		if got > 8 && !invariants {
			t.Errorf("%s: %.1f allocations a commit of %d", compression, got, c.Count)
		}
		closeStore(t, s)
	}
}

// TestLookupAllocations: a look-up allocates nothing once a reader is idle.
func TestLookupAllocations(t *testing.T) {
	s := open(t, Options{FS: Memory()})
	defer closeStore(t, s)
	l := newLedger(newSeed(t))
	for range 8 {
		mustAppend(t, s, l.commit(256, 200))
	}
	mustCheckpoint(t, s, l.checkpoint(0))
	hit, miss := Identity{nonceOf(700), 1}, Identity{nonceOf(700), 2}
	name := []byte("acct_a")
	var buf []byte
	for _, tt := range []struct {
		name   string
		lookup func() (bool, error)
		found  bool
	}{
		{"identity, hit", func() (bool, error) { _, ok, err := s.LookupIdentity(hit); return ok, err }, true},
		{"identity, miss", func() (bool, error) { _, ok, err := s.LookupIdentity(miss); return ok, err }, false},
		{"account", func() (bool, error) { _, ok, err := s.LookupAccount(name); return ok, err }, true},
		{"balance", func() (bool, error) { _, _, ok, err := s.LookupBalance(name, [8]byte{}); return ok, err }, true},
		{"hold", func() (bool, error) { _, _, ok, err := s.LookupHold(hit); return ok, err }, false},
		{"reversed", func() (bool, error) { _, ok, err := s.LookupReversed(7); return ok, err }, false},
		{"request", func() (bool, error) { _, _, ok, err := s.LookupRequest(nonceOf(1)); return ok, err }, true},
		{"tile", func() (bool, error) {
			var ok bool
			var err error
			buf, ok, err = s.LookupTile(0, 0, buf[:0])
			return ok, err
		}, false},
		{"record", func() (bool, error) { var err error; buf, err = s.Record(700, buf[:0]); return true, err }, true},
	} {
		got := testing.AllocsPerRun(500, func() {
			if ok, err := tt.lookup(); ok != tt.found || err != nil {
				t.Fatalf("%s: %v, %v", tt.name, ok, err)
			}
		})
		if got != 0 {
			t.Errorf("%s: %.2f allocations", tt.name, got)
		}
	}
}
