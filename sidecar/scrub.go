package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// scrubber reads what is on disk again in the background, every scrub.interval, at scrub.bytes_per_second
// at most: the tables and WALs of the log, whose records it hashes and whose roots it computes again from the
// first on, every row of the state, which it holds against the log, the checksums of all tables, the head file
// and the meta file. It reads files and not the databases, so that no cache loses what the hot path needs, and
// nobody waits for it. What it finds puts the ledger into safe mode.
type scrubber struct {
	store      *store.Store
	frontierAt func(size uint64) (merkle.Frontier, error) // for a log that has forgotten its beginning
	lost       func(*committer.Loss)
	room       func() bool // for a descriptor more for each table
	interval   time.Duration
	rate       atomic.Int64 // bytes a second
	log        *zap.Logger

	bytes     atomic.Uint64
	passes    atomic.Uint64
	completed atomic.Int64 // Unix ms of the end of the newest pass that was complete; 0 = none yet
	errors    atomic.Uint64
	entries   atomic.Uint64 // verified by the pass under way, or by the newest one
	rows      atomic.Uint64 // of the state, held against the log
	owed      time.Duration // that reading was faster than it may be

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// scrubFirst is how long after its start a sidecar begins the first pass, or its interval where that
// is shorter.
const scrubFirst = time.Minute

// scrubPause is the shortest pause that is made for the rate.
const scrubPause = 20 * time.Millisecond

// startScrubber returns nil where scrub.interval is 0, and for a micronode, which has nothing on disk.
func startScrubber(s *Sidecar) *scrubber {
	if s.config.Scrub.Interval == 0 || s.config.Profile == Micronode {
		return nil
	}
	sc := &scrubber{
		store: s.store, frontierAt: s.roots.prover.FrontierAt, lost: s.committer.EnterSafeMode, log: s.log.Named("scrub"),
		room:     func() bool { return s.descriptorsFor(s.store.Metrics()) },
		interval: s.config.Scrub.Interval.Duration(),
	}
	sc.rate.Store(int64(s.config.Scrub.BytesPerSecond))
	ctx, cancel := context.WithCancel(context.Background())
	sc.cancel = cancel
	sc.ended.Go(func() { sc.run(ctx) })
	return sc
}

// run makes a pass every interval; one that takes longer is followed by the next at once.
func (sc *scrubber) run(ctx context.Context) {
	timer := time.NewTimer(min(sc.interval, scrubFirst))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		if err := sc.pass(ctx); ctx.Err() != nil {
			return
		} else if err != nil {
			sc.found(err)
		} else {
			sc.passes.Add(1)
			sc.completed.Store(time.Now().UnixMilli())
			sc.log.Debug("scrub complete", zap.Uint64("entries", sc.entries.Load()), zap.Duration("took", time.Since(began)))
		}
		timer.Reset(max(sc.interval-time.Since(began), scrubPause))
	}
}

// pass reads everything once and returns the first thing that is wrong. Where rows of the state cannot be
// read, the file that is to blame is looked for.
func (sc *scrubber) pass(ctx context.Context) error {
	read := func(n int) error { return sc.wait(ctx, n) }
	wrong, err := sc.scrubLog(read)
	if err != nil {
		return err
	}
	if err := sc.store.ScrubState(read); err != nil {
		if store.IsDamage(err) {
			return &stateDamage{err}
		}
		return err
	}
	if wrong != nil && store.IsDamage(wrong) {
		sc.store.DiscardState(wrong)
		return &stateDamage{wrong}
	}
	return errors.Join(wrong, sc.store.ScrubFiles())
}

// stateDamage is damage of what is derived, which the next start makes again.
type stateDamage struct{ error }

// scrubLog computes every root again from what the files of the log hold, and holds the rows of the state
// against it; wrong is what is the matter with those. It ends behind what was durable when it began, once that
// is done.
func (sc *scrubber) scrubLog(read func(int) error) (wrong, err error) {
	tail, err := sc.store.Last()
	if err != nil {
		return nil, err
	}
	sc.entries.Store(0)
	var p *scrubPass
	for commit, err := range sc.store.ScrubLog(read) {
		if err == nil && p == nil {
			p, err = sc.begin(commit.First, tail.Size, read)
		}
		if err == nil {
			err = p.commit(commit)
		}
		if err != nil {
			return nil, errors.Join(err, p.end())
		}
		sc.entries.Add(uint64(commit.Count))
		if p.sketch == nil && commit.Last() >= tail.Size {
			break
		}
	}
	if p == nil {
		return nil, nil
	}
	return p.wrong, p.end()
}

