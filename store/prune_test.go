package store

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shrunkLog returns how many bytes the log takes, once that are so few: Pebble removes files in the background.
func shrunkLog(s *Store, most uint64) (bytes uint64) {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if bytes = s.Metrics().Log.DiskBytes; bytes <= most || time.Now().After(deadline) {
			return bytes
		}
	}
}

func TestPrune(t *testing.T) {
	fs := Memory()
	s := open(t, Options{FS: fs, MemtableBytes: 256 << 10, Compression: CompressionNone})
	l := newLedger(1)
	for before := uint64(0); before < 20_000; before = l.size {
		for range 4 {
			mustAppend(t, s, l.commit(500, 200))
		}
		mustCheckpoint(t, s, l.checkpoint(before))
	}
	if err := s.Prune(l.size + 1); err == nil {
		t.Fatal("pruned beyond the mark")
	}
	diskBefore := s.Metrics().Log.DiskBytes
	for _, before := range []uint64{0, 1, 500, 501, 12_345, 19_900, 600} {
		if err := s.Prune(before); err != nil {
			t.Fatal(err)
		}
	}
	const first = 19_501 // the commit that holds 19,900
	check := func() {
		t.Helper()
		if tail, _ := s.Last(); tail.First != first || tail.Size != l.size {
			t.Fatalf("tail %+v", tail)
		}
		for seq := uint64(1); seq <= l.size; seq += 37 {
			kept := seq >= first
			if _, err := s.Record(seq, nil); kept != (err == nil) || !kept && !errors.Is(err, ErrNotFound) {
				t.Fatalf("record %d: %v", seq, err)
			}
			if _, ok, err := s.LookupIdentity(Identity{nonceOf(seq), 1}); ok != kept || err != nil {
				t.Fatalf("identity of %d: %v, %v", seq, ok, err)
			}
		}
		for _, c := range l.commits {
			if _, _, ok, err := s.LookupRequest(nonceOf(c.First)); ok != (c.First >= first) || err != nil {
				t.Fatalf("request at %d: %v, %v", c.First, ok, err)
			}
		}
		if rows, err := s.Roots(0, 1); err != nil || rows[0].Seq != first+499 {
			t.Fatalf("roots: %+v, %v", rows, err)
		}
		if _, _, ok, _ := s.LookupBalance([]byte("acct_a"), [8]byte{}); !ok {
			t.Fatal("the balance is gone")
		}
		for _, err := range s.Commits(1) {
			if err == nil || !strings.Contains(err.Error(), "1..19500 are missing") {
				t.Fatalf("replay from a pruned beginning: %v", err)
			}
		}
		n := 0
		for c, err := range s.Commits(first) {
			if err != nil {
				t.Fatal(err)
			}
			n += c.Count
		}
		if n != int(l.size)-first+1 {
			t.Fatalf("%d records are left", n)
		}
	}
	check()
	if after := shrunkLog(s, diskBefore*2/3); after > diskBefore*2/3 {
		t.Errorf("the log takes %d bytes of %d", after, diskBefore)
	}
	closeStore(t, s)
	s = open(t, Options{FS: fs})
	check()
	mustAppend(t, s, l.commit(500, 200))
	closeStore(t, s)

	remove(t, fs, "/ledger/state")
	if _, err := Open(Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "begins at 19501") {
		t.Fatalf("opened a pruned ledger without its state: %v", err)
	}
}

// TestGapIsNamed: a block that is missing is an error that names the place.
func TestGapIsNamed(t *testing.T) {
	s := open(t, Options{FS: Memory()})
	defer closeStore(t, s)
	l := newLedger(1)
	for range 5 {
		mustAppend(t, s, l.commit(100, 200))
	}
	key := blockKey(201)
	if err := s.log.Delete(key[:], nil); err != nil {
		t.Fatal(err)
	}
	var last error
	n := 0
	for _, err := range s.Commits(0) {
		last = err
		n++
	}
	if n != 3 || last == nil || !strings.Contains(last.Error(), "after sequence number 200 comes a block that starts at 257") {
		t.Fatalf("%d steps, %v", n, last)
	}
	if _, err := s.Record(230, nil); err == nil {
		t.Fatal("a record out of a gap")
	}
}

// TestPrunedStateIsGone: a ledger that has forgotten its beginning cannot make its state again. The start says
// so, says what to do, and does not take away what is left.
func TestPrunedStateIsGone(t *testing.T) {
	fs := NewCrashFS()
	s := open(t, Options{FS: fs})
	l := newLedger(1)
	mustAppend(t, s, l.commit(500, 200))
	mustAppend(t, s, l.commit(500, 200))
	mustCheckpoint(t, s, l.checkpoint(0))
	if err := s.Prune(501); err != nil {
		t.Fatal(err)
	}
	s.discardStateLater(errors.New("a block of it cannot be read"))
	closeStore(t, s)
	for range 2 { // the second start says the same
		_, err := Open(Options{FS: fs})
		if err == nil || !strings.Contains(err.Error(), "the log begins at 501: restore the ledger from its archive or a snapshot") {
			t.Fatalf("a start without its state: %v", err)
		}
	}
	if err := fs.fs.Remove("/ledger/" + rebuildName); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{FS: fs})
	defer closeStore(t, s)
	if _, err := s.Record(501, nil); err != nil || s.Mark().Size != l.size {
		t.Errorf("what was kept is of size %d: %v", s.Mark().Size, err)
	}
}

// TestPruneOfAColdLog fails every read of the tables of the log in turn while the beginning of a log is cut away that
// no cache holds: a cut that goes wrong is told, and never takes what is kept with it.
func TestPruneOfAColdLog(t *testing.T) {
	fs := NewCrashFS()
	s := open(t, Options{FS: fs, Compression: CompressionNone})
	l := newLedger(1)
	for range 20 {
		mustAppend(t, s, l.commit(100, 200))
	}
	closeStore(t, s)
	const cut = 1_001
	for at := int64(1); ; at++ {
		var armed atomic.Bool
		var reads atomic.Int64
		s := open(t, Options{FS: fs.CrashClone(100, 1).Faulty(func(op Op) bool {
			return armed.Load() && op.Name == "read" && strings.HasSuffix(op.Path, ".sst") && reads.Add(1) == at
		})})
		armed.Store(true)
		err := s.pruneLog(cut)
		armed.Store(false)
		for seq := uint64(cut); seq <= l.size; seq++ {
			if _, readErr := s.Record(seq, nil); readErr != nil {
				t.Fatalf("read %d failed, and the cut says %v: record %d: %v", at, err, seq, readErr)
			}
		}
		met := reads.Load()
		closeStore(t, s)
		if met < at {
			if err != nil {
				t.Fatal(err)
			}
			if at < 3 {
				t.Fatalf("only %d reads could fail: the log is not cold", at-1)
			}
			return
		}
	}
}
