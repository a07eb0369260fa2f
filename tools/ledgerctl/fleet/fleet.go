package fleet

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// Options says how a fleet is followed.
type Options struct {
	Dir      string // state folder, made where it is missing
	HTTP     *http.Client
	Interval time.Duration // between two looks at one ledger
	Parallel int           // looks at once, 1 or more
	// Write puts a file in its place whole or not at all, durably.
	Write func(path string, text []byte) error
	// Changed is told when a ledger gets into another state, by the loop of that ledger.
	Changed func(row Row, was string)
	// Failed is told what of the fleet's own could not be done, such as writing its files.
	Failed func(error)
}

// Fleet follows ledgers. Its methods may be called from any goroutine.
type Fleet struct {
	options Options
	turns   chan struct{} // one for each look that may go on
	running sync.WaitGroup

	mu      sync.Mutex
	members map[Target]*member
}

// New returns a fleet without ledgers.
func New(o Options) (*Fleet, error) {
	if o.Interval <= 0 || o.Parallel < 1 {
		return nil, fmt.Errorf("follow a fleet: an interval of %v, %d looks at once", o.Interval, o.Parallel)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	return &Fleet{options: o, turns: make(chan struct{}, o.Parallel), members: map[Target]*member{}}, nil
}

// Follow begins to follow those targets that it does not follow yet, until ctx ends, and ends with those that
// are not among them. Files of ledgers that it follows no more stay. On error nothing is changed.
func (f *Fleet) Follow(ctx context.Context, targets []Target) error {
	if err := checkTargets(targets); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	added, err := f.add(targets)
	if err != nil {
		return err
	}
	for target, m := range f.members {
		if !slices.Contains(targets, target) {
			m.stop()
			delete(f.members, target)
		}
	}
	for _, m := range added {
		f.members[m.target] = m
		following, stop := context.WithCancel(ctx)
		m.stop = stop
		f.running.Go(func() { f.follow(following, m) })
	}
	return nil
}

// Once looks at each target until it is ok, refuted or silent, and returns.
func (f *Fleet) Once(ctx context.Context, targets []Target) error {
	if err := checkTargets(targets); err != nil {
		return err
	}
	f.mu.Lock()
	added, err := f.add(targets)
	for _, m := range added {
		f.members[m.target] = m
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for _, m := range added {
		f.running.Go(func() {
			for range silentAfter {
				if answered := f.look(ctx, m); answered {
					return
				}
			}
		})
	}
	f.running.Wait()
	return ctx.Err()
}

// add makes the members of those targets that have none.
func (f *Fleet) add(targets []Target) (added []*member, err error) {
	for _, t := range targets {
		if f.members[t] == nil {
			m, err := newMember(t, &f.options)
			if err != nil {
				return nil, err
			}
			added = append(added, m)
		}
	}
	return added, nil
}

// Wait waits until nothing is followed any more, which the end of Follow's ctx brings about.
func (f *Fleet) Wait() { f.running.Wait() }

// follow looks at a ledger for as long as ctx lasts, once an interval.
func (f *Fleet) follow(ctx context.Context, m *member) {
	wait := phase(m.target.URL, f.options.Interval)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := time.Now()
		answered := f.look(ctx, m)
		wait = max(f.options.Interval-time.Since(began), 0)
		if !answered && m.first() {
			wait = f.options.Interval / 4
		}
	}
}

// first reports whether the look that has failed was the first one.
func (m *member) first() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures < silentAfter
}

// phase is when in the interval a ledger is looked at: always at the same moment, so that a restart of the
// monitor lengthens nothing.
func phase(url string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	_, _ = h.Write([]byte(url))
	return time.Duration(h.Sum64() % uint64(interval))
}

// look looks once, when it is its turn, and reports whether there was an answer, good or bad.
func (f *Fleet) look(ctx context.Context, m *member) (answered bool) {
	select {
	case f.turns <- struct{}{}:
		defer func() { <-f.turns }()
	case <-ctx.Done():
		return true
	}
	within, cancel := context.WithTimeout(ctx, f.options.Interval/4)
	defer cancel()
	err := m.watcher.Look(within)
	if ctx.Err() != nil {
		return true // this is over, and the answer says nothing
	}
	var refuted *monitor.Alarm
	alarmed := errors.As(err, &refuted)
	row, was := m.looked(err, time.Now())
	if alarmed && lasting(refuted.Kind) && was != row.State {
		if err := f.options.Write(m.base+".alarm", evidence(refuted)); err != nil {
			f.options.Failed(fmt.Errorf("keep the evidence against %s: %w", m.target.URL, err))
		}
	}
	if row.State != was {
		f.options.Changed(row, was)
	}
	return err == nil || alarmed
}

// Rows returns what is known of all ledgers: what is wrong first, then by name and address.
func (f *Fleet) Rows() []Row {
	var rows []Row
	for _, m := range f.all() {
		row, _ := m.now()
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if a.rank() != b.rank() {
			return a.rank() - b.rank()
		}
		return strings.Compare(a.Name+" "+a.URL, b.Name+" "+b.URL)
	})
	return rows
}

func (r *Row) rank() int {
	switch {
	case r.Refuted():
		return 0
	case r.State == Silent:
		return 1
	}
	return 2
}

func (f *Fleet) all() (members []*member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		members = append(members, m)
	}
	return members
}
