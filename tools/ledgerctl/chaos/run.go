package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/spawn"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// Options say what is done.
type Options struct {
	Attack   string        // one of Attacks
	Resume   bool          // tls-storm: handshakes resume sessions
	Dir      string        // folder for the home of the sidecar
	Duration time.Duration // of the attack, in Durations
	Within   time.Duration // how long a recovery may take, and at the end what is still to be answered
	Seed     uint64        // of the writers and of the attack's moments
	Stderr   io.Writer     // takes the log of the sidecar, at level error
	Progress func(Progress)
	OwnDisk  bool // disk-fill: Dir is on a file system that nobody else uses
}

// Bounds of Options.Duration: the journals of a minute take some 100 MB.
const (
	DurationMin = time.Second
	DurationMax = time.Minute
)

// Progress is how far a run is.
type Progress struct {
	Elapsed time.Duration // of the attack
	Acked   int           // requests, so far
}

const (
	writerCount   = 4
	writerPause   = 2 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// run is one attack on one sidecar.
type run struct {
	options Options
	random  *rand.Rand
	server  *spawn.Server
	writers *writers.Load   // those that have to be served
	others  []*writers.Load // that the attack makes
	figures *figures
	until   time.Time // the attack's time is over then

	report       Report
	notRecovered error // the first time
}

// Run attacks, and returns what came of it. An error says that there is no verdict.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	i := slices.IndexFunc(attacks(), func(a attack) bool { return a.name == o.Attack })
	if i < 0 {
		return nil, fmt.Errorf("there is no attack %q: it is %s", o.Attack, strings.Join(Attacks(), ", "))
	}
	a := attacks()[i]
	r, err := newRun(o, &a)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.server.Remove()) }()
	if err := r.attack(ctx, &a); err != nil {
		return nil, fmt.Errorf("chaos %s: %w", a.name, err)
	}
	return &r.report, nil
}

// newRun makes the home of the sidecar, and configures it.
func newRun(o Options, a *attack) (*run, error) {
	server, err := spawn.New(spawn.Options{Dir: o.Dir, Stderr: o.Stderr, Env: ownEnvironment()})
	if err != nil {
		return nil, err
	}
	r := &run{
		options: o, random: rand.New(rand.NewPCG(o.Seed, 1)), server: server, writers: writers.New(o.Seed, writerCount).At(server.Home),
		report: Report{Attack: a.name, Resume: o.Resume, Seed: o.Seed, Within: o.Within.Seconds()},
	}
	r.writers.Pause = writerPause
	server.Args = []string{"--profile", "macronode", "--https", "127.0.0.1:0", "--log-level", "error", "--config", r.configFile()}
	if err := r.configure(a.config); err != nil {
		return nil, errors.Join(err, server.Remove())
	}
	return r, nil
}

// ownEnvironment is the environment without what configures a sidecar: one that works elsewhere may be
// configured by it, and its archive and its keys are none of ours.
func ownEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "RON_LEDGER_") })
}

func (r *run) configFile() string { return filepath.Join(r.server.Home, "chaos.toml") }

// configure replaces the configuration file of the sidecar.
func (r *run) configure(text string) error {
	next := r.configFile() + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure the sidecar: %w", err)
	}
	if err := os.Rename(next, r.configFile()); err != nil {
		return fmt.Errorf("configure the sidecar: %w", err)
	}
	return nil
}

// attack starts the sidecar and the writers, lets the attack do its worst, and judges what is left.
func (r *run) attack(ctx context.Context, a *attack) error {
	if err := r.server.Start(ctx); err != nil {
		return err
	}
	r.figures = newFigures(r.server.Client("ledgerctl chaos"), a.moved)
	defer r.figures.close()
	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	var all sync.WaitGroup
	defer all.Wait()
	defer stopWriting()
	all.Go(func() { r.writers.Run(writing) })
	if err := r.served(ctx, time.Now()); err != nil {
		return fmt.Errorf("before the attack: %w", err)
	}
	if err := r.figures.begin(ctx); err != nil {
		return err
	}
	if err := r.during(ctx, a); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	stopWriting()
	all.Wait()
	return r.judge(ctx)
}

// during lets the attack run for its time, beside what watches it.
func (r *run) during(ctx context.Context, a *attack) error {
	began := time.Now()
	r.until = began.Add(r.options.Duration)
	watching, end := context.WithCancel(ctx)
	defer end()
	var watchers sync.WaitGroup
	watchers.Go(func() { r.figures.watch(watching) })
	watchers.Go(func() { r.tell(watching) })
	var amid error
	if a.amid {
		watchers.Go(func() { amid = r.askAmid(ctx) })
	}
	err := a.do(ctx, r)
	r.report.Seconds = time.Since(began).Seconds()
	end()
	watchers.Wait()
	if a.amid && err == nil {
		r.check("served amid it", amid, "every writer, at half time")
	}
	return err
}

// goesOn reports whether the attack has time left.
func (r *run) goesOn(ctx context.Context) bool { return ctx.Err() == nil && time.Now().Before(r.until) }

// lasting returns a context that ends with the time of the attack.
func (r *run) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, r.until)
}

// tell reports progress until ctx ends.
func (r *run) tell(ctx context.Context) {
	if r.options.Progress == nil {
		return
	}
	began := time.Now()
	for pause(ctx, progressEvery) {
		count, _ := r.writers.Count()
		r.options.Progress(Progress{time.Since(began), count.Acked})
	}
}

// askAmid asks at half time whether requests that are made then are answered.
func (r *run) askAmid(ctx context.Context) error {
	if !pause(ctx, r.options.Duration/2) {
		return nil // interrupted
	}
	return r.served(ctx, time.Now())
}

// served waits, for as long as a recovery may take, until every writer has an answer to a request made after since.
func (r *run) served(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, since.Add(r.options.Within))
	defer cancel()
	return r.writers.Served(ctx, since)
}

// recovered waits until every writer is served again after the attack let go at since.
func (r *run) recovered(ctx context.Context, since time.Time) {
	err := r.served(ctx, since)
	if ctx.Err() != nil {
		return // interrupted
	}
	r.report.Recoveries++
	r.report.RecoveredAfter = max(r.report.RecoveredAfter, time.Since(since).Seconds())
	if err != nil {
		r.notRecovered = cmp.Or(r.notRecovered, fmt.Errorf("the %d. time: %w", r.report.Recoveries, err))
	}
}

// between returns a moment between two durations.
func (r *run) between(least, most time.Duration) time.Duration {
	return least + time.Duration(r.random.Int64N(int64(most-least)+1))
}

// pause waits, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
