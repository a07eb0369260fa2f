package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// watcher holds what a server says against what it said before.
//
// Invariant: known is what the file at path holds, signed by the ledger; its size never
// falls, and every one is the beginning of the next.
type watcher struct {
	http    *http.Client
	address url.URL
	key     ledgerKey
	path    string

	known merkle.Checkpoint // Origin is empty before the first
	since time.Time         // when known was taken, or the watch began
	looks int
}

func newWatcher(address, key, ca, path string) (*watcher, error) {
	ledger, err := newLedgerKey(key)
	if err != nil {
		return nil, err
	}
	base, h, err := rootsOverHTTPS(address, ca)
	if err != nil {
		return nil, err
	}
	w := &watcher{http: h, address: *base, key: ledger, path: path, since: time.Now()}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	if err == nil {
		w.known, err = w.key.open(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read --state: %w", err)
	}
	if info, err := os.Stat(path); err == nil {
		w.since = info.ModTime()
	}
	return w, nil
}

// ledgerKey verifies the checkpoints of a ledger in all its epochs: in each it has
// another log id and so another origin, and the same name, hash and key.
type ledgerKey struct {
	first  note.Verifier // that of --key
	name   string
	kind   merkle.HashKind
	public []byte
}

// newLedgerKey reads what --key is.
func newLedgerKey(key string) (k ledgerKey, err error) {
	if k.first, err = readKey(key); err != nil {
		return k, err
	}
	line, err := keyLine(key)
	if err != nil {
		return k, err
	}
	if k.name, _, k.kind, err = merkle.ParseOrigin(k.first.Name()); err != nil {
		return k, fmt.Errorf("read --key: %w", err)
	}
	parts := strings.SplitN(line, "+", 3) // name, hash, and base64, which may have a plus in it
	algorithmAndKey, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 3 || len(algorithmAndKey) < 2 {
		return k, errors.New("read --key: it is not a verifier key")
	}
	k.public = algorithmAndKey[1:]
	return k, nil
}

// open returns the checkpoint in a note that the ledger signed, in whatever epoch.
func (k *ledgerKey) open(text []byte) (merkle.Checkpoint, error) {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	origin := string(line)
	if origin == k.first.Name() {
		return merkle.OpenCheckpoint(text, k.first)
	}
	name, _, kind, err := merkle.ParseOrigin(origin)
	if err != nil || name != k.name || kind != k.kind {
		return merkle.OpenCheckpoint(text, k.first) // which says what is wrong with it
	}
	vkey, err := merkle.VerifierKey(origin, k.public)
	if err != nil {
		return merkle.Checkpoint{}, err
	}
	epoch, err := note.NewVerifier(vkey)
	if err != nil {
		return merkle.Checkpoint{}, fmt.Errorf("read the key of %s: %w", origin, err)
	}
	return merkle.OpenCheckpoint(text, epoch)
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

// look asks once and takes what is proven. What the server refutes itself with is an
// alarm; other errors say that it could not be asked.
func (w *watcher) look(ctx context.Context) error {
	w.looks++
	page, newest, err := w.proven(ctx)
	if err != nil || newest == w.known {
		return err
	}
	if err := writeWhole(w.path, []byte(page.Checkpoint)); err != nil {
		return fmt.Errorf("write --state: %w", err)
	}
	w.known, w.since = newest, time.Now()
	return nil
}

// proven asks once, and returns the checkpoint that is proven to go on from the known one.
func (w *watcher) proven(ctx context.Context) (*watchedPage, merkle.Checkpoint, error) {
	page, err := w.ask(ctx, true)
	var status *statusError
	if errors.As(err, &status) && w.known.Size > 0 {
		return nil, merkle.Checkpoint{}, w.refusedProof(ctx, status)
	}
	if err != nil {
		return nil, merkle.Checkpoint{}, err
	}
	newest, err := w.open(page)
	if err != nil {
		return nil, newest, err
	}
	for _, check := range []func(*merkle.Checkpoint, *watchedPage) *alarm{w.follows, w.rootsAgree} {
		if e := check(&newest, page); e != nil {
			e.seen, e.note = newest, []byte(page.Checkpoint)
			return nil, newest, e
		}
	}
	return page, newest, nil
}

// open returns the checkpoint of an answer.
func (w *watcher) open(page *watchedPage) (merkle.Checkpoint, error) {
	newest, err := w.key.open([]byte(page.Checkpoint))
	if err != nil {
		return newest, &alarm{kind: alarmForeign, note: []byte(page.Checkpoint), err: fmt.Errorf("what %s publishes is not this ledger's: %w", w.address.Host, err)}
	}
	return newest, nil
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
	newest, err := w.open(page)
	if err != nil {
		return err
	}
	e := &alarm{kind: alarmUnproven, err: fmt.Errorf("not proven: %s has size %d and gives no proof from the known size %d: %w", w.address.Host, newest.Size, w.known.Size, status)}
	if newest.Size < w.known.Size {
		e = w.rollback(&newest)
	}
	e.seen, e.note = newest, []byte(page.Checkpoint)
	return e
}

func (w *watcher) rollback(newest *merkle.Checkpoint) *alarm {
	epoch := ""
	if newest.Origin != w.known.Origin {
		epoch = fmt.Sprintf("; it is a new epoch, %s, and of what was seen the entries %d to %d are lost in it", newest.Origin, newest.Size+1, w.known.Size)
	}
	return &alarm{kind: alarmRollback, err: fmt.Errorf("rollback: %s is at size %d with root %v, and was at size %d with root %v: history that was published is gone%s",
		w.address.Host, newest.Size, newest.Root, w.known.Size, w.known.Root, epoch)}
}

// follows checks that newest is the known checkpoint or proven to go on from it.
func (w *watcher) follows(newest *merkle.Checkpoint, page *watchedPage) *alarm {
	switch {
	case w.known.Origin == "":
		return nil
	case newest.Size < w.known.Size:
		return w.rollback(newest)
	case newest.Origin != w.known.Origin && newest.Origin == w.key.first.Name():
		return &alarm{kind: alarmRollback, err: fmt.Errorf("rollback: %s is back in the epoch %s, and was in %s", w.address.Host, newest.Origin, w.known.Origin)}
	case newest.Origin != w.known.Origin && newest.Size == w.known.Size:
		return &alarm{kind: alarmFork, err: fmt.Errorf("fork: %s has two epochs at size %d, %s and %s: an epoch begins with an entry of its own",
			w.address.Host, newest.Size, w.known.Origin, newest.Origin)}
	case page.Consistency == nil:
		return &alarm{kind: alarmUnproven, err: fmt.Errorf("not proven: %s has size %d and withholds the proof from the known size %d", w.address.Host, newest.Size, w.known.Size)}
	}
	err := merkle.VerifyConsistency(w.key.kind, w.known.Size, w.known.Root, newest.Size, newest.Root, *page.Consistency)
	if err != nil {
		epoch := ""
		if newest.Origin != w.known.Origin {
			epoch = fmt.Sprintf("; it is a new epoch, %s: some of what was seen is lost in it", newest.Origin)
		}
		return &alarm{kind: alarmFork, err: fmt.Errorf("fork: %s is at size %d with root %v, which is not proven to go on from size %d with root %v%s: %w",
			w.address.Host, newest.Size, newest.Root, w.known.Size, w.known.Root, epoch, err)}
	}
	return nil
}

// rootsAgree checks the list of roots: whoever follows next must miss nothing, and
// at the size of the checkpoint there is one root.
func (w *watcher) rootsAgree(newest *merkle.Checkpoint, page *watchedPage) *alarm {
	since := w.known.Size
	for _, root := range page.Roots {
		switch {
		case root.Seq <= since || root.Seq > newest.Size:
			return &alarm{kind: alarmListing, err: fmt.Errorf("%s lists a root of size %d behind %d, under a checkpoint of size %d", w.address.Host, root.Seq, since, newest.Size)}
		case root.Seq == newest.Size && root.Root != newest.Root:
			return &alarm{kind: alarmFork, err: fmt.Errorf("fork: %s has two roots of size %d: %v is listed, %v is signed", w.address.Host, root.Seq, root.Root, newest.Root)}
		}
		since = root.Seq
	}
	if page.Next != since {
		return &alarm{kind: alarmListing, err: fmt.Errorf("%s lists roots up to size %d and says to go on from %d: roots would be missed or told twice",
			w.address.Host, since, page.Next)}
	}
	return nil
}
