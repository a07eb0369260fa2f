package sidecar

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// gauges are the figures that others keep: they are read when metrics are asked
// for, over the HTTPS port, which is the last part of a sidecar to open.
type gauges struct {
	sidecar *Sidecar
	metrics *metrics

	depth, capacity, busy                     *prometheus.Desc
	inflight, inflightBytes, inflightBytesMax *prometheus.Desc
	seqGaps, safeMode, size, headTime         *prometheus.Desc
	epoch, lastFailure                        *prometheus.Desc
	checkpoints, checkpointSize               *prometheus.Desc
	accounts, accountsMax, identities         *prometheus.Desc
	connections, connectionsMax               *prometheus.Desc
	httpsOpen, httpsMax, httpsRefused         *prometheus.Desc
	diskFree, diskTotal, diskReserve          *prometheus.Desc
	diskLow, diskFailures                     *prometheus.Desc
	keys, revoked, keysStale                  *prometheus.Desc
	keysReloads, keysFailures                 *prometheus.Desc
	certificate, memoryLimit, build           *prometheus.Desc
	fsync, cacheBytes, cacheHits, cacheMisses *prometheus.Desc
	cacheMax, identitiesMax, memtableMax      *prometheus.Desc
	levelBytes, levelTables, compactions      *prometheus.Desc
	tokenExpiring                             *prometheus.Desc
	engine                                    []engineFigure
}

// expiresSoon is how long before its end a token counts as expiring: somebody has a day to
// make another.
const expiresSoon = 24 * time.Hour

// engineFigure is one figure that both databases have, told apart by the label db.
type engineFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*store.EngineMetrics) float64
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func newGauges(s *Sidecar, m *metrics) *gauges {
	return &gauges{
		sidecar: s, metrics: m,
		depth:            describe("queue_depth", "Requests that wait.", "q"),
		capacity:         describe("queue_capacity", "Requests that may wait.", "q"),
		busy:             describe("busy_rejections_total", "Requests that found a queue full, their uid's share of it, or the bytes in flight.", "q"),
		inflight:         describe("requests_in_flight", "Appends that are not yet answered."),
		inflightBytes:    describe("requests_in_flight_bytes", "Bytes of appends that are not yet answered."),
		inflightBytesMax: describe("requests_in_flight_bytes_max", "Bytes of appends that may be unanswered, in all (limits.inflight_bytes)."),
		seqGaps:          describe("ledger_seq_gap_detected_total", "Gaps in the sequence numbers; the process ends at one."),
		lastFailure:      describe("ledger_last_failure_timestamp_seconds", "Unix time at which a run on this home last stopped because the state of its log was unknown; 0 for never."),
		safeMode:         describe("ledger_safe_mode", "1 while the ledger is read-only because something is wrong with it."),
		epoch:            describe("ledger_epoch", "Epoch in force; a new one begins when a loss is accepted or a backup restored."),
		size:             describe("ledger_size_entries", "Entries up to the published root."),
		headTime:         describe("ledger_head_timestamp_seconds", "Unix time of the published root; 0 for an empty ledger."),
		checkpoints:      describe("ledger_checkpoints_total", "Checkpoints of derived state that were completed."),
		checkpointSize:   describe("ledger_checkpoint_size_entries", "Entries that the newest checkpoint covers."),
		accounts:         describe("ledger_accounts_cached", "Accounts in memory."),
		accountsMax:      describe("ledger_accounts_cached_max", "Accounts that may stay in memory (cache.accounts)."),
		identities:       describe("ledger_recent_identities", "Identities of entries behind the newest checkpoint."),
		connections:      describe("uds_connections", "Open connections on the socket."),
		connectionsMax:   describe("uds_connections_max", "Connections that may be open on the socket (uds.max_connections)."),
		httpsOpen:        describe("https_connections", "Open HTTPS connections."),
		httpsMax:         describe("https_connections_max", "HTTPS connections that may be open (https.max_connections)."),
		httpsRefused:     describe("https_connections_refused_total", "HTTPS connections closed because too many were open."),
		diskFree:         describe("disk_free_bytes", "Free space of the file system of the home."),
		diskTotal:        describe("disk_total_bytes", "Size of the file system of the home."),
		diskReserve:      describe("disk_reserve_bytes", "Free space below which appends are refused (disk.reserve_bytes)."),
		diskLow:          describe("disk_pressure", "1 while free space is below the reserve."),
		diskFailures:     describe("disk_check_failures_total", "Times that free space could not be read."),
		keys:             describe("token_keys", "Root keys in force."),
		revoked:          describe("token_revocations", "Capabilities and keys that are revoked."),
		keysStale:        describe("token_keys_stale", "1 while the keyring or the revocation list cannot be read: what was read before is in force."),
		keysReloads:      describe("token_keys_reloads_total", "Times that the keyring or the revocation list was replaced."),
		keysFailures:     describe("token_keys_reload_failures_total", "Times that the keyring or the revocation list could not be read."),
		certificate:      describe("cert_not_after_seconds", "Unix time at which the HTTPS certificate ends."),
		memoryLimit:      describe("memory_limit_bytes", "Soft memory limit of the process (memory.limit, memory.container); 0 when none is set."),
		build:            describe("ledger_build_info", "1, with what runs as labels.", "version", "profile", "hash"),
		fsync:            describe("pebble_wal_fsync_seconds", "Latency of the syncs of the log."),
		cacheBytes:       describe("pebble_cache_bytes", "Bytes in the block cache."),
		cacheHits:        describe("pebble_cache_hits_total", "Blocks found in the cache."),
		cacheMisses:      describe("pebble_cache_misses_total", "Blocks read from disk."),
		cacheMax:         describe("pebble_cache_bytes_max", "Bytes that the block cache may have (store.cache_bytes)."),
		identitiesMax:    describe("ledger_recent_identities_max", "Identities at which appends wait for a checkpoint (4 × checkpoint.interval_entries)."),
		memtableMax:      describe("pebble_memtable_bytes_max", "Bytes in the memtables of the log at which appends wait for a flush (4 × store.memtable_bytes)."),
		levelBytes:       describe("pebble_level_bytes", "Bytes in the tables of a level.", "db", "level"),
		levelTables:      describe("pebble_level_tables", "Tables in a level.", "db", "level"),
		compactions:      describe("pebble_compaction_seconds", "Compactions, and the time spent in them.", "db"),
		tokenExpiring:    describe("token_expiring", "Connections whose token ends within a day."),
		engine:           engineFigures(),
	}
}

