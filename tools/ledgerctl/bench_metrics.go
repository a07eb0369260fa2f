package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// serverMetric is what /metrics says, by name; nil where it cannot be read.
type serverMetric map[string]*dto.MetricFamily

// Metrics that a bench reads.
const (
	metricFsync = "pebble_wal_fsync_seconds"
	metricStall = "pebble_stall_seconds_total"
)

// homeCertificate returns the file of the certificate in a home, "" where there is
// none.
func homeCertificate(home string) string {
	path := filepath.Join(home, "tls.crt")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// benchHTTPS returns a client that trusts the certificate in a file alone.
func benchHTTPS(ca string) (*http.Client, *http.Transport, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, nil, fmt.Errorf("read --ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("read --ca %s: there is no PEM certificate in it", ca)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}}
	return &http.Client{Transport: transport, Timeout: httpsTimeout + 5*time.Second}, transport, nil
}

// readMetrics reads /metrics. Where it cannot, the figures from there are left out.
func readMetrics(ctx context.Context, address, ca string) serverMetric {
	if ca == "" || address == "" {
		return nil
	}
	h, transport, err := benchHTTPS(ca)
	if err != nil {
		return nil
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return nil
	}
	request.Header.Set("Accept", "text/plain; version=0.0.4")
	answer, err := h.Do(request)
	if err != nil {
		return nil
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	m, err := parseMetrics(io.LimitReader(answer.Body, httpsMaxBytes))
	if err != nil {
		return nil
	}
	return m
}

func parseMetrics(text io.Reader) (serverMetric, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	m, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return m, nil
}

// total adds up a counter over its labels.
func (m serverMetric) total(name string) (total float64) {
	for _, metric := range m[name].GetMetric() {
		total += metric.GetCounter().GetValue()
	}
	return total
}

// bucket counts what is at or below an upper bound.
type bucket struct{ upper, count float64 }

// buckets returns those of a histogram without labels, less those that were there
// before.
func (m serverMetric) buckets(name string, before serverMetric) (all []bucket) {
	earlier := map[float64]float64{}
	for _, metric := range before[name].GetMetric() {
		for _, b := range metric.GetHistogram().GetBucket() {
			earlier[b.GetUpperBound()] = float64(b.GetCumulativeCount())
		}
	}
	for _, metric := range m[name].GetMetric() {
		for _, b := range metric.GetHistogram().GetBucket() {
			all = append(all, bucket{b.GetUpperBound(), float64(b.GetCumulativeCount()) - earlier[b.GetUpperBound()]})
		}
	}
	slices.SortFunc(all, func(a, b bucket) int {
		switch {
		case a.upper < b.upper:
			return -1
		case a.upper > b.upper:
			return 1
		}
		return 0
	})
	return all
}

// quantile interpolates in the bucket that the quantile falls into, as Prometheus
// does; NaN where nothing was counted.
func quantile(q float64, buckets []bucket) float64 {
	if len(buckets) == 0 || buckets[len(buckets)-1].count == 0 {
		return math.NaN()
	}
	want := q * buckets[len(buckets)-1].count
	lower := bucket{}
	for _, b := range buckets {
		if b.count >= want {
			if math.IsInf(b.upper, 1) || b.count == lower.count {
				return lower.upper
			}
			return lower.upper + (b.upper-lower.upper)*(want-lower.count)/(b.count-lower.count)
		}
		lower = b
	}
	return lower.upper
}

// percentileOf returns the smallest value that at least the share q of the values
// does not exceed; 0 for none.
func percentileOf(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(q*float64(len(sorted)))), 1)-1]
}

// readMetrics takes the figures between two readings.
func (r *benchResult) readMetrics(m [2]serverMetric, seconds float64) {
	if m[0] == nil || m[1] == nil {
		return
	}
	if p99 := quantile(0.99, m[1].buckets(metricFsync, m[0])); !math.IsNaN(p99) {
		ms := p99 * 1e3
		r.FsyncP99Ms = &ms
	}
	stalled := (m[1].total(metricStall) - m[0].total(metricStall)) / seconds
	r.StalledShare = &stalled
}
