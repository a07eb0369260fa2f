package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"testing"
)

// digests stand for those of the tree and of the content.
func digests(record []byte) (leaf [32]byte, content [16]byte) {
	leaf = sha256.Sum256(record)
	copy(content[:], leaf[16:])
	return leaf, content
}

// checkRetained holds a store against what it was made from: records before first are gone but for
// their digests.
func checkRetained(t *testing.T, s *Store, l *ledger, first uint64) {
	t.Helper()
	if tail, _ := s.Last(); tail.First != first || tail.Size != l.size {
		t.Fatalf("the log has %d to %d instead of %d to %d", tail.First, tail.Size, first, l.size)
	}
	for _, c := range l.commits {
		start := uint32(0)
		for i, end := range c.Ends {
			seq, record := c.First+uint64(i), c.Records[start:end]
			start = end
			if seq%37 != 0 && seq != first && seq+1 != first {
				continue
			}
			leaf, content := digests(record)
			got, err := s.Record(seq, nil)
			if kept := seq >= first; kept != (err == nil) || kept && !bytes.Equal(got, record) || !kept && !errors.Is(err, ErrNotFound) {
				t.Fatalf("record %d, kept from %d: %v", seq, first, err)
			}
			if seq >= first {
				continue
			}
			digest, ok, err := s.LookupContent(seq)
			leaves, known, err2 := s.LookupTile(0, (seq-1)/blockLeaves, nil)
			if !ok || digest != content || !known || !bytes.Equal(leaves[(seq-1)%blockLeaves*32:][:32], leaf[:]) {
				t.Fatalf("what is kept of record %d is not of it: %v", seq, errors.Join(err, err2))
			}
		}
		if at, ok, err := s.LookupIdentity(Identity{nonceOf(c.First), 1}); at != c.First || !ok || err != nil {
			t.Fatalf("identity of %d: %d, %v, %v", c.First, at, ok, err)
		}
	}
	if rows, err := s.Roots(0, 1); err != nil || rows[0].Seq != l.commits[0].Last() {
		t.Fatalf("the first root: %+v, %v", rows, err)
	}
}

func TestRetainFreesSpace(t *testing.T) {
	o := Options{Dir: t.TempDir() + "/home", MemtableBytes: 256 << 10, Compression: CompressionNone}
	s := open(t, o)
	l := newLedger(newSeed(t))
	for before := uint64(0); before < 20_000; before = l.size {
		for range 4 {
			mustAppend(t, s, l.commit(500, 200))
		}
		mustCheckpoint(t, s, l.checkpoint(before))
	}
	if err := s.Retain(l.size+1, digests); err == nil {
		t.Fatal("pruned beyond the mark")
	}
	before := s.Metrics()
	for _, seq := range []uint64{0, 1, 256, 257, 1000, 18_000, 18_001, 600} {
		if err := s.Retain(seq, digests); err != nil {
			t.Fatal(err)
		}
	}
	const first = 17_999/256*256 + 1
	checkRetained(t, s, l, first)
	closeStore(t, s)
	s = open(t, o)
	defer closeStore(t, s)
	checkRetained(t, s, l, first)
	freed := shrunkLog(s, before.Log.DiskBytes/3) <= before.Log.DiskBytes/3
	after := s.Metrics()
	t.Logf("on disk: log %d bytes before, %d after; state %d before, %d after", before.Log.DiskBytes, after.Log.DiskBytes, before.State.DiskBytes, after.State.DiskBytes)
	if !freed {
		t.Fatal("the space of the bodies was not freed")
	}
	for c, err := range s.Commits(first) {
		if err != nil || c.First != first || c.Root != rootOf(c.Last()) {
			t.Fatalf("the log begins with %+v: %v", c, err)
		}
		break
	}
}

// TestRetainCrash crashes behind every file operation of Retain: all bodies are there, or all digests
// of those that are not.
func TestRetainCrash(t *testing.T) {
	for at, done := 0, false; !done; at++ {
		for _, percent := range []int{0, 100} {
			fs := NewCrashFS()
			var armed atomic.Bool
			var n atomic.Int64
			var crashed *FS
			s := open(t, Options{FS: fs.Inject(func(Op) Fault {
				if !armed.Load() || n.Add(1) != int64(at+1) {
					return Fault{}
				}
				return Fault{After: func() { crashed = fs.CrashClone(percent, uint64(at)) }}
			}), MemtableBytes: 256 << 10})
			l := newLedger(1)
			mustAppend(t, s, l.commit(500, 200))
			mustAppend(t, s, l.commit(400, 200))
			mustCheckpoint(t, s, l.checkpoint(0))
			armed.Store(true)
			if err := s.Retain(600, digests); err != nil {
				t.Fatal(err)
			}
			armed.Store(false)
			closeStore(t, s) // ends what runs in the background
			if done = crashed == nil; done {
				break
			}
			after := open(t, Options{FS: crashed, MemtableBytes: 256 << 10})
			first := uint64(1)
			if tail, _ := after.Last(); tail.First != 1 {
				first = 513
			}
			checkRetained(t, after, l, first)
			if err := after.Retain(600, digests); err != nil {
				t.Fatal(err)
			}
			checkRetained(t, after, l, 513)
			closeStore(t, after)
		}
	}
}
