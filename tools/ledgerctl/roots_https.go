package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	httpsTimeout  = 30 * time.Second
	httpsMaxBytes = 64 << 20 // of one answer
)

// rootsOverHTTPS returns the URL of /roots at an address and a client for it. A
// certificate in the file ca is trusted, and no other; without a file those of the
// system are.
func rootsOverHTTPS(address, ca string) (*url.URL, *http.Client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, nil, usagef("--url %q: https://HOST:PORT is wanted", address)
	}
	base.Path = strings.TrimSuffix(strings.TrimSuffix(base.Path, "/"), "/roots") + "/roots"
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, nil, fmt.Errorf("read --ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("read --ca %s: there is no PEM certificate in it", ca)
		}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	return base, &http.Client{Transport: transport, Timeout: httpsTimeout}, nil
}

// overHTTPS hands read a source of roots at a URL.
func overHTTPS(address, ca string, read func(rootsSource) error) error {
	base, h, err := rootsOverHTTPS(address, ca)
	if err != nil {
		return err
	}
	defer h.CloseIdleConnections()
	return read(func(ctx context.Context, since uint64, limit uint32) (rootsPage, error) {
		return getRoots(ctx, h, *base, since, limit)
	})
}

func getRoots(ctx context.Context, h *http.Client, address url.URL, since uint64, limit uint32) (page rootsPage, err error) {
	address.RawQuery = url.Values{
		"since": {strconv.FormatUint(since, 10)}, "limit": {strconv.FormatUint(uint64(limit), 10)},
	}.Encode()
	err = getJSON(ctx, h, &address, &page)
	return page, err
}

// statusError is an answer other than 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

func getJSON(ctx context.Context, h *http.Client, address *url.URL, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	answer, err := h.Do(request)
	if err != nil {
		return fmt.Errorf("read roots: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, httpsMaxBytes))
	if err != nil {
		return fmt.Errorf("read roots from %s: %w", address.Host, err)
	}
	if answer.StatusCode != http.StatusOK {
		return &statusError{answer.StatusCode, fmt.Sprintf("read roots from %s: %s: %.200q", address.Host, answer.Status, strings.TrimSpace(string(body)))}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read roots from %s: %w", address.Host, err)
	}
	return nil
}
