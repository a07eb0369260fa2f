package monitor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// Watcher holds what a server says against what it said before. It is for one goroutine.
//
// Invariant: Known is signed by the ledger; its size never falls, and every one is the beginning of
// the next.
type Watcher struct {
	HTTP    *http.Client
	Address url.URL // of /roots
	Key     Key
	Save    func(note []byte) error // keeps what is about to become Known
	// Brief asks for one root, not for all that are new, and reads at most briefMax bytes: for who
	// follows heads alone, and many of them.
	Brief bool

	Known merkle.Checkpoint // Origin is empty before the first
	Since time.Time         // when Known was taken, or the watch began
	Looks int
}

// briefMax bounds a brief answer in bytes: one root, a checkpoint and a proof.
const briefMax = 256 << 10

// Resume takes the note that Save was last given, at the time when that was.
func (w *Watcher) Resume(note []byte, since time.Time) (err error) {
	known, err := w.Key.Open(note)
	if err == nil {
		w.Known, w.Since = known, since
	}
	return err
}

// Page is an answer of GET /roots with proof.
type Page struct {
	Roots       []Root         `json:"roots"`
	Next        uint64         `json:"next"`
	Checkpoint  string         `json:"checkpoint"`
	Consistency *[]merkle.Hash `json:"consistency"`
}

// Root is one root in it.
type Root struct {
	Seq  uint64      `json:"seq"`
	Root merkle.Hash `json:"root"`
}

// Look asks once and takes what is proven. What the server refutes itself with is an
// *Alarm; other errors say that it could not be asked.
func (w *Watcher) Look(ctx context.Context) error {
	w.Looks++
	note, newest, err := w.Proven(ctx)
	if err != nil || newest == w.Known {
		return err
	}
	if err := w.Save(note); err != nil {
		return err
	}
	w.Known, w.Since = newest, time.Now()
	return nil
}

// Proven asks once, and returns the checkpoint that is proven to go on from Known, with its note. It
// takes nothing.
func (w *Watcher) Proven(ctx context.Context) (note []byte, newest merkle.Checkpoint, err error) {
	page, err := w.ask(ctx, true)
	var status *StatusError
	if errors.As(err, &status) && w.Known.Size > 0 {
		return nil, newest, w.refusedProof(ctx, status)
	}
	if err != nil {
		return nil, newest, err
	}
	newest, err = w.Check(page)
	return []byte(page.Checkpoint), newest, err
}

// Check returns the checkpoint of an answer to a question with proof from Known, if all of the answer holds.
func (w *Watcher) Check(page *Page) (merkle.Checkpoint, error) {
	newest, err := w.open(page)
	if err != nil {
		return newest, err
	}
	for _, check := range []func(*merkle.Checkpoint, *Page) *Alarm{w.follows, w.rootsAgree} {
		if e := check(&newest, page); e != nil {
			e.Seen, e.Note = newest, []byte(page.Checkpoint)
			return newest, e
		}
	}
	return newest, nil
}

// open returns the checkpoint of an answer.
func (w *Watcher) open(page *Page) (merkle.Checkpoint, error) {
	newest, err := w.Key.Open([]byte(page.Checkpoint))
	if err != nil {
		return newest, &Alarm{Kind: Foreign, Note: []byte(page.Checkpoint), Err: fmt.Errorf("what %s publishes is not this ledger's: %w", w.Address.Host, err)}
	}
	return newest, nil
}

func (w *Watcher) ask(ctx context.Context, proof bool) (*Page, error) {
	address := w.Address
	query := url.Values{"since": {strconv.FormatUint(w.Known.Size, 10)}}
	if proof {
		query.Set("proof", "1")
	}
	bytesMax := int64(AnswerMax)
	if w.Brief {
		query.Set("limit", "1")
		bytesMax = briefMax
	}
	address.RawQuery = query.Encode()
	page := new(Page)
	return page, get(ctx, w.HTTP, &address, bytesMax, page)
}

