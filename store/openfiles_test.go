package store

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestTablesOpen: a ledger of more tables than may be open keeps to the bound, whatever is read.
func TestTablesOpen(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir() + "/home", Compression: CompressionNone, MemtableBytes: 256 << 10})
	defer closeStore(t, s)
	l := newLedger(1)
	for s.Metrics().Log.Tables < openFilesMax+16 {
		mustAppend(t, s, l.commit(256, 200))
	}
	random := rand.New(rand.NewPCG(newSeed(t), 1))
	for range 4 * openFilesMax {
		if _, err := s.Record(1+random.Uint64N(l.size), nil); err != nil {
			t.Fatal(err)
		}
	}
	// Pebble closes what it has evicted in the background.
	for deadline := time.Now().Add(time.Minute); s.Metrics().Log.OpenedTables > openFilesMax && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if m := s.Metrics(); m.Log.OpenedTables > openFilesMax || m.Log.OpenedTables < openFilesMax/2 {
		t.Errorf("%d of %d tables are open, at most %d may be", m.Log.OpenedTables, m.Log.Tables+m.State.Tables, openFilesMax)
	}
}
