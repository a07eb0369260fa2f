package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

type monitorFlags struct {
	url, key, ca, state string
	once                bool
	interval            time.Duration
}

func (a *app) monitorCommand() *cobra.Command {
	f := monitorFlags{interval: 10 * time.Second}
	cmd := &cobra.Command{
		Use: "monitor --url URL --key VKEY --state FILE", Short: "watch a ledger from elsewhere",
		Long: `Monitor is what another region runs. It keeps the newest checkpoint in the file of
--state, and takes a newer one only with the signature of the ledger and with the proof
that nothing before it was changed. It never goes back. When it sees a fork, a rollback or a
checkpoint that is not proven, it says so and ends with status 4; the file keeps the last
checkpoint that was good. The first checkpoint is taken on the signature alone.

A server that cannot be reached is asked again after --interval; with --once that is a
failure.`,
		Example: "  ledgerctl monitor --url https://ledger.eu:5082 --ca tls.crt --key node.vkey --state eu.checkpoint",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.url == "" || f.state == "" {
				return usagef("--url and --state are needed: see %s --help", cmd.CommandPath())
			}
			return a.monitor(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "where the ledger publishes its roots")
	flags.StringVar(&f.key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	flags.StringVar(&f.ca, "ca", "", "file with the certificate to trust, PEM")
	flags.StringVar(&f.state, "state", "", "file with the newest checkpoint")
	flags.BoolVar(&f.once, "once", false, "look once")
	flags.DurationVar(&f.interval, "interval", f.interval, "time between two looks")
	return cmd
}

func (a *app) monitor(ctx context.Context, f *monitorFlags) error {
	log, err := readKey(f.key)
	if err != nil {
		return err
	}
	_, _, kind, _ := merkle.ParseOrigin(log.Name()) // readKey has checked it
	base, h, err := rootsOverHTTPS(f.url, f.ca)
	if err != nil {
		return err
	}
	defer h.CloseIdleConnections()
	w := &watcher{http: h, address: *base, log: log, kind: kind, path: f.state}
	if err := w.load(); err != nil {
		return err
	}
	for {
		err := w.look(ctx)
		var refuted refutedError
		switch {
		case f.once || errors.As(err, &refuted):
			return errors.Join(err, a.printWatched(w, err))
		case ctx.Err() != nil:
			return nil // the way to end it
		case err != nil:
			fmt.Fprintf(a.stderr, "ledgerctl: %v: trying again\n", err)
		default:
			if err := a.printWatched(w, nil); err != nil {
				return err
			}
		}
		select {
		case <-time.After(f.interval):
		case <-ctx.Done():
			return nil
		}
	}
}

// printWatched prints the newest checkpoint when it has changed.
func (a *app) printWatched(w *watcher, failure error) error {
	if failure != nil || w.known == w.printed && w.looks > 1 {
		return nil
	}
	w.printed = w.known
	if a.json {
		return printJSON(a.stdout, rootJSON{Seq: w.known.Size, Root: w.known.Root.String(), TS: time.Now().UnixMilli()})
	}
	_, err := fmt.Fprintf(a.stdout, "%8d  %v  %s\n", w.known.Size, w.known.Root, w.known.Origin)
	return err
}

// watcher holds what a server says against what it said before.
//
// Invariant: known is what the file at path holds, signed by log; its size never
// falls, and every one is the beginning of the next.
type watcher struct {
	http    *http.Client
	address url.URL
	log     note.Verifier
	kind    merkle.HashKind
	path    string

	known, printed merkle.Checkpoint // Origin is empty before the first
	looks          int
}

func (w *watcher) load() error {
	text, err := os.ReadFile(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		w.known, err = merkle.OpenCheckpoint(text, w.log)
	}
	if err != nil {
		return fmt.Errorf("read --state: %w", err)
	}
	return nil
}

// watchedPage is an answer of GET /roots with proof.
type watchedPage struct {
	Roots       []watchedRoot  `json:"roots"`
	Next        uint64         `json:"next"`
	Checkpoint  string         `json:"checkpoint"`
	Consistency *[]merkle.Hash `json:"consistency"`
}

type watchedRoot struct {
	Seq  uint64      `json:"seq"`
	Root merkle.Hash `json:"root"`
}

// look asks once and takes what is proven. What the server refutes itself with is a
// refutedError; other errors say that it could not be asked.
func (w *watcher) look(ctx context.Context) error {
	w.looks++
	page, err := w.ask(ctx, true)
	var status *statusError
	if errors.As(err, &status) && w.known.Size > 0 {
		return w.refusedProof(ctx, status)
	}
	if err != nil {
		return err
	}
	newest, err := merkle.OpenCheckpoint([]byte(page.Checkpoint), w.log)
	if err != nil {
		return refutedError{fmt.Errorf("what %s publishes is not this ledger's: %w", w.address.Host, err)}
	}
	if err := w.follows(&newest, page); err != nil {
		return err
	}
	if err := w.rootsAgree(&newest, page); err != nil {
		return err
	}
	if newest == w.known {
		return nil
	}
	if err := writeWhole(w.path, []byte(page.Checkpoint)); err != nil {
		return fmt.Errorf("write --state: %w", err)
	}
	w.known = newest
	return nil
}

func (w *watcher) ask(ctx context.Context, proof bool) (*watchedPage, error) {
	address := w.address
	query := url.Values{"since": {strconv.FormatUint(w.known.Size, 10)}}
	if proof {
		query.Set("proof", "1")
	}
	address.RawQuery = query.Encode()
	page := new(watchedPage)
	return page, getJSON(ctx, w.http, &address, page)
}

// refusedProof finds out why a server gives no proof from the known size: one that
// was rolled back knows no such size.
func (w *watcher) refusedProof(ctx context.Context, status *statusError) error {
	if status.status >= http.StatusInternalServerError {
		return status
	}
	page, err := w.ask(ctx, false)
	if err != nil {
		return err
	}
	newest, err := merkle.OpenCheckpoint([]byte(page.Checkpoint), w.log)
	if err != nil {
		return refutedError{fmt.Errorf("what %s publishes is not this ledger's: %w", w.address.Host, err)}
	}
	if newest.Size < w.known.Size {
		return w.rollback(&newest)
	}
	return refutedError{fmt.Errorf("not proven: %s has size %d and gives no proof from the known size %d: %w", w.address.Host, newest.Size, w.known.Size, status)}
}

func (w *watcher) rollback(newest *merkle.Checkpoint) error {
	return refutedError{fmt.Errorf("rollback: %s is at size %d with root %v, and was at size %d with root %v: history that was published is gone",
		w.address.Host, newest.Size, newest.Root, w.known.Size, w.known.Root)}
}

// follows checks that newest is the known checkpoint or proven to go on from it.
func (w *watcher) follows(newest *merkle.Checkpoint, page *watchedPage) error {
	switch {
	case w.known.Origin == "":
		return nil
	case newest.Size < w.known.Size:
		return w.rollback(newest)
	case page.Consistency == nil:
		return refutedError{fmt.Errorf("not proven: %s has size %d and withholds the proof from the known size %d", w.address.Host, newest.Size, w.known.Size)}
	}
	err := merkle.VerifyConsistency(w.kind, w.known.Size, w.known.Root, newest.Size, newest.Root, *page.Consistency)
	if err != nil {
		return refutedError{fmt.Errorf("fork: %s is at size %d with root %v, which is not proven to go on from size %d with root %v: %w",
			w.address.Host, newest.Size, newest.Root, w.known.Size, w.known.Root, err)}
	}
	return nil
}

// rootsAgree checks the list of roots: whoever follows next must miss nothing, and
// at the size of the checkpoint there is one root.
func (w *watcher) rootsAgree(newest *merkle.Checkpoint, page *watchedPage) error {
	since := w.known.Size
	for _, root := range page.Roots {
		switch {
		case root.Seq <= since || root.Seq > newest.Size:
			return refutedError{fmt.Errorf("%s lists a root of size %d behind %d, under a checkpoint of size %d", w.address.Host, root.Seq, since, newest.Size)}
		case root.Seq == newest.Size && root.Root != newest.Root:
			return refutedError{fmt.Errorf("fork: %s has two roots of size %d: %v is listed, %v is signed", w.address.Host, root.Seq, root.Root, newest.Root)}
		}
		since = root.Seq
	}
	if page.Next != since {
		return refutedError{fmt.Errorf("%s lists roots up to size %d and says to go on from %d: roots would be missed or told twice",
			w.address.Host, since, page.Next)}
	}
	return nil
}