func engineFigures() (all []engineFigure) {
	add := func(kind prometheus.ValueType, name, help string, of func(*store.EngineMetrics) float64) {
		all = append(all, engineFigure{describe(name, help, "db"), kind, of})
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	add(counter, "pebble_compactions_total", "Compactions.", func(m *store.EngineMetrics) float64 { return float64(m.Compactions) })
	add(counter, "pebble_compaction_failures_total", "Compactions that failed.", func(m *store.EngineMetrics) float64 { return float64(m.BackgroundFails) })
	add(gauge, "pebble_compaction_debt_bytes", "Bytes that wait for compaction, estimated.", func(m *store.EngineMetrics) float64 { return float64(m.CompactionDebt) })
	add(counter, "pebble_stalls_total", "Times that writes waited for flushes or compactions.", func(m *store.EngineMetrics) float64 { return float64(m.Stalls) })
	add(counter, "pebble_stall_seconds_total", "Time that writes waited for flushes or compactions.", func(m *store.EngineMetrics) float64 { return m.StalledTime.Seconds() })
	add(counter, "pebble_flushes_total", "Flushes of memtables.", func(m *store.EngineMetrics) float64 { return float64(m.Flushes) })
	add(gauge, "pebble_disk_bytes", "Bytes on disk.", func(m *store.EngineMetrics) float64 { return float64(m.DiskBytes) })
	add(gauge, "pebble_memtable_bytes", "Bytes in memtables.", func(m *store.EngineMetrics) float64 { return float64(m.MemtableBytes) })
	add(gauge, "pebble_tables", "Tables in all levels.", func(m *store.EngineMetrics) float64 { return float64(m.Tables) })
	add(gauge, "pebble_l0_tables", "Tables in level 0.", func(m *store.EngineMetrics) float64 { return float64(m.L0Tables) })
	add(gauge, "pebble_l0_sublevels", "Sublevels of level 0.", func(m *store.EngineMetrics) float64 { return float64(m.L0Sublevels) })
	add(counter, "pebble_wal_bytes_total", "Bytes written to the WAL.", func(m *store.EngineMetrics) float64 { return float64(m.WALBytes) })
	add(counter, "pebble_flushed_bytes_total", "Bytes written by flushes.", func(m *store.EngineMetrics) float64 { return float64(m.FlushedBytes) })
	add(counter, "pebble_compacted_bytes_total", "Bytes written by compactions.", func(m *store.EngineMetrics) float64 { return float64(m.CompactedBytes) })
	add(counter, "pebble_ingested_bytes_total", "Bytes of ingested tables.", func(m *store.EngineMetrics) float64 { return float64(m.IngestedBytes) })
	add(counter, "pebble_filter_hits_total", "Look-ups that a filter kept from reading.", func(m *store.EngineMetrics) float64 { return float64(m.FilterHits) })
	add(counter, "pebble_filter_misses_total", "Look-ups that a filter let through.", func(m *store.EngineMetrics) float64 { return float64(m.FilterMisses) })
	return all
}

// Describe sends nothing: the metrics are checked when they are collected, and a
// test holds their names.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect reads all figures.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	s := g.sidecar
	https := g.metrics.https
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
	}
	stats, head := s.committer.Stats(), s.committer.Head()
	gauge(g.depth, float64(stats.QueueRequests), "commit")
	gauge(g.capacity, float64(stats.QueueCapacity), "commit")
	counter(g.busy, float64(stats.BusyRejections), "commit")
	counter(g.busy, float64(stats.ShareRejections), "commit_share")
	waiting := s.admission.figures()
	gauge(g.depth, float64(waiting.waiting), "ingress")
	gauge(g.capacity, float64(waiting.waitingMax), "ingress")
	counter(g.busy, float64(waiting.busyTurns), "ingress")
	counter(g.busy, float64(waiting.busyHeld), "inflight_bytes")
	gauge(g.inflight, float64(waiting.requests))
	gauge(g.inflightBytes, float64(waiting.bytes))
	gauge(g.inflightBytesMax, float64(waiting.bytesMax))
	counter(g.seqGaps, float64(stats.SequenceGaps))
	gauge(g.safeMode, one(s.committer.Refusing() == wire.ReasonSafeMode))
	gauge(g.epoch, float64(s.epoch))
	gauge(g.size, float64(head.Size))
	gauge(g.headTime, float64(head.TimeMs)/1e3)
	gauge(g.lastFailure, float64(s.failed.unix()))
	counter(g.checkpoints, float64(stats.Checkpoints))
	gauge(g.checkpointSize, float64(s.store.Mark().Size))
	gauge(g.accounts, float64(stats.AccountsInMemory))
	gauge(g.accountsMax, float64(s.config.Cache.Accounts))
	gauge(g.identities, float64(stats.RecentIdentities))
	gauge(g.identitiesMax, float64(4*s.config.Checkpoint.IntervalEntries))
	gauge(g.connections, float64(s.sessions.count()))
	gauge(g.connectionsMax, float64(s.live().UDS.MaxConnections))
	gauge(g.httpsOpen, float64(https.listener.open.Load()))
	gauge(g.httpsMax, float64(https.listener.max.Load()))
	counter(g.httpsRefused, float64(https.listener.refused.Load()))
	gauge(g.diskFree, float64(s.disk.free.Load()))
	gauge(g.diskTotal, float64(s.disk.total.Load()))
	gauge(g.diskReserve, float64(s.disk.reserve.Load()))
	gauge(g.diskLow, one(s.disk.low.Load()))
	counter(g.diskFailures, float64(s.disk.failures.Load()))
	keys := s.keys.current.Load()
	gauge(g.keys, float64(len(keys.ring.Keys())))
	gauge(g.revoked, float64(keys.revoked.Len()))
	gauge(g.keysStale, one(s.keys.stale.Load()))
	counter(g.keysReloads, float64(s.keys.reloads.Load()))
	counter(g.keysFailures, float64(s.keys.failed.Load()))
	gauge(g.certificate, float64(https.certificates.notAfter().Unix()))
	gauge(g.tokenExpiring, float64(s.sessions.expiring(time.Now().Add(expiresSoon).Unix())))
	gauge(g.memoryLimit, float64(s.config.softMemoryLimit()))
	gauge(g.build, 1, Version(), s.config.Profile, s.hash.String())
	g.collectStore(out, gauge, counter)
}