// wait keeps to the rate: what was read since is paid for in pauses.
func (sc *scrubber) wait(ctx context.Context, n int) error {
	sc.bytes.Add(uint64(n))
	sc.owed += time.Duration(float64(n) / float64(sc.rate.Load()) * float64(time.Second))
	if sc.owed < scrubPause {
		return ctx.Err()
	}
	began := time.Now()
	timer := time.NewTimer(sc.owed)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	sc.owed -= time.Since(began)
	return nil
}

// found counts and tells what a pass found. A disk that fails to read proves nothing: the next pass
// tries again.
func (sc *scrubber) found(err error) {
	sc.errors.Add(1)
	damage, derived := new(store.Damage), new(stateDamage)
	switch {
	case errors.As(err, &derived):
		sc.log.Error("the derived state is damaged", zap.Error(derived.error))
		sc.lost(&committer.Loss{What: fmt.Sprintf("a scrub found the derived state damaged (%v): %s", derived.error, sc.remedy())})
	case errors.As(err, &damage):
		last := damage.Seq
		if tail, err := sc.store.Last(); err == nil {
			last = max(last, tail.Size)
		}
		sc.log.Error("the log is damaged", zap.Error(damage.Err), zap.Uint64("seq", damage.Seq))
		sc.lost(&committer.Loss{First: damage.Seq, Last: last, What: fmt.Sprintf(
			"a scrub found the log damaged at sequence number %d: %v", damage.Seq, damage.Err)})
	case store.IsDamage(err):
		sc.log.Error("a file of the home is damaged", zap.Error(err))
		sc.lost(&committer.Loss{What: fmt.Sprintf("a scrub found a file of the home damaged: %v", err)})
	default:
		sc.log.Error("the scrub could not read everything: it is tried again", zap.Error(err), zap.Duration("every", sc.interval))
	}
}

// remedy says what makes a sound state again.
func (sc *scrubber) remedy() string {
	if tail, err := sc.store.Last(); err == nil && tail.First > 1 {
		return "the log has forgotten its beginning, so restore the ledger from its archive or a snapshot"
	}
	return "restart the sidecar, which makes it again from the log"
}

// stop ends the scrub, amid a pass where one is under way.
func (sc *scrubber) stop() {
	sc.cancel()
	sc.ended.Wait()
}

// scrubFigures are the figures of the scrub. A sidecar without one has none.
type scrubFigures struct{ sidecar *Sidecar }

var (
	scrubBytes     = describe("ledger_scrub_bytes_total", "Bytes read again from disk by the scrub.")
	scrubPasses    = describe("ledger_scrub_passes_total", "Times that the scrub has read everything and found nothing wrong.")
	scrubErrors    = describe("ledger_scrub_errors_total", "Passes of the scrub that ended at something damaged or unreadable.")
	scrubCompleted = describe("ledger_scrub_completed_timestamp_seconds", "Unix time at which the scrub had last read everything and found nothing wrong; 0 before.")
	scrubRows      = describe("ledger_scrub_rows_total", "Rows of the derived state that the scrub has held against the log.")
	scrubEntries   = describe("ledger_scrub_size_entries", "Entries that the pass under way has verified, or that the newest did.")
)

// Describe sends nothing, as that of gauges does.
func (f *scrubFigures) Describe(chan<- *prometheus.Desc) {}

// Collect reads all figures.
func (f *scrubFigures) Collect(out chan<- prometheus.Metric) {
	sc := f.sidecar.scrub
	if sc == nil {
		return
	}
	for _, m := range []struct {
		desc  *prometheus.Desc
		kind  prometheus.ValueType
		value float64
	}{
		{scrubBytes, prometheus.CounterValue, float64(sc.bytes.Load())},
		{scrubPasses, prometheus.CounterValue, float64(sc.passes.Load())},
		{scrubErrors, prometheus.CounterValue, float64(sc.errors.Load())},
		{scrubCompleted, prometheus.GaugeValue, float64(sc.completed.Load()) / 1e3},
		{scrubEntries, prometheus.GaugeValue, float64(sc.entries.Load())},
		{scrubRows, prometheus.CounterValue, float64(sc.rows.Load())},
	} {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value)
	}
}
