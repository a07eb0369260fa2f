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
	"sync"
	"sync/atomic"
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
	slowNs  atomic.Int64 // 0: no commit is too slow
	dir     string       // empty: no files
	slow    chan SlowRequest
	sidecar *Sidecar

	mu       sync.Mutex
	recorder *trace.FlightRecorder // nil: none runs
}

func newTraceRecorder() *trace.FlightRecorder {
	return trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: traceAge, MaxBytes: traceBytes})
}

func startFlightRecorder(s *Sidecar) *flightRecorder {
	f := &flightRecorder{slow: make(chan SlowRequest, 1), sidecar: s}
	if s.home.durable {
		f.dir = s.home.path(tracesFolder)
	}
	f.set(s.config.Trace.SlowCommit.Duration())
	s.watchers.Go(f.run)
	return f
}

// set says from when on a commit is too slow; 0 is never, and then nothing is recorded.
func (f *flightRecorder) set(threshold time.Duration) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case threshold == 0 && f.recorder != nil:
		f.recorder.Stop()
		f.recorder = nil
	case threshold > 0 && f.recorder == nil && f.dir != "":
		recorder := newTraceRecorder()
		if err := recorder.Start(); err != nil { // the process is traced by someone else
			f.sidecar.log.Warn("slow commits are told, but not traced", zap.Error(err))
			break
		}
		f.recorder = recorder
	}
	f.slowNs.Store(int64(threshold))
}

// running returns the recorder that runs; nil where there is none.
func (f *flightRecorder) running() *trace.FlightRecorder {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.recorder
}

// observe takes a commit. It never blocks: of commits that are slow at once, the first is told.
func (f *flightRecorder) observe(info *committer.CommitInfo) {
	if f == nil || f.slowNs.Load() == 0 {
		return
	}
	r, ok := slowRequest(info)
	if !ok || r.Total <= f.slowNs.Load() {
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
		zap.Duration("archive", time.Duration(r.Archive)), zap.Duration("answer", time.Duration(r.Answer)))
	recorder := f.running()
	if recorder == nil || f.sidecar.disk.low.Load() {
		log.Warn("a commit was slow")
		return
	}
	file, err := f.write(recorder)
	log.Warn("a commit was slow", zap.String("trace", file), zap.Error(err))
}

// write writes what the recorder holds to a file, and removes the oldest ones.
func (f *flightRecorder) write(recorder *trace.FlightRecorder) (path string, err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(f.dir, "slow-"+time.Now().UTC().Format("20060102T150405.000")+".trace")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = recorder.WriteTo(file)
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
	recorder := f.running()
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

func (f *flightRecorder) stop() { f.set(0) }
