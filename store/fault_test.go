package store

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// TestFailedWriteIsNeverAcknowledged lets every write or sync of the log's WAL fail from some moment
// on: Fatal is called, Append never returns nil for the commit, and nothing is accepted later.
func TestFailedWriteIsNeverAcknowledged(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func(Op) bool
	}{
		{"sync of the WAL", func(op Op) bool { return op.Sync && strings.HasSuffix(op.Path, ".log") }},
		{"write of the WAL", func(op Op) bool { return op.Write && strings.HasSuffix(op.Path, ".log") }},
		{"write of the head file", func(op Op) bool { return op.Write && strings.HasSuffix(op.Path, "/head") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var armed, fatals atomic.Int64
			fs := NewCrashFS()
			faulty := fs.Faulty(func(op Op) bool { return armed.Load() == 1 && tt.fail(op) })
			s := open(t, Options{FS: faulty, Fatal: func(string) { fatals.Add(1); runtime.Goexit() }})
			l := newLedger(newSeed(t))
			mustAppend(t, s, l.commit(20, 200))
			armed.Store(1)
			acked := false
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = s.Append(l.commit(20, 200))
				acked = true
			}()
			<-done
			if acked || fatals.Load() == 0 {
				t.Fatalf("acknowledged: %v, fatal called %d times", acked, fatals.Load())
			}
			armed.Store(0)
			if err := s.Append(l.commit(1, 200)); !errors.Is(err, ErrFailed) {
				t.Fatalf("append after a failure: %v", err)
			}
			after := open(t, Options{FS: fs.CrashClone(0, 1)})
			defer closeStore(t, after)
			if tail, _ := after.Last(); tail.Size < 20 {
				t.Fatalf("the log ends at %d", tail.Size)
			}
		})
	}
}

// TestDisorderedAppendStops: a commit that does not continue the log stops the process.
func TestDisorderedAppendStops(t *testing.T) {
	for name, spoil := range map[string]func(*Commit){
		"gap":         func(c *Commit) { c.First++ },
		"count":       func(c *Commit) { c.Count++ },
		"end":         func(c *Commit) { c.Ends[3] += 8 },
		"entry size":  func(c *Commit) { c.Records[0] ^= 8 },
		"cut":         func(c *Commit) { c.Records = c.Records[:len(c.Records)-1] },
		"group order": func(c *Commit) { c.Groups[1].First = c.First },
		"group end":   func(c *Commit) { c.Groups[1].Count++ },
	} {
		t.Run(name, func(t *testing.T) {
			fatal := make(chan string, 1)
			s := open(t, Options{FS: Memory(), Fatal: func(msg string) { fatal <- msg; runtime.Goexit() }})
			c := newLedger(1).commit(20, 200)
			spoil(c)
			acked := make(chan error, 1)
			go func() { defer close(acked); acked <- s.Append(c) }()
			if err, ok := <-acked; ok {
				t.Fatalf("append returned %v", err)
			}
			t.Log(<-fatal)
			if tail, _ := s.Last(); tail.Size != 0 {
				t.Fatalf("the log ends at %d", tail.Size)
			}
			if err := s.Close(); !errors.Is(err, ErrFailed) {
				t.Fatalf("close after a failure: %v", err)
			}
		})
	}
}

// TestStateFailureLeavesTheLogAlone lets the i-th write of a checkpoint fail for every i: Checkpoint
// reports it, the mark stays, the log goes on, and the next start finds one of the two marks.
func TestStateFailureLeavesTheLogAlone(t *testing.T) {
	passed := false
	for i := int64(1); !passed; i++ {
		fs := NewCrashFS()
		var left atomic.Int64
		faulty := fs.Faulty(func(op Op) bool {
			derived := strings.Contains(op.Path, "/state") || strings.Contains(op.Path, ".ingest")
			return op.Write && derived && left.Load() > 0 && left.Add(-1) == 0
		})
		s := open(t, Options{FS: faulty})
		l := newLedger(uint64(i))
		mustAppend(t, s, l.commit(300, 200))
		mustCheckpoint(t, s, l.checkpoint(0))
		mustAppend(t, s, l.commit(300, 200))
		left.Store(i)
		err := s.Checkpoint(l.checkpoint(300))
		passed = left.Load() > 0
		left.Store(0)
		if want := map[bool]uint64{true: 600, false: 300}[err == nil]; s.Mark().Size != want {
			t.Fatalf("write %d: mark %d instead of %d after %v", i, s.Mark().Size, want, err)
		}
		mustAppend(t, s, l.commit(10, 200))
		if err != nil {
			if err := s.Checkpoint(l.checkpoint(300)); !errors.Is(err, ErrStateBroken) {
				t.Fatalf("write %d: checkpoint of a broken state: %v", i, err)
			}
		}
		clone := fs.CrashClone(0, 1)
		if err := s.Close(); err != nil {
			t.Logf("write %d: %v", i, err)
		}
		after := open(t, Options{FS: clone})
		checkLog(t, after, l.commits)
		if size := after.Mark().Size; size != 0 && size != 300 && size != 600 || err == nil && size != 600 {
			t.Fatalf("write %d: mark %d after a crash", i, size)
		}
		closeStore(t, after)
		if passed {
			t.Logf("a checkpoint makes %d writes", i-1)
		}
	}
}
