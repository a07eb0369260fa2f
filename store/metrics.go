package store

import (
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	dto "github.com/prometheus/client_model/go"
)

// Metrics is what the store knows of itself since it was opened.
type Metrics struct {
	Fsync       Histogram // latency of the log's syncs, in seconds
	Log         EngineMetrics
	State       EngineMetrics
	CacheBytes  int64 // of the block cache that both share
	CacheHits   int64
	CacheMisses int64
}

// Histogram counts observations by upper bound.
type Histogram struct {
	Buckets []Bucket // by rising bound, cumulative
	Count   uint64
	Sum     float64
}

// Bucket counts the observations at or below Upper.
type Bucket struct {
	Upper float64
	Count uint64
}

// LevelMetrics describes one level of a database.
type LevelMetrics struct{ Tables, Bytes int64 }

// EngineMetrics describes one of the two databases. Bytes are on disk; counts since Open.
type EngineMetrics struct {
	DiskBytes       uint64 // everything that it occupies
	Tables          int64
	L0Tables        int64
	L0Sublevels     int32 // tables that a look-up may have to ask in the top level
	MemtableBytes   uint64
	WALBytes        uint64 // written to the WAL
	FlushedBytes    uint64 // written by flushes
	CompactedBytes  uint64 // written by compactions, moves not counted
	MovedBytes      uint64 // given to a lower level without being rewritten
	IngestedBytes   uint64 // of tables that were ingested
	Flushes         int64
	Compactions     int64
	CompactionDebt  uint64        // bytes that wait for compaction, estimated
	CompactionTime  time.Duration // spent in compactions
	Stalls          uint64        // times that writes had to wait for flushes or compactions
	StalledTime     time.Duration // how long they waited
	FilterHits      int64         // look-ups that a filter kept from reading a block
	FilterMisses    int64         // look-ups that a filter let through
	OpenedTables    int64         // tables whose reader is kept open
	BackgroundFails int64         // compactions that failed
	Levels          [7]LevelMetrics
}

// WriteAmplification returns the bytes written for each byte that came in by the WAL or by
// ingestion.
func (m *EngineMetrics) WriteAmplification() float64 {
	in := m.WALBytes + m.IngestedBytes
	if in == 0 {
		return 0
	}
	return float64(in+m.FlushedBytes+m.CompactedBytes) / float64(in)
}

// stalls adds up the times in which a database made writers wait.
type stalls struct {
	count   atomic.Uint64
	elapsed atomic.Int64
	since   atomic.Int64 // Unix nanoseconds; 0 when none is under way
}

func (w *stalls) begin(pebble.WriteStallBeginInfo) {
	w.count.Add(1)
	w.since.Store(time.Now().UnixNano())
}

func (w *stalls) end() {
	if since := w.since.Swap(0); since != 0 {
		w.elapsed.Add(time.Now().UnixNano() - since)
	}
}

// Metrics takes some ten microseconds; call it when metrics are asked for, not on the hot path.
func (s *Store) Metrics() Metrics {
	log, state := s.log.Metrics(), s.state.db.Metrics()
	return Metrics{
		Fsync:       fsyncHistogram(log),
		Log:         engineMetrics(log, &s.logStalls),
		State:       engineMetrics(state, &s.state.stalls),
		CacheBytes:  log.BlockCache.Size,
		CacheHits:   log.BlockCache.Hits,
		CacheMisses: log.BlockCache.Misses,
	}
}

func engineMetrics(m *pebble.Metrics, w *stalls) EngineMetrics {
	e := EngineMetrics{
		DiskBytes:       m.DiskSpaceUsage(),
		L0Tables:        m.Levels[0].TablesCount,
		L0Sublevels:     m.Levels[0].Sublevels,
		MemtableBytes:   m.MemTable.Size,
		WALBytes:        m.WAL.BytesWritten,
		Flushes:         m.Flush.Count,
		Compactions:     m.Compact.Count,
		CompactionDebt:  m.Compact.EstimatedDebt,
		CompactionTime:  m.Compact.Duration,
		Stalls:          w.count.Load(),
		StalledTime:     time.Duration(w.elapsed.Load()),
		FilterHits:      m.Filter.Hits,
		FilterMisses:    m.Filter.Misses,
		OpenedTables:    m.FileCache.TableCount,
		BackgroundFails: m.Compact.FailedCount,
	}
	for i := range m.Levels {
		l := &m.Levels[i]
		e.Levels[i] = LevelMetrics{Tables: l.TablesCount, Bytes: l.TablesSize}
		e.Tables += l.TablesCount
		e.FlushedBytes += l.TableBytesFlushed
		e.CompactedBytes += l.TableBytesCompacted
		e.MovedBytes += l.TableBytesMoved
		e.IngestedBytes += l.TableBytesIngested
	}
	return e
}

// fsyncHistogram copies Pebble's histogram, which counts nanoseconds.
func fsyncHistogram(m *pebble.Metrics) Histogram {
	var d dto.Metric
	if m.LogWriter.FsyncLatency == nil || m.LogWriter.FsyncLatency.Write(&d) != nil {
		return Histogram{}
	}
	h := Histogram{Count: d.Histogram.GetSampleCount(), Sum: d.Histogram.GetSampleSum() / 1e9}
	for _, b := range d.Histogram.Bucket {
		h.Buckets = append(h.Buckets, Bucket{Upper: b.GetUpperBound() / 1e9, Count: b.GetCumulativeCount()})
	}
	return h
}
