package sidecar

import "github.com/prometheus/client_golang/prometheus"

// backupFigures are the figures of archive and snapshots, as they are when metrics are asked for. A
// sidecar without an archive has none of it.
type backupFigures struct{ sidecar *Sidecar }

var (
	snapshotTime     = describe("ledger_snapshot_timestamp_seconds", "Unix time at which the newest snapshot was complete; 0: none since the start.")
	snapshotSize     = describe("ledger_snapshot_size_entries", "Entries in the newest snapshot.")
	snapshotBytes    = describe("ledger_snapshot_bytes", "Length of the newest snapshot.")
	snapshotFailures = describe("ledger_snapshot_failures_total", "Snapshots that were begun and failed.")
	snapshotRunning  = describe("ledger_snapshot_running", "1 while a snapshot is being made.")
	archivedSize     = describe("ledger_archive_size_entries", "Entries that are archived.")
	archiveLag       = describe("ledger_archive_lag_seconds", "Time since everything durable was archived; 0 while it is.")
	archiveLagging   = describe("ledger_archive_lag_entries", "Entries that are published and not archived.")
	archivedSegments = describe("ledger_archive_segments", "Segments in the archive.")
	archivedBytes    = describe("ledger_archive_bytes", "Bytes of all segments in the archive.")
	archiveFailures  = describe("ledger_archive_failures_total", "Attempts to archive that failed.")
	archiveTerm      = describe("ledger_archive_term", "Term of the archive that is in force; 0: not known yet.")
	archiveFenced    = describe("ledger_archive_fenced", "1 once another sidecar has taken the ledger over: this one books nothing any more.")
	archiveStalled   = describe("ledger_archive_stalled", "1 while commits wait for the archive and appends are refused (archive.mode = sync).")
	archiveUploads   = describe("ledger_archive_uploads", "Segments that are on their way to the archive.")
	archiveUploadMax = describe("ledger_archive_uploads_max", "Segments that may be on their way to the archive at once.")
	archiveFailing   = describe("ledger_archive_failing", "1 while the newest attempt to archive has failed.")
)

// Describe sends nothing, as that of gauges does.
func (b *backupFigures) Describe(chan<- *prometheus.Desc) {}

// Collect reads all figures.
func (b *backupFigures) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	n := &b.sidecar.snapshots
	gauge(snapshotTime, float64(n.lastMs.Load())/1e3)
	gauge(snapshotSize, float64(n.lastSize.Load()))
	gauge(snapshotBytes, float64(n.bytes.Load()))
	gauge(snapshotRunning, one(n.busy.Load()))
	out <- prometheus.MustNewConstMetric(snapshotFailures, prometheus.CounterValue, float64(n.failures.Load()))
	if b.sidecar.archiver == nil {
		return
	}
	a := b.sidecar.archiver.status()
	gauge(archivedSize, float64(a.Size))
	gauge(archiveLag, a.LagS)
	gauge(archiveLagging, float64(a.LagEntries))
	gauge(archivedSegments, float64(a.Segments))
	gauge(archivedBytes, float64(a.Bytes))
	gauge(archiveFailing, one(a.Error != ""))
	gauge(archiveStalled, one(a.Stalled))
	uploads, most := b.sidecar.archiver.writer.Uploads()
	gauge(archiveUploads, float64(uploads))
	gauge(archiveUploadMax, float64(most))
	gauge(archiveTerm, float64(a.Term))
	gauge(archiveFenced, one(a.Fenced))
	out <- prometheus.MustNewConstMetric(archiveFailures, prometheus.CounterValue, float64(a.Failures))
}
