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
	"time"
)

const metricsMax = 8 << 20 // bytes

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
