package sidecartest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

const (
	// outageLimit is memory.limit of the process, and outageRSS what it may have in all: the limit, and its own text, of
	// which some 40 MiB lie in memory. What waits for the archive is not in it: it lies in the log.
	outageLimit = 64 << 20
	outageRSS   = outageLimit + 40<<20
	// outageBusy is how soon an append has to be told busy while nothing reaches the archive. How long this machine let
	// everybody wait comes on top.
	outageBusy = time.Second
	// outageBack is how soon all has to go on behind an outage.
	outageBack = 2 * time.Minute
)

// TestOutage takes the object store away under a load of some 200 requests a second, for OUTAGE, else 6s: it refuses,
// hangs, breaks connections off. In async the ledger goes on and catches up; in sync it answers busy at once and goes on by
// itself. Memory is bounded, and nothing is lost.
func TestOutage(t *testing.T) {
	duration := 6 * time.Second
	if text := os.Getenv("OUTAGE"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []string{"async", "sync"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			o := newOutage(t, mode, duration)
			under(t, o.load, o.run)
			o.check()
		})
	}
}

// outage is a ledger whose object store goes and comes back.
type outage struct {
	t        *testing.T
	mode     string
	duration time.Duration
	way      *way
	process  *Process
	load     *writers.Load
	rss      *rssMeter
	stalls   *stallMeter
	peak     float64 // bytes of requests in flight
	slowest  time.Duration
	refused  int
}

func newOutage(t *testing.T, mode string, duration time.Duration) *outage {
	o := &outage{t: t, mode: mode, duration: duration, way: newWay(t, objectStore(t), 1, 0)}
	home := ShortDir(t)
	o.process = StartProcessEnv(t, Build(t), home, o.way.archived(archiveURL, "RON_LEDGER_ARCHIVE_MODE="+mode, "RON_LEDGER_ARCHIVE_INTERVAL=1s",
		"RON_LEDGER_STORE_MEMTABLE_BYTES=1MiB", "RON_LEDGER_STORE_CACHE_BYTES=4MiB", "RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=4096",
		"RON_LEDGER_LIMITS_INFLIGHT_BYTES=16MiB", "RON_LEDGER_IDEMPOTENCY_FILTER_BYTES=1MiB", fmt.Sprint("RON_LEDGER_MEMORY_LIMIT=", outageLimit)))
	o.load = writers.New(5, 4).At(home)
	o.load.Pause, o.load.Patience, o.load.Entries, o.load.Memo = 20*time.Millisecond, duration+5*time.Minute, 4, 300
	o.rss, o.stalls = newRSSMeter(t, o.process.PID()), newStallMeter(t)
	return o
}

// run is what happens under the load.
func (o *outage) run() {
	t := o.t
	awaitAcks(t, o.load, 200)
	o.awaitLag(0)
	quietFor := max(o.duration/10, time.Second)
	quiet := o.rate(quietFor)
	before := o.rss.restart()
	o.way.cut.Store(true)
	began, acked := time.Now(), o.acked()
	if o.mode == "sync" {
		awaitOutput(t, o.process, "commits wait for the archive")
		acked = o.acked()
	}
	for pause := max(o.duration/20, 250*time.Millisecond); time.Since(began) < o.duration; time.Sleep(pause) {
		o.look()
	}
	during := o.acked() - acked
	lag := o.metric("ledger_archive_lag_entries")
	down := o.rss.peak()
	o.way.cut.Store(false)
	back := time.Now()
	awaitAcks(t, o.load, 20)
	goesOn := time.Since(back)
	o.awaitLag(200) // the load goes on
	caughtUp := time.Since(back)
	quiet = min(quiet, o.rate(quietFor)) // others may have come to this machine meanwhile, or have gone
	most := max(down, o.rss.peak())
	t.Logf("%s: down for %s under %.0f requests/s: %d acknowledged meanwhile, %.0f entries behind at its end; RSS %d KiB before, at most %d KiB meanwhile and %d KiB in catching up (allowed %d); "+
		"%.0f bytes in flight at most; %d appends told busy, the slowest after %s; back: the first answers after %s, caught up after %s", o.mode, o.duration, quiet,
		during, lag, before>>10, down>>10, most>>10, outageRSS>>10, o.peak, o.refused, o.slowest.Round(time.Millisecond), goesOn.Round(time.Millisecond), caughtUp.Round(time.Millisecond))
	if most > outageRSS {
		t.Errorf("the process has %d bytes in memory, allowed are %d", most, outageRSS)
	}
	switch pace := float64(during) / o.duration.Seconds(); {
	case o.mode == "sync" && during > 0:
		t.Errorf("%d requests were acknowledged without the archive", during)
	case o.mode == "sync" && o.refused == 0:
		t.Error("no append was told busy")
	case o.mode == "async" && pace < quiet/2:
		t.Errorf("%.0f requests a second were acknowledged during the outage, %.0f before", pace, quiet)
	}
}

