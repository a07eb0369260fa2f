package store

import (
	"testing"
	"time"
)

// TestKilledStart: with a full memtable in the WAL a killed store is open again soon.
func TestKilledStart(t *testing.T) {
	fs := NewCrashFS()
	s := open(t, Options{FS: fs, Compression: CompressionNone})
	c := newLedger(1).commit(1024, 200)
	c.Groups = nil
	for c.First = 1; c.First < 65_536; c.First += uint64(c.Count) {
		mustAppend(t, s, c)
	}
	wal := s.Metrics().Log.WALBytes
	killed := fs.CrashClone(0, 1)
	closeStore(t, s)
	start := time.Now()
	s = open(t, Options{FS: killed})
	elapsed := time.Since(start)
	t.Logf("opened with up to %d bytes in the WAL in %v", wal, elapsed)
	if tail, _ := s.Last(); tail.Size != c.First-1 {
		t.Errorf("the log ends at %d instead of %d", tail.Size, c.First-1)
	}
	closeStore(t, s)
	if elapsed > 2*time.Second {
		t.Errorf("opening took %v", elapsed)
	}
}
