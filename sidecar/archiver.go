package sidecar

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/archive/bucket"
	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// archiver ships the log to the archive in the background, every archive.interval or, with
// archive.mode = sync, behind each commit. What fails there is tried again, and stops nothing but the
// archive, and in sync the answers that wait for it.
type archiver struct {
	place    string
	sync     *syncing // nil: commits do not wait for the archive
	interval time.Duration
	objects  archive.Objects
	nudge    chan struct{} // asks to ship before interval is over
	writer   *archive.Writer
	head     func() *committer.Head
	lost     func(*committer.Loss)
	keep     uint64 // entries whose bodies stay; 0 = all
	retain   func(before uint64)
	log      *zap.Logger

	held     heldTerm
	hold     func(heldTerm) error
	failures atomic.Uint64
	fenced   atomic.Bool // another sidecar has taken the ledger over
	requests *archiveRequests
	failing  atomic.Pointer[string] // why the newest attempt failed; nil: it did not
	caughtUp atomic.Int64           // Unix ms: everything that was durable then is archived

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// newArchiver returns nil where no archive is configured.
func newArchiver(s *Sidecar) (*archiver, error) {
	config := &s.config.Archive
	if config.place() == "" {
		return nil, nil
	}
	verifier, err := merkle.NewVerifier(s.identity.signer.Name(), s.identity.NodeKey.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	a := &archiver{
		place: config.place(), interval: config.Interval.Duration(), nudge: make(chan struct{}, 1), head: s.committer.Head, requests: s.metrics.archive,
		keep: uint64(s.config.Retention.Keep), retain: s.committer.Retain, lost: s.committer.EnterSafeMode, log: s.log.Named("archive"), sync: s.syncing,
	}
	if a.objects, err = openArchive(a.place, config.Credentials, a.requests.observe); err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	if a.held, err = s.home.term(); err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	a.hold = s.home.holdTerm
	options := archive.WriterOptions{
		Store: s.store, Objects: a.objects, Term: a.held.term, Sync: a.sync != nil, Signer: s.identity.signer, Verifier: verifier, FrontierAt: s.roots.prover.FrontierAt,
		// In sync several uploads are under way, and the last run may not have seen their end.
		Renew: a.held.sync && !a.held.unused, Claim: a.held.claim, Hold: a.renew,
	}
	if a.sync != nil {
		options.Uploads, options.Shipped, options.LazyHead = a.sync.uploads, a.uploaded, true
	}
	a.writer, err = archive.NewWriter(options)
	a.caughtUp.Store(time.Now().UnixMilli())
	return a, err
}

// start ships for as long as the sidecar runs. In sync it returns when the archive has what the log has.
func (a *archiver) start(starting context.Context) error {
	// The folder is made before the process is confined to what it needs.
	if !strings.HasPrefix(a.place, bucket.Scheme) {
		if err := os.MkdirAll(a.place, 0o700); err != nil {
			a.log.Error("the folder of the archive cannot be made", zap.Error(err))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	if a.sync == nil && a.held.sync {
		if err := a.catchUp(starting); err != nil {
			return err
		}
		// Who takes over meanwhile and has not seen that sync is left has put its fence before.
		if err := a.writer.Confirm(starting); err != nil {
			return fmt.Errorf("leave archive.mode = sync: %w", err)
		}
		a.held = heldTerm{term: a.held.term}
		if err := a.hold(a.held); err != nil {
			return err
		}
	}
	if a.sync == nil {
		a.running.Go(func() {
			a.ship(ctx)
			poll(ctx, a.interval, a.nudge, func() { a.ship(ctx) })
		})
		return nil
	}
	a.held.sync, a.held.unused = true, false
	if err := a.hold(a.held); err != nil {
		return err
	}
	if err := a.catchUp(starting); err != nil {
		return err
	}
	a.running.Go(func() { a.shipEach(ctx) })
	a.running.Go(func() { a.watchStall(ctx) })
	return nil
}

// renew keeps a term that the writer has begun for itself, or is about to.
func (a *archiver) renew(term uint64, claim [16]byte) error {
	held := heldTerm{term: term, sync: a.held.sync, claim: claim}
	if err := a.hold(held); err != nil {
		return err
	}
	a.held = held
	return nil
}

// ship tries once, and notes what came of it.
func (a *archiver) ship(ctx context.Context) (done bool) {
	began := time.Now()
	err := a.writer.Ship(ctx)
	if err == nil {
		a.shipped(a.writer.Archived().Size, began)
		return true
	}
	a.failedUnlessEnding(err)
	return false
}

// failedUnlessEnding is failed where an end is not why.
func (a *archiver) failedUnlessEnding(err error) {
	if !errors.Is(err, context.Canceled) {
		a.failed(err)
	}
}

// shipped notes that the archive holds so many entries, and all that was durable at a time.
func (a *archiver) shipped(size uint64, all time.Time) {
	a.written()
	a.caughtUp.Store(max(a.caughtUp.Load(), all.UnixMilli()))
	if a.keep > 0 && size > a.keep {
		a.retain(size - a.keep + 1) // what goes is archived, and older than what is kept
	}
}

// written notes that the archive was written.
func (a *archiver) written() {
	if a.failing.Load() != nil && a.failing.Swap(nil) != nil {
		a.log.Info("the archive is being written again")
	}
}

// failed notes why the archive was not written.
func (a *archiver) failed(err error) {
	a.failures.Add(1)
	what := err.Error()
	before := a.failing.Swap(&what)
	if fenced := new(archive.FencedError); errors.As(err, &fenced) {
		first := !a.fenced.Swap(true)
		if first {
			a.readOnly(&committer.Loss{What: fenced.Error()})
		}
		if first || before == nil || *before != what { // what was under way has ended: now it is the whole truth
			a.log.Error("another sidecar has taken this ledger over: it is read-only here for good",
				zap.Uint64("goes_on_behind", fenced.Ended), zap.Uint64("size", fenced.Size), zap.Error(err))
		}
		return
	}
	if before == nil || *before != what {
		a.log.Error("the log is not archived: it is tried again", zap.Error(err))
	}
	if ahead := new(archive.AheadError); errors.As(err, &ahead) {
		loss := &committer.Loss{What: ahead.Error()}
		if ahead.Archived > ahead.Size {
			loss.First, loss.Last = ahead.Size+1, ahead.Archived
		}
		a.readOnly(loss)
	}
}

// readOnly puts the ledger into safe mode. What waits for the archive will never be told.
func (a *archiver) readOnly(loss *committer.Loss) {
	a.lost(loss)
	if a.sync != nil {
		a.sync.giveUp(wire.ReasonSafeMode)
	}
}

// stop ships what is left and ends, or gives up when ctx ends: the next start goes on where it was.
func (a *archiver) stop(ctx context.Context) error {
	a.cancel()
	last := make(chan struct{})
	go func() {
		defer close(last)
		a.running.Wait()
		if a.fenced.Load() || !a.ship(ctx) {
			return
		}
		if err := a.writer.Settle(ctx); err != nil {
			a.failed(err)
		}
	}()
	select {
	case <-last:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the last segment of the archive: %w", ctx.Err())
	}
}