// look asks what is bounded, and in sync appends.
func (o *outage) look() {
	o.peak = max(o.peak, o.metric("requests_in_flight_bytes"))
	if limit := float64(16 << 20); o.peak > limit {
		o.t.Errorf("%.0f bytes are in flight, allowed are %.0f", o.peak, limit)
	}
	if o.mode != "sync" {
		return
	}
	began := time.Now()
	err := o.append()
	took := time.Since(began)
	o.slowest = max(o.slowest, took)
	if refused := new(client.ReasonError); !errors.As(err, &refused) || refused.Reason != wire.ReasonBusy {
		o.t.Errorf("an append without the archive: %v", err)
	} else {
		o.refused++
	}
	if allowed := outageBusy + o.stalls.longest(); took > allowed {
		o.t.Errorf("it was told so after %s; allowed are %s", took, allowed)
	}
}

func (o *outage) append() error {
	ctx, cancel := context.WithTimeout(o.t.Context(), 30*time.Second)
	defer cancel()
	c, err := o.load.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	b := new(client.Batch)
	if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: client.NewNonce()}); err != nil {
		return err
	}
	_, err = c.Append(ctx, b)
	return err
}

func (o *outage) acked() int {
	n, _ := o.load.Count()
	return n.Acked
}

// rate counts the requests that are acknowledged in a second.
func (o *outage) rate(during time.Duration) float64 {
	before := o.acked()
	time.Sleep(during)
	return float64(o.acked()-before) / during.Seconds()
}

// awaitLag waits until the archive is behind by so many entries at most.
func (o *outage) awaitLag(most float64) {
	o.t.Helper()
	for deadline := time.Now().Add(outageBack); ; time.Sleep(50 * time.Millisecond) {
		lag := o.metric("ledger_archive_lag_entries")
		if lag <= most || o.mode == "async" && lag <= most+500 { // an interval's worth
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("the archive is %.0f entries behind", lag)
		}
	}
}

// metric returns the value of a metric without labels.
func (o *outage) metric(name string) float64 {
	o.t.Helper()
	stdout, _ := o.process.CLI("metrics", name)
	for line := range strings.Lines(stdout) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				o.t.Fatal(err)
			}
			return n
		}
	}
	o.t.Fatalf("there is no %s in\n%s", name, stdout)
	return 0
}

// check holds the ledger against the journals, and its archive against the ledger.
func (o *outage) check() {
	t := o.t
	settle(t, o.load)
	if exit := o.process.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, o.process.Output())
	}
	CheckLoad(t, o.load, o.process.Home)
	report, err := sidecar.Verify(t.Context(), o.process.Home, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := archive.OpenReader(t.Context(), o.way.bucket(t), *idOf(t, o.process.Home), nil)
	if err == nil {
		err = r.Verify(t.Context(), nil)
	}
	if err != nil || r.Head().Size != report.Size {
		t.Errorf("of %d entries %d are archived: %v", report.Size, r.Head().Size, err)
	}
}

// rssMeter keeps the most memory that a process has had.
type rssMeter struct {
	t     *testing.T
	pid   int
	worst atomic.Int64
}

func newRSSMeter(t *testing.T, pid int) *rssMeter {
	m, done := &rssMeter{t: t, pid: pid}, t.Context().Done()
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if now, err := m.now(); err == nil && now > m.worst.Load() {
				m.worst.Store(now)
			}
		}
	}()
	return m
}

// now returns what the process has, in bytes.
func (m *rssMeter) now() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", m.pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, errors.New("the process has ended")
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// restart returns the most until now, and begins anew.
func (m *rssMeter) restart() int64 { return m.worst.Swap(0) }

func (m *rssMeter) peak() int64 { return m.worst.Load() }
