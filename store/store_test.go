package store

import (
	"errors"
	"testing"
)

func TestAppendAndReopen(t *testing.T) {
	for _, tt := range []struct {
		name        string
		fs          *FS
		compression string
	}{
		{"memory, s2", Memory(), CompressionS2},
		{"memory, none", Memory(), CompressionNone},
		{"disk", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{FS: tt.fs, Dir: t.TempDir() + "/home", Compression: tt.compression}
			s := open(t, o)
			meta := s.Meta()
			if head := s.Head(); !head.Known || head.Seq != 0 {
				t.Fatalf("head of a new ledger: %+v", head)
			}
			l := newLedger(newSeed(t))
			for range 20 {
				mustAppend(t, s, l.randomCommit(700))
			}
			checkLog(t, s, l.commits)
			mustCheckpoint(t, s, l.checkpoint(0))
			closeStore(t, s)

			s = open(t, o)
			defer closeStore(t, s)
			checkLog(t, s, l.commits)
			if s.Meta() != meta {
				t.Fatalf("meta changed from %+v to %+v", meta, s.Meta())
			}
			if head := s.Head(); head.Seq != l.size || head.Root != rootOf(l.size) {
				t.Fatalf("head %+v instead of %d", head, l.size)
			}
			if m := s.Mark(); m.Size != l.size || len(m.Frontier) != 2 || m.Frontier[1] != rootOf(l.size) {
				t.Fatalf("mark %+v instead of %d", m, l.size)
			}
			for seq := uint64(1); seq <= l.size; seq += 97 {
				if got, ok, err := s.LookupIdentity(Identity{nonceOf(seq), 1}); got != seq || !ok || err != nil {
					t.Fatalf("identity of %d: %d, %v, %v", seq, got, ok, err)
				}
			}
			if _, ok, err := s.LookupIdentity(Identity{nonceOf(3), 2}); ok || err != nil {
				t.Fatalf("identity of another account: %v, %v", ok, err)
			}
			mustAppend(t, s, l.randomCommit(10))
			checkLog(t, s, l.commits)
		})
	}
}

func TestRecord(t *testing.T) {
	s := open(t, Options{FS: Memory()})
	defer closeStore(t, s)
	l := newLedger(newSeed(t))
	for range 12 {
		mustAppend(t, s, l.randomCommit(600))
	}
	for _, c := range l.commits {
		for i := 0; i < c.Count; i += 41 {
			start := uint32(0)
			if i > 0 {
				start = c.Ends[i-1]
			}
			seq := c.First + uint64(i)
			got, err := s.Record(seq, nil)
			if err != nil || string(got) != string(c.Records[start:c.Ends[i]]) {
				t.Fatalf("record %d differs: %v", seq, err)
			}
		}
	}
	for _, seq := range []uint64{0, l.size + 1, ^uint64(0)} {
		if _, err := s.Record(seq, nil); !errors.Is(err, ErrNotFound) {
			t.Fatalf("record %d: %v", seq, err)
		}
	}
}
