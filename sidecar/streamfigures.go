package sidecar

import "github.com/prometheus/client_golang/prometheus"

// streamFigures are the figures of the stream that is told of commits, as they are when metrics are asked for. A
// sidecar without one has none of it.
type streamFigures struct{ sidecar *Sidecar }

var (
	streamSize      = describe("ledger_stream_size_entries", "Entries that the stream has been told of.")
	streamLag       = describe("ledger_stream_lag_seconds", "Time since the stream had been told of everything that was published; 0 while it has.")
	streamLagging   = describe("ledger_stream_lag_entries", "Entries that are published and the stream has not been told of.")
	streamConnected = describe("ledger_stream_connected", "1 while the stream is connected.")
	streamMessages  = describe("ledger_stream_messages_total", "Messages that the stream has taken.")
	streamBytes     = describe("ledger_stream_bytes_total", "Bytes of these messages, without headers.")
	streamFailures  = describe("ledger_stream_failures_total", "Sessions with the stream that failed.")
	streamSkipped   = describe("ledger_stream_skipped_entries_total", "Entries that were forgotten here before the stream was told of them.")
)

// Describe sends nothing, as that of gauges does.
func (f *streamFigures) Describe(chan<- *prometheus.Desc) {}

// Collect reads all figures.
func (f *streamFigures) Collect(out chan<- prometheus.Metric) {
	if f.sidecar.streamer == nil {
		return
	}
	s := f.sidecar.streamer.status()
	for _, g := range []struct {
		desc  *prometheus.Desc
		value float64
	}{
		{streamSize, float64(s.Size)}, {streamLag, s.LagS}, {streamLagging, float64(s.LagEntries)}, {streamConnected, one(s.Connected)},
	} {
		out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value)
	}
	for _, c := range []struct {
		desc  *prometheus.Desc
		value uint64
	}{{streamMessages, s.Messages}, {streamBytes, s.Bytes}, {streamFailures, s.Failures}, {streamSkipped, s.Skipped}} {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(c.value))
	}
}
