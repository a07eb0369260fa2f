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

// overHTTPS hands read a source of roots at a URL. A certificate in the file ca is
// trusted, and no other; without a file those of the system are.
func overHTTPS(address, ca string, read func(rootsSource) error) error {
	base, err := url.Parse(address)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return usagef("--url %q: https://HOST:PORT is wanted", address)
	}
	base.Path = strings.TrimSuffix(strings.TrimSuffix(base.Path, "/"), "/roots") + "/roots"
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fmt.Errorf("read --ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read --ca %s: there is no PEM certificate in it", ca)
		}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	h := &http.Client{Transport: transport, Timeout: httpsTimeout}
	return read(func(ctx context.Context, since uint64, limit uint32) (rootsPage, error) {
		return getRoots(ctx, h, *base, since, limit)
	})
}

func getRoots(ctx context.Context, h *http.Client, address url.URL, since uint64, limit uint32) (page rootsPage, err error) {
	address.RawQuery = url.Values{
		"since": {strconv.FormatUint(since, 10)}, "limit": {strconv.FormatUint(uint64(limit), 10)},
	}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return page, err
	}
	answer, err := h.Do(request)
	if err != nil {
		return page, fmt.Errorf("read roots: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, httpsMaxBytes))
	if err != nil {
		return page, fmt.Errorf("read roots from %s: %w", address.Host, err)
	}
	if answer.StatusCode != http.StatusOK {
		return page, fmt.Errorf("read roots from %s: %s: %.200s", address.Host, answer.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return page, fmt.Errorf("read roots from %s: %w", address.Host, err)
	}
	return page, nil
}
