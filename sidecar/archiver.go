package sidecar

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// archiver ships the log to the archive in the background, every archive.interval. What fails there
// is tried again at the next one, and stops nothing but the archive.
type archiver struct {
	dir      string
	interval time.Duration
	writer   *archive.Writer
	head     func() *committer.Head
	lost     func(*committer.Loss)
	keep     uint64 // entries whose bodies stay; 0 = all
	retain   func(before uint64)
	log      *zap.Logger

	failures atomic.Uint64
	failing  atomic.Pointer[string] // why the newest attempt failed; nil: it did not
	caughtUp atomic.Int64           // Unix ms: everything that was durable then is archived

	cancel context.CancelFunc
	ended  chan struct{}
}

// newArchiver returns nil where no archive is configured.
func newArchiver(s *Sidecar) (*archiver, error) {
	if s.config.Archive.Dir == "" {
		return nil, nil
	}
	verifier, err := merkle.NewVerifier(s.identity.signer.Name(), s.identity.NodeKey.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	a := &archiver{
		dir: s.config.Archive.Dir, interval: s.config.Archive.Interval.Duration(), head: s.committer.Head,
		keep: uint64(s.config.Retention.Keep), retain: s.committer.Retain, lost: s.committer.EnterSafeMode, log: s.log.Named("archive"), ended: make(chan struct{}),
	}
	a.writer, err = archive.NewWriter(archive.WriterOptions{
		Store: s.store, Dir: a.dir, Signer: s.identity.signer, Verifier: verifier, FrontierAt: s.roots.prover.FrontierAt,
	})
	a.caughtUp.Store(time.Now().UnixMilli())
	return a, err
}

// start ships for as long as the sidecar runs.
func (a *archiver) start() {
	// The folder is made before the process is confined to what it needs.
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		a.log.Error("the folder of the archive cannot be made", zap.Error(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	go func() {
		defer close(a.ended)
		tick := time.NewTicker(a.interval)
		defer tick.Stop()
		for {
			a.ship(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// ship tries once, and notes what came of it.
func (a *archiver) ship(ctx context.Context) {
	began := time.Now().UnixMilli()
	err := a.writer.Ship(ctx)
	if err == nil {
		if a.failing.Swap(nil) != nil {
			a.log.Info("the archive is being written again", zap.Uint64("size", a.writer.Archived().Size))
		}
		a.caughtUp.Store(began)
		if size := a.writer.Archived().Size; a.keep > 0 && size > a.keep {
			a.retain(size - a.keep + 1) // what goes is archived, and older than what is kept
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	a.failures.Add(1)
	what := err.Error()
	if before := a.failing.Swap(&what); before == nil || *before != what {
		a.log.Error("the log is not archived: commits go on, and it is tried again", zap.Error(err), zap.Duration("every", a.interval))
	}
	if ahead := new(archive.AheadError); errors.As(err, &ahead) {
		loss := &committer.Loss{What: ahead.Error()}
		if ahead.Archived > ahead.Size {
			loss.First, loss.Last = ahead.Size+1, ahead.Archived
		}
		a.lost(loss)
	}
}

// stop ships what is left and ends, or gives up when ctx ends: the next start goes on where it was.
func (a *archiver) stop(ctx context.Context) error {
	a.cancel()
	last := make(chan struct{})
	go func() {
		defer close(last)
		<-a.ended
		a.ship(ctx)
	}()
	select {
	case <-last:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the last segment of the archive: %w", ctx.Err())
	}
}

// ArchiveStatus is what STATUS says of the archive.
type ArchiveStatus struct {
	Dir        string  `json:"dir"`
	Size       uint64  `json:"size"`        // entries that are archived
	LagEntries uint64  `json:"lag_entries"` // published and not archived
	LagS       float64 `json:"lag_s"`       // since everything was
	Segments   uint64  `json:"segments"`
	Bytes      uint64  `json:"bytes"`
	Failures   uint64  `json:"failures"`
	Error      string  `json:"error,omitempty"` // why the newest attempt failed
}

func (a *archiver) status() *ArchiveStatus {
	archived, head := a.writer.Archived(), a.head()
	s := &ArchiveStatus{
		Dir: a.dir, Size: archived.Size, LagEntries: head.Size - min(archived.Size, head.Size),
		Segments: archived.Segments, Bytes: archived.Bytes, Failures: a.failures.Load(),
	}
	why := a.failing.Load()
	if why != nil {
		s.Error = *why
	}
	if s.LagEntries > 0 || why != nil {
		s.LagS = float64(time.Now().UnixMilli()-a.caughtUp.Load()) / 1e3
	}
	return s
}
