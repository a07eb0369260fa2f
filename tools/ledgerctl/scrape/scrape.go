package scrape

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

// Metrics is what /metrics says, by name; nil where it cannot be read.
type Metrics map[string]*dto.MetricFamily

// Fsync is how long syncs of the log take.
const Fsync = "pebble_wal_fsync_seconds"

// Bounds of a request.
const (
	Timeout  = 35 * time.Second // longer than any long poll that is asked for here
	MaxBytes = 64 << 20         // of one answer
)

// HomeCertificate returns the file of the certificate in a home, "" where there is
// none.
func HomeCertificate(home string) string {
	path := filepath.Join(home, "tls.crt")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// Client returns a client that trusts the certificate in a file alone.
func Client(ca string) (*http.Client, *http.Transport, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, nil, fmt.Errorf("read --ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("read --ca %s: there is no PEM certificate in it", ca)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}}
	return &http.Client{Transport: transport, Timeout: Timeout}, transport, nil
}

// Read reads /metrics. Where it cannot, the figures from there are left out.
func Read(ctx context.Context, address, ca string) Metrics {
	if ca == "" || address == "" {
		return nil
	}
	h, transport, err := Client(ca)
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
	m, err := Parse(io.LimitReader(answer.Body, MaxBytes))
	if err != nil {
		return nil
	}
	return m
}

// Parse reads the text format.
func Parse(text io.Reader) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	m, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return m, nil
}

// Sum adds up a counter or gauge: in all, or what has one value of a label.
func (m Metrics) Sum(name string, label ...string) (total float64) {
	for _, metric := range m[name].GetMetric() {
		if len(label) == 0 || slices.ContainsFunc(metric.GetLabel(), func(l *dto.LabelPair) bool {
			return l.GetName() == label[0] && l.GetValue() == label[1]
		}) {
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return total
}

// Above counts what a histogram has above the upper bound of one of its buckets.
func (m Metrics) Above(name string, upper float64) (count float64) {
	for _, metric := range m[name].GetMetric() {
		h := metric.GetHistogram()
		for _, b := range h.GetBucket() {
			if b.GetUpperBound() == upper {
				count += float64(h.GetSampleCount() - b.GetCumulativeCount())
			}
		}
	}
	return count
}

// Bucket counts what is at or below an upper bound.
type Bucket struct{ Upper, Count float64 }

// Buckets returns those of a histogram without labels, less those that were there
// before.
func (m Metrics) Buckets(name string, before Metrics) (all []Bucket) {
	earlier := map[float64]float64{}
	for _, metric := range before[name].GetMetric() {
		for _, b := range metric.GetHistogram().GetBucket() {
			earlier[b.GetUpperBound()] = float64(b.GetCumulativeCount())
		}
	}
	for _, metric := range m[name].GetMetric() {
		for _, b := range metric.GetHistogram().GetBucket() {
			all = append(all, Bucket{b.GetUpperBound(), float64(b.GetCumulativeCount()) - earlier[b.GetUpperBound()]})
		}
	}
	slices.SortFunc(all, func(a, b Bucket) int {
		switch {
		case a.Upper < b.Upper:
			return -1
		case a.Upper > b.Upper:
			return 1
		}
		return 0
	})
	return all
}

// Quantile interpolates in the bucket that the quantile falls into, as Prometheus
// does; NaN where nothing was counted.
func Quantile(q float64, buckets []Bucket) float64 {
	if len(buckets) == 0 || buckets[len(buckets)-1].Count == 0 {
		return math.NaN()
	}
	want := q * buckets[len(buckets)-1].Count
	lower := Bucket{}
	for _, b := range buckets {
		if b.Count >= want {
			if math.IsInf(b.Upper, 1) || b.Count == lower.Count {
				return lower.Upper
			}
			return lower.Upper + (b.Upper-lower.Upper)*(want-lower.Count)/(b.Count-lower.Count)
		}
		lower = b
	}
	return lower.Upper
}

// Gauge returns the first value of a gauge, 0 where there is none.
func (m Metrics) Gauge(name string) float64 {
	for _, metric := range m[name].GetMetric() {
		return metric.GetGauge().GetValue()
	}
	return 0
}

// ByLabel returns a counter by the value of its one label.
func (m Metrics) ByLabel(name string) map[string]float64 {
	all := map[string]float64{}
	for _, metric := range m[name].GetMetric() {
		for _, label := range metric.GetLabel() {
			all[label.GetValue()] += metric.GetCounter().GetValue()
		}
	}
	return all
}
