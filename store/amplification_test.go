package store

import "testing"

// TestLogIsNeverRewritten: blocks arrive in key order, so compactions of the log move tables and
// rewrite none; each byte is written to the WAL and once to a table.
func TestLogIsNeverRewritten(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir() + "/home", Compression: CompressionNone, MemtableBytes: 4 << 20})
	defer closeStore(t, s)
	c := newLedger(1).commit(1024, 200)
	c.Groups = nil
	bytes := 0
	for c.First = 1; c.First < 200_000; c.First += uint64(c.Count) {
		mustAppend(t, s, c)
		bytes += len(c.Records)
	}
	m := s.Metrics().Log
	t.Logf("%d bytes of records; %+v", bytes, m)
	if m.CompactedBytes != 0 {
		t.Errorf("compactions rewrote %d bytes of the log", m.CompactedBytes)
	}
	if m.Flushes < 5 || m.L0Sublevels > 2 {
		t.Errorf("%d flushes, %d sublevels", m.Flushes, m.L0Sublevels)
	}
	if a := float64(m.WALBytes+m.FlushedBytes) / float64(bytes); a > 2.1 {
		t.Errorf("%.2f bytes written for each byte of records", a)
	}
	if f := s.Metrics().Fsync; f.Count == 0 || len(f.Buckets) == 0 {
		t.Errorf("no sync was measured: %+v", f)
	}
}
