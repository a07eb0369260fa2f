package sidecar

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/wire"
)

// metrics counts what passes. Labels are resolved when it is made, so that counting
// costs an atomic addition and allocates nothing; what can be read elsewhere is
// read when somebody asks (see gauges). Every label has a fixed set of values.
type metrics struct {
	registry *prometheus.Registry

	commits, entries, bytes prometheus.Counter
	rootsPublished          prometheus.Counter
	commitLatency           prometheus.Histogram
	exemplars               exemplarRate // of commitLatency; the publisher's
	batchLatency            prometheus.Histogram
	batchSize               prometheus.Histogram

	rejections           [256]prometheus.Counter // by wire.Reason; those without a number are internal
	authFailures         map[string]prometheus.Counter
	udsDenied            prometheus.Counter
	tlsHandshakeFailures prometheus.Counter
	walFsyncFailures     prometheus.Counter
	slowCommits          prometheus.Counter
	archive              *archiveRequests

	https        *httpsServer // set before it serves
	httpRequests *prometheus.CounterVec
	httpDuration *prometheus.HistogramVec
}

// The buckets, in seconds and entries. Each histogram is a native one beside.
var (
	latencyBuckets = []float64{.0001, .00025, .0005, .001, .002, .003, .005, .01, .02, .04, .08, .15, .3, .6, 1.2, 2.5, 5, 10}
	sizeBuckets    = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
)

func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}
}

func newMetrics(s *Sidecar) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), authFailures: map[string]prometheus.Counter{}}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	observed := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(histogram(name, help, buckets))
		m.registry.MustRegister(h)
		return h
	}
	m.commits = counter("ledger_commits_total", "Commits that became durable.")
	m.entries = counter("ledger_entries_total", "Entries that became durable.")
	m.bytes = counter("ledger_record_bytes_total", "Bytes of the records that became durable, before compression.")
	m.rootsPublished = counter("ledger_roots_published_total", "Roots published, one for each commit.")
	m.udsDenied = counter("uds_denied_total", "Connections turned away by credentials or limits.")
	m.tlsHandshakeFailures = counter("tls_handshake_failures_total", "TLS handshakes that failed.")
	m.slowCommits = counter("ledger_slow_commits_total", "Commits that took longer than trace.slow_commit.")
	m.walFsyncFailures = counter("wal_fsync_fail_total", "Failed writes or syncs of the log; the process ends after one.")
	m.commitLatency = observed("ledger_commit_latency_seconds", "From a request's admission to its answer.", latencyBuckets)
	m.batchLatency = observed("committer_batch_latency_seconds", "From the first request of a commit to its answers.", latencyBuckets)
	m.batchSize = observed("sequencer_batch_size", "Entries in a commit.", sizeBuckets)
	m.resolveLabels()
	m.registerHTTP()
	m.archive = newArchiveRequests(m.registry)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newGauges(s, m), &backupFigures{sidecar: s}, &bodiesFigures{sidecar: s}, &streamFigures{sidecar: s}, &scrubFigures{sidecar: s},
	)
	return m
}

// resolveLabels makes the series of labels whose values are known beforehand, so
// that they are there from the start, at zero.
func (m *metrics) resolveLabels() {
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rejected_total", Help: "Entries and requests refused."}, []string{"reason"})
	auth := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "auth_failures_total", Help: "Peers whose proof of who they are did not hold."}, []string{"peer"})
	m.registry.MustRegister(rejected, auth)
	for i := range m.rejections {
		m.rejections[i] = rejected.WithLabelValues(wire.ReasonInternal.String())
	}
	for _, reason := range wire.Reasons() {
		m.rejections[reason] = rejected.WithLabelValues(reason.String())
	}
	for _, peer := range []string{"token", "tls"} {
		m.authFailures[peer] = auth.WithLabelValues(peer)
	}
}

func (m *metrics) registerHTTP() {
	m.httpRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "HTTPS requests answered.",
	}, []string{"route", "method", "status"})
	m.httpDuration = prometheus.NewHistogramVec(histogram("http_request_duration_seconds",
		"From an HTTPS request to its answer, a long poll's wait included.", latencyBuckets), []string{"route"})
	m.registry.MustRegister(m.httpRequests, m.httpDuration)
	m.httpRequests.WithLabelValues("/roots", "GET", "200")
	for _, route := range []string{"/roots", "/metrics", "other"} {
		m.httpDuration.WithLabelValues(route)
	}
}

// Observe takes the figures of a commit. It does not block, and allocates nothing but a few
// exemplars a second: the requests that were slowest, by connection and request id.
func (m *metrics) Observe(info *committer.CommitInfo) {
	for i, queued := range info.QueuedNs {
		latency := info.PublishedNs - queued
		if i == info.Oldest && m.exemplars.due(info.PublishedNs, latency) {
			m.commitLatency.(prometheus.ExemplarObserver).ObserveWithExemplar(float64(latency)/1e9, exemplar(info.Origin))
			continue
		}
		m.commitLatency.Observe(float64(latency) / 1e9)
	}
	if info.Entries == 0 {
		return
	}
	m.commits.Inc()
	m.rootsPublished.Inc()
	m.entries.Add(float64(info.Entries))
	m.bytes.Add(float64(info.Bytes))
	m.batchSize.Observe(float64(info.Entries))
	m.batchLatency.Observe(float64(info.PublishedNs-info.OpenedNs) / 1e9)
}

// rejected counts n refusals for one reason.
func (m *metrics) rejected(reason wire.Reason, n int) { m.rejections[reason].Add(float64(n)) }

// authFailed counts a failed proof of a peer: "token", which others count as, or
// "tls".
func (m *metrics) authFailed(peer string) {
	failures, ok := m.authFailures[peer]
	if !ok {
		failures = m.authFailures["token"]
	}
	failures.Inc()
}

// denied counts a connection that was turned away.
func (m *metrics) denied() { m.udsDenied.Inc() }

// logFailed counts a failed write or sync of the log.
func (m *metrics) logFailed() { m.walFsyncFailures.Inc() }

// http counts an answer. Methods that are none of ours share one value.
func (m *metrics) http(route, method string, status int, took time.Duration) {
	if method != http.MethodGet && method != http.MethodHead {
		method = "other"
	}
	m.httpRequests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.httpDuration.WithLabelValues(route).Observe(took.Seconds())
}

// handler serves the metrics as text, as OpenMetrics, which carries the exemplars, and as
// protobuf, which carries the native histograms as well. All names are the same in each.
// Compression is done outside of it.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true, EnableOpenMetrics: true, MaxRequestsInFlight: 4})
}

// write writes the metrics as text.
func (m *metrics) write(w io.Writer) error {
	request, err := http.NewRequest(http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	answer := &textAnswer{Writer: w, header: http.Header{}}
	m.handler().ServeHTTP(answer, request)
	if answer.status >= http.StatusBadRequest {
		return fmt.Errorf("collect metrics: status %d", answer.status)
	}
	return nil
}

// textAnswer is an answer of HTTP that goes elsewhere.
type textAnswer struct {
	io.Writer
	header http.Header
	status int
}

func (a *textAnswer) Header() http.Header    { return a.header }
func (a *textAnswer) WriteHeader(status int) { a.status = status }