// collectStore reads the figures of both databases.
func (g *gauges) collectStore(out chan<- prometheus.Metric, gauge, counter func(*prometheus.Desc, float64, ...string)) {
	m := g.sidecar.store.Metrics()
	buckets := make(map[float64]uint64, len(m.Fsync.Buckets))
	for _, b := range m.Fsync.Buckets {
		buckets[b.Upper] = b.Count
	}
	out <- prometheus.MustNewConstHistogram(g.fsync, m.Fsync.Count, m.Fsync.Sum, buckets)
	gauge(g.cacheBytes, float64(m.CacheBytes))
	counter(g.cacheHits, float64(m.CacheHits))
	counter(g.cacheMisses, float64(m.CacheMisses))
	gauge(g.cacheMax, float64(g.sidecar.config.Store.CacheBytes))
	gauge(g.memtableMax, float64(4*g.sidecar.config.Store.MemtableBytes))
	for db, engine := range map[string]*store.EngineMetrics{"log": &m.Log, "state": &m.State} {
		for i := range g.engine {
			f := &g.engine[i]
			out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(engine), db)
		}
		for i := range engine.Levels {
			gauge(g.levelBytes, float64(engine.Levels[i].Bytes), db, strconv.Itoa(i))
			gauge(g.levelTables, float64(engine.Levels[i].Tables), db, strconv.Itoa(i))
		}
		out <- prometheus.MustNewConstSummary(g.compactions, uint64(engine.Compactions), engine.CompactionTime.Seconds(), nil, db)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
