package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
)

const (
	tracesFolder = "traces"
	tracesKept   = 8                // files
	tracePause   = time.Minute      // between two of them
	traceBytes   = 8 << 20          // of memory, about
	traceAge     = 5 * time.Second  // what the recorder holds, unless it is more bytes
	traceMax     = 60 * time.Second // of a trace or a profile that was asked for
)

// flightRecorder keeps an execution trace of the last seconds in memory, and writes it to
// HOME/traces when a commit takes longer than trace.slow_commit: a file a minute at most, the
// newest eight. A micronode writes none. It costs memory and some processor time all along.
type flightRecorder struct {
	slowNs   int64
	dir      string // empty: no files
	recorder *trace.FlightRecorder
	slow     chan SlowRequest
	sidecar  *Sidecar
}

func newTraceRecorder() *trace.FlightRecorder {
	return trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: traceAge, MaxBytes: traceBytes})
}

// startFlightRecorder returns nil where no commit is too slow.
func startFlightRecorder(s *Sidecar) *flightRecorder {
	threshold := s.config.Trace.SlowCommit.Duration()
	if threshold == 0 {
		return nil
	}
	f := &flightRecorder{slowNs: int64(threshold), slow: make(chan SlowRequest, 1), sidecar: s}
	if s.home.durable {
		f.dir = s.home.path(tracesFolder)
		f.recorder = newTraceRecorder()
		if err := f.recorder.Start(); err != nil { // the process is traced by someone else
			s.log.Warn("slow commits are not traced", zap.Error(err))
			f.recorder = nil
		}
	}
	s.watchers.Go(f.run)
	return f
}

// observe takes a commit. It never blocks: of commits that are slow at once, the first is told.
func (f *flightRecorder) observe(info *committer.CommitInfo) {
	if f == nil {
		return
	}
	r, ok := slowRequest(info)
	if !ok || r.Total <= f.slowNs {
		return
	}
	f.sidecar.metrics.slowCommits.Inc()
	select {
	case f.slow <- r:
	default:
	}
}

// run tells of slow commits, one in tracePause.
func (f *flightRecorder) run() {
	for {
		select {
		case <-f.sidecar.ctx.Done():
			return
		case r := <-f.slow:
			f.tell(&r)
		}
		select {
		case <-f.sidecar.ctx.Done():
			return
		case <-time.After(tracePause):
		}
	}
}

func (f *flightRecorder) tell(r *SlowRequest) {
	log := f.sidecar.log.With(
		zap.Uint64("connection", r.Connection), zap.Uint64("request", r.Request), zap.Uint32("uid", r.UID), zap.Int("commit_entries", r.Entries),
		zap.Duration("total", time.Duration(r.Total)), zap.Duration("admission", time.Duration(r.Admission)), zap.Duration("check", time.Duration(r.Check)),
		zap.Duration("queue", time.Duration(r.Queue)), zap.Duration("commit", time.Duration(r.Commit)), zap.Duration("sync", time.Duration(r.Sync)),
		zap.Duration("answer", time.Duration(r.Answer)))
	if f.recorder == nil || f.sidecar.disk.low.Load() {
		log.Warn("a commit was slow")
		return
	}
	file, err := f.write()
	log.Warn("a commit was slow", zap.String("trace", file), zap.Error(err))
}

// write writes what the recorder holds to a file, and removes the oldest ones.
func (f *flightRecorder) write() (path string, err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(f.dir, "slow-"+time.Now().UTC().Format("20060102T150405.000")+".trace")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.recorder.WriteTo(file)
	return path, errors.Join(err, file.Close(), f.prune())
}

func (f *flightRecorder) prune() error {
	entries, err := os.ReadDir(f.dir)
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), "slow-") })
	for len(entries) > tracesKept { // by name, which is by time
		err = errors.Join(err, os.Remove(filepath.Join(f.dir, entries[0].Name())))
		entries = entries[1:]
	}
	return err
}

// dump writes an execution trace: of what is still held and the time from now on, or of that
// time alone where nothing is recorded all along.
func (f *flightRecorder) dump(ctx context.Context, took time.Duration, w io.Writer) error {
	var recorder *trace.FlightRecorder
	if f != nil {
		recorder = f.recorder
	}
	if recorder == nil {
		recorder = newTraceRecorder()
		if err := recorder.Start(); err != nil {
			return fmt.Errorf("start tracing: %w", err)
		}
		defer recorder.Stop()
	}
	if err := waitFor(ctx, took); err != nil {
		return err
	}
	_, err := recorder.WriteTo(w)
	return err
}

func waitFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (f *flightRecorder) stop() {
	if f != nil && f.recorder != nil {
		f.recorder.Stop()
	}
}
