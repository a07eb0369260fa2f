package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const metricsMax = 8 << 20 // bytes

// counts are sums since the start of a sidecar.
type counts struct {
	entries, allocs float64
	written         float64 // bytes handed to the kernel, to files and sockets (wchar of proc(5))
	text            []byte  // of /metrics
}

func (n *node) counts(ctx context.Context) (c counts, err error) {
	if c.text, err = n.metrics(ctx); err != nil {
		return c, fmt.Errorf("read /metrics: %w", err)
	}
	for name, to := range map[string]*float64{"ledger_entries_total": &c.entries, "go_memstats_mallocs_total": &c.allocs} {
		if *to, err = sampleOf(c.text, name); err != nil {
			return c, err
		}
	}
	c.written = n.kernelFigure("io", "wchar:")
	return c, nil
}

// sampleOf returns the value of a metric without labels.
func sampleOf(text []byte, name string) (float64, error) {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}

// metrics reads /metrics from the HTTPS port, trusting the certificate of the home.
func (n *node) metrics(ctx context.Context) (text []byte, err error) {
	c, err := n.dial(ctx)
	if err != nil {
		return nil, err
	}
	report, err := c.Status(ctx)
	if err := errors.Join(err, c.Close()); err != nil {
		return nil, err
	}
	var status struct {
		HTTPS string `json:"https"`
	}
	if err := json.Unmarshal(report, &status); err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	certificate, err := os.ReadFile(filepath.Join(n.home, "tls.crt"))
	if errors.Is(err, os.ErrNotExist) {
		// A micronode keeps its certificate in memory; this is the loopback, and nothing is sent.
		transport.TLSClientConfig.InsecureSkipVerify = true
	} else if err != nil {
		return nil, err
	} else {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(certificate)
	}
	h := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+status.HTTPS+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := h.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /metrics: %s", answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, metricsMax))
}
