package sidecar

import "github.com/prometheus/client_golang/prometheus"

// bodiesFigures are the figures of what is read back from the archive, as they are when metrics are asked for. A
// sidecar without an archive has none of it.
type bodiesFigures struct{ sidecar *Sidecar }

var (
	archiveReads         = describe("ledger_archive_reads_total", "Segments that were asked for entries which are no longer here, by what came of it.", "outcome")
	archiveCacheBytes    = describe("ledger_archive_cache_bytes", "Bytes of segments that were read back and are in memory.")
	archiveCacheMax      = describe("ledger_archive_cache_bytes_max", "Bytes of segments that may be in memory (archive.cache_bytes), or one segment.")
	archiveCacheSegments = describe("ledger_archive_cache_segments", "Segments that were read back and are in memory.")
)

// Describe sends nothing, as that of gauges does.
func (f *bodiesFigures) Describe(chan<- *prometheus.Desc) {}

// Collect reads all figures.
func (f *bodiesFigures) Collect(out chan<- prometheus.Metric) {
	b := f.sidecar.roots.bodies
	if b.older == nil {
		return
	}
	n := b.older.Figures()
	for _, c := range []struct {
		outcome string
		value   uint64
	}{
		{"cached", n.Cached}, {"fetched", n.Fetched}, {"unavailable", n.Unavailable}, {"refused", n.Refused}, {"damaged", n.Damaged}, {"missing", n.Missing},
	} {
		out <- prometheus.MustNewConstMetric(archiveReads, prometheus.CounterValue, float64(c.value), c.outcome)
	}
	gauge := func(desc *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value))
	}
	gauge(archiveCacheBytes, n.Bytes)
	gauge(archiveCacheMax, int64(f.sidecar.config.Archive.CacheBytes))
	gauge(archiveCacheSegments, n.Segments)
}
