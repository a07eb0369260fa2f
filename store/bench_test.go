package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

func benchmarkStore(b *testing.B, fs *FS) *Store {
	o := Options{FS: fs, Dir: b.TempDir() + "/home"}
	return open(b, o)
}

func BenchmarkAppend(b *testing.B) {
	for _, where := range []string{"memory", "disk"} {
		for _, compression := range []string{CompressionNone, CompressionS2} {
			for _, count := range []int{16, 256, 1024} {
				b.Run(fmt.Sprintf("%s/%s/%d", where, compression, count), func(b *testing.B) {
					o := Options{Dir: b.TempDir() + "/home", Compression: compression}
					if where == "memory" {
						o.FS = Memory()
					}
					s := open(b, o)
					l := newLedger(1)
					c := l.commit(count, 200)
					c.Groups, c.First = nil, 1
					b.SetBytes(int64(len(c.Records)))
					b.ReportAllocs()
					entries := 0
					for b.Loop() {
						mustAppend(b, s, c)
						c.First += uint64(count)
						entries += count
					}
					b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
					closeStore(b, s)
				})
			}
		}
	}
}

// fill writes n entries with checkpoints of 65,536 and returns the model.
func fill(b testing.TB, s *Store, n int) *ledger {
	l := newLedger(1)
	before := uint64(0)
	for int(l.size) < n {
		mustAppend(b, s, l.commit(1024, 200))
		if l.size-before >= 65536 {
			mustCheckpoint(b, s, l.checkpoint(before))
			before, l.commits = l.size, nil
		}
	}
	return l
}

func BenchmarkLookupIdentity(b *testing.B) {
	s := benchmarkStore(b, nil)
	defer closeStore(b, s)
	fill(b, s, 4*65536)
	size := s.Mark().Size
	for _, bb := range []struct {
		name string
		id   func(seq uint64) Identity
	}{
		{"hit", func(seq uint64) Identity { return Identity{nonceOf(seq), 1} }},
		{"miss", func(seq uint64) Identity { return Identity{nonceOf(seq), 2} }},
		{"above", func(seq uint64) Identity { return Identity{nonceOf(size*4 + seq), 1} }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			seq := uint64(1)
			for b.Loop() {
				seq = seq*6364136223846793005 + 1442695040888963407
				if _, ok, err := s.LookupIdentity(bb.id(1 + seq>>20%size)); ok != (bb.name == "hit") || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	s := benchmarkStore(b, nil)
	defer closeStore(b, s)
	fill(b, s, 2*65536)
	size := s.Mark().Size
	var buf []byte
	seq := uint64(1)
	for b.Loop() {
		seq = seq*6364136223846793005 + 1442695040888963407
		var err error
		if buf, err = s.Record(1+seq>>20%size, buf[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckpoint(b *testing.B) {
	s := benchmarkStore(b, nil)
	defer closeStore(b, s)
	l := newLedger(1)
	before := uint64(0)
	for b.Loop() {
		b.StopTimer()
		for l.size-before < 65536 {
			mustAppend(b, s, l.commit(1024, 200))
		}
		c := l.checkpoint(before)
		for i := range 20_000 {
			name := fmt.Appendf(nil, "acct_%07d", (i*7919+int(l.size))%1_000_000)
			c.Balances = append(c.Balances, BalanceRow{Name: name, Available: u128(l.size)})
		}
		c.Tiles = []TileRow{{Level: 0, Index: before / 65536, Data: make([]byte, 8192)}}
		before, l.commits = l.size, nil
		b.StartTimer()
		mustCheckpoint(b, s, c)
	}
}

func BenchmarkReplay(b *testing.B) {
	s := benchmarkStore(b, nil)
	defer closeStore(b, s)
	fill(b, s, 2*65536)
	for b.Loop() {
		entries := 0
		for c, err := range s.Commits(1) {
			if err != nil {
				b.Fatal(err)
			}
			entries += c.Count
		}
		b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	}
}

// BenchmarkBarePebble is what the same engine takes without us: batches of 1,024 entries of 200 bytes
// and of a random key of 24 bytes for each that leads to it, synced, from one goroutine. Figures of other
// machines compare as ratios to it.
func BenchmarkBarePebble(b *testing.B) {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 20,
		MemTableStopWritesThreshold: 4, L0CompactionThreshold: 4, L0StopWritesThreshold: 24, Logger: logger{log: zap.NewNop().Sugar(), fatal: func(msg string) { panic(msg) }}})
	if err != nil {
		b.Fatal(err)
	}
	const entries = 1024
	random := rand.NewChaCha8([32]byte{1})
	var sequence [8]byte
	var index [24]byte
	value := make([]byte, 200)
	n := uint64(0)
	for b.Loop() {
		batch := db.NewBatch()
		for range entries {
			n++
			binary.BigEndian.PutUint64(sequence[:], n)
			_, _ = random.Read(value)
			_, _ = random.Read(index[:])
			index[0] = 0xff
			if err := errors.Join(batch.Set(sequence[:], value, nil), batch.Set(index[:], sequence[:], nil)); err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(batch.Commit(pebble.Sync), batch.Close()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
