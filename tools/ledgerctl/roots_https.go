package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// rootsOverHTTPS returns the URL of /roots at an address and a client for it. The
// certificates in the file ca are trusted, and no others; without a file those of the
// system are.
func rootsOverHTTPS(address, ca string) (*url.URL, *http.Client, error) {
	base, err := monitor.RootsURL(address)
	if err != nil {
		return nil, nil, usagef("--url %w", err)
	}
	h, err := trusting(ca)
	return base, h, err
}

// trusting returns a client that trusts the certificates in the file ca, or those of the system.
func trusting(ca string) (*http.Client, error) {
	if ca == "" {
		return monitor.NewClient(nil)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("read --ca: %w", err)
	}
	h, err := monitor.NewClient(pem)
	if err != nil {
		return nil, fmt.Errorf("read --ca %s: %w", ca, err)
	}
	return h, nil
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
	err = monitor.Get(ctx, h, &address, &page)
	return page, err
}
