package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

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

// TestIndexOfRisingNoncesIsNotRewritten: nonces that rise but for those that were under way at the
// same time leave the index where it was ingested. One straggler would otherwise send a whole table
// through compaction, and a table that spans the index would do so with all of them.
func TestIndexOfRisingNoncesIsNotRewritten(t *testing.T) {
	s := open(t, Options{FS: Memory()})
	defer closeStore(t, s)
	seed := newSeed(t)
	random := rand.New(rand.NewPCG(seed, 1))
	c := newLedger(1).commit(4096, 200)
	c.Groups = nil
	for c.First = 1; c.First < 400_000; c.First += uint64(c.Count) {
		c.Root = rootOf(c.Last())
		mustAppend(t, s, c)
		rows := &Checkpoint{Mark: Mark{Size: c.Last(), Root: c.Root}}
		for seq := c.First; seq <= c.Last(); seq++ {
			row := Indexed{Seq: seq}
			binary.BigEndian.PutUint64(row.Nonce[:], seq+random.Uint64N(1000)) // 1000 requests are under way
			binary.BigEndian.PutUint64(row.Nonce[8:], random.Uint64())
			rows.Index = append(rows.Index, row)
			if seq%8 == 0 {
				rows.Balances = append(rows.Balances, BalanceRow{Name: fmt.Appendf(nil, "account-%d", random.Uint64N(5000))})
			}
		}
		mustCheckpoint(t, s, rows)
	}
	m := s.Metrics().State
	t.Logf("%d bytes ingested, %d flushed, %d rewritten", m.IngestedBytes, m.FlushedBytes, m.CompactedBytes)
	if m.IngestedBytes < 8<<20 || m.CompactedBytes > 2*m.IngestedBytes {
		t.Errorf("%d bytes were ingested and %d rewritten by compactions", m.IngestedBytes, m.CompactedBytes)
	}
}
