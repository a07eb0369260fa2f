package monitor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// Timeout bounds the wait for an answer.
	Timeout = 30 * time.Second
	// AnswerMax bounds an answer, in bytes.
	AnswerMax = 64 << 20
)

// RootsURL returns the URL of /roots at an address, https://HOST:PORT.
func RootsURL(address string) (*url.URL, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("%q: https://HOST:PORT is wanted", address)
	}
	base.Path = strings.TrimSuffix(strings.TrimSuffix(base.Path, "/"), "/roots") + "/roots"
	return base, nil
}

// NewClient returns a client that trusts the certificates in ca, PEM, and no others; those of the
// system where it is empty. It keeps at most one idle connection to each server.
func NewClient(ca []byte) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("there is no PEM certificate in it")
		}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1}
	return &http.Client{Transport: transport, Timeout: Timeout}, nil
}

// StatusError is an answer other than 200.
type StatusError struct {
	Status int
	Text   string
}

func (e *StatusError) Error() string { return e.Text }

// Get reads the JSON at an address into a value. The error of another answer than 200 is a
// *StatusError.
func Get(ctx context.Context, h *http.Client, address *url.URL, into any) error {
	return get(ctx, h, address, AnswerMax, into)
}

func get(ctx context.Context, h *http.Client, address *url.URL, bytesMax int64, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	answer, err := h.Do(request)
	if err != nil {
		return fmt.Errorf("read roots: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, bytesMax))
	if err != nil {
		return fmt.Errorf("read roots from %s: %w", address.Host, err)
	}
	if answer.StatusCode != http.StatusOK {
		return &StatusError{answer.StatusCode, fmt.Sprintf("read roots from %s: %s: %.200q", address.Host, answer.Status, strings.TrimSpace(string(body)))}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read roots from %s: %w", address.Host, err)
	}
	return nil
}