// refusedProof finds out why a server gives no proof from the known size: one that
// was rolled back knows no such size.
func (w *Watcher) refusedProof(ctx context.Context, status *StatusError) error {
	if status.Status >= http.StatusInternalServerError {
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
	e := &Alarm{Kind: Unproven, Err: fmt.Errorf("not proven: %s has size %d and gives no proof from the known size %d: %w", w.Address.Host, newest.Size, w.Known.Size, status)}
	if newest.Size < w.Known.Size {
		e = w.rollback(&newest)
	}
	e.Seen, e.Note = newest, []byte(page.Checkpoint)
	return e
}

func (w *Watcher) rollback(newest *merkle.Checkpoint) *Alarm {
	epoch := ""
	if newest.Origin != w.Known.Origin {
		epoch = fmt.Sprintf("; it is a new epoch, %s, and of what was seen the entries %d to %d are lost in it", newest.Origin, newest.Size+1, w.Known.Size)
	}
	return &Alarm{Kind: Rollback, Err: fmt.Errorf("rollback: %s is at size %d with root %v, and was at size %d with root %v: history that was published is gone%s",
		w.Address.Host, newest.Size, newest.Root, w.Known.Size, w.Known.Root, epoch)}
}

// follows checks that newest is the known checkpoint or proven to go on from it.
func (w *Watcher) follows(newest *merkle.Checkpoint, page *Page) *Alarm {
	switch {
	case w.Known.Origin == "":
		return nil
	case newest.Size < w.Known.Size:
		return w.rollback(newest)
	case newest.Origin != w.Known.Origin && newest.Origin == w.Key.First.Name():
		return &Alarm{Kind: Rollback, Err: fmt.Errorf("rollback: %s is back in the epoch %s, and was in %s", w.Address.Host, newest.Origin, w.Known.Origin)}
	case newest.Origin != w.Known.Origin && newest.Size == w.Known.Size:
		return &Alarm{Kind: Fork, Err: fmt.Errorf("fork: %s has two epochs at size %d, %s and %s: an epoch begins with an entry of its own",
			w.Address.Host, newest.Size, w.Known.Origin, newest.Origin)}
	case page.Consistency == nil:
		return &Alarm{Kind: Unproven, Err: fmt.Errorf("not proven: %s has size %d and withholds the proof from the known size %d", w.Address.Host, newest.Size, w.Known.Size)}
	}
	err := merkle.VerifyConsistency(w.Key.Hash, w.Known.Size, w.Known.Root, newest.Size, newest.Root, *page.Consistency)
	if err != nil {
		epoch := ""
		if newest.Origin != w.Known.Origin {
			epoch = fmt.Sprintf("; it is a new epoch, %s: some of what was seen is lost in it", newest.Origin)
		}
		return &Alarm{Kind: Fork, Err: fmt.Errorf("fork: %s is at size %d with root %v, which is not proven to go on from size %d with root %v%s: %w",
			w.Address.Host, newest.Size, newest.Root, w.Known.Size, w.Known.Root, epoch, err)}
	}
	return nil
}

// rootsAgree checks the list of roots: whoever follows next must miss nothing, and
// at the size of the checkpoint there is one root.
func (w *Watcher) rootsAgree(newest *merkle.Checkpoint, page *Page) *Alarm {
	since := w.Known.Size
	for _, root := range page.Roots {
		switch {
		case root.Seq <= since || root.Seq > newest.Size:
			return &Alarm{Kind: Listing, Err: fmt.Errorf("%s lists a root of size %d behind %d, under a checkpoint of size %d", w.Address.Host, root.Seq, since, newest.Size)}
		case root.Seq == newest.Size && root.Root != newest.Root:
			return &Alarm{Kind: Fork, Err: fmt.Errorf("fork: %s has two roots of size %d: %v is listed, %v is signed", w.Address.Host, root.Seq, root.Root, newest.Root)}
		}
		since = root.Seq
	}
	if page.Next != since {
		return &Alarm{Kind: Listing, Err: fmt.Errorf("%s lists roots up to size %d and says to go on from %d: roots would be missed or told twice",
			w.Address.Host, since, page.Next)}
	}
	return nil
}
