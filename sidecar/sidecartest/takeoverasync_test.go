package sidecartest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// Where a take-over says which numbers may be missing, and where the old writer says which it has alone.
var (
	missingFrom = regexp.MustCompile(`"may_be_missing_from": ?(\d+)`)
	hereAlone   = regexp.MustCompile(`entries (\d+) to (\d+) are here alone`)
)

// inAsync is a round in which the old one acknowledges before it archives.
func (r *takeover) inAsync() {
	t := r.t
	stalls := newStallMeter(t)
	load := writers.New(r.seed, 3).At(r.home)
	load.Pause = 5 * time.Millisecond
	under(t, load, func() {
		awaitAcks(t, load, 20)
		for had := r.oldWay.segments(); r.oldWay.segments() < had+2; time.Sleep(5 * time.Millisecond) {
			awaitAcks(t, load, 1)
		}
		time.Sleep(time.Duration(rand.New(rand.NewPCG(r.seed, 3)).Int64N(int64(asyncInterval))))
		r.takeOver(func() {})
		if r.end != "killed" {
			awaitOutput(t, r.old, takenOver)
		}
	})
	later := writers.NewFrom(10, r.seed, 2).At(r.heir)
	under(t, later, func() { awaitAcks(t, later, 20) })
	settle(t, later)
	r.stop()
	one, err1 := sidecar.LogIDOf(r.home)
	other, err2 := sidecar.LogIDOf(r.heir)
	if err1 != nil || err2 != nil || one == other {
		t.Errorf("the log id is still %x: %v, %v", one, err1, err2)
	}
	from := r.numberIn(missingFrom, r.next.Output())
	cut := r.checkCut(from, load, later)
	r.checkTerms(3) // that of the old one, the fence behind it, and the first of the new epoch
	r.checkAge(cut, stalls)
	r.checkOldHome(from, cut)
	r.count(load, later)
	r.total.mu.Lock()
	defer r.total.mu.Unlock()
	r.total.asyncRounds++
	if r.total.missing += len(cut.Missing); len(cut.Missing) > 0 {
		r.total.missingIn++
		r.total.oldest = max(r.total.oldest, r.ended.Sub(cut.Oldest))
	}
}

func (r *takeover) numberIn(pattern *regexp.Regexp, text string) uint64 {
	r.t.Helper()
	found := pattern.FindStringSubmatch(text)
	if found == nil {
		r.t.Fatalf("nothing like %s was said:\n%s", pattern, text)
	}
	n, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// checkCut holds the new ledger against the journals: of what the old one acknowledged exactly that is missing which the
// new one says, and of what the new one acknowledged nothing; nothing is there twice, or is anybody else's.
func (r *takeover) checkCut(from uint64, load, later *writers.Load) writers.Cut {
	t := r.t
	s, err := store.Open(store.Options{Dir: r.heir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := CheckLedger(s); err != nil {
		t.Fatal(err)
	}
	there, err := logOf(s)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := writers.HoldCut(there, load, from-1)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := writers.HoldCut(there, later, math.MaxUint64)
	if err != nil {
		t.Fatal(err)
	}
	if 1+cut.There+rest.There != there.Len() {
		t.Errorf("of %d entries, one of which begins the epoch, %d were sent to the old one and %d to the new one", there.Len(), cut.There, rest.There)
	}
	if cut.Kept == 0 {
		t.Error("nothing was archived")
	}
	return cut
}

// checkAge asks that nothing is missing that was acknowledged longer than archive.interval and one upload before
// the old one's end. What is acknowledged while an upload is under way waits for the next one: the rest of this
// one or of the interval, whichever is longer. How long this machine let everybody wait comes on top.
func (r *takeover) checkAge(cut writers.Cut, stalls *stallMeter) {
	if r.end == "undisturbed" {
		r.ended = r.fencedAt()
	}
	segment, head := r.oldWay.slowest(r.ended)
	allowed := max(asyncInterval, segment+head) + segment + stalls.longest() + 100*time.Millisecond
	age := time.Duration(0)
	if len(cut.Missing) > 0 {
		age = r.ended.Sub(cut.Oldest)
	}
	r.t.Logf("%d requests are there, %d entries are missing, the oldest of them acknowledged %s before the end; allowed are %s (a segment took %s, the head %s)",
		cut.Kept, len(cut.Missing), age, allowed, segment, head)
	if age > allowed {
		r.t.Errorf("what was acknowledged %s before the end of the old one is missing; allowed are %s", age, allowed)
	}
}

// fencedAt is when the store took the fence, the first segment that the new one has put.
func (r *takeover) fencedAt() time.Time {
	r.newWay.mu.Lock()
	defer r.newWay.mu.Unlock()
	for _, o := range r.newWay.taken {
		if isSegment(o.key) {
			return o.at
		}
	}
	r.t.Fatal("the new one has put no fence")
	return time.Time{}
}

// checkOldHome starts the old home again: it is read-only, and says by their numbers which entries it has alone. They are
// those that the journals miss.
func (r *takeover) checkOldHome(from uint64, cut writers.Cut) {
	t := r.t
	again := StartProcessEnv(t, r.bin, r.home, r.env(r.oldWay, archiveURL))
	awaitOutput(t, again, takenOver)
	if exit := again.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, again.Output())
	}
	size := sizeOf(t, r.home)
	if size < from {
		if !strings.Contains(again.Output(), fmt.Sprintf("it goes on behind entry %d, and has all that is here", from-1)) || len(cut.Missing) > 0 {
			t.Errorf("%v are missing, and the old home says:\n%s", cut.Missing, again.Output())
		}
		return
	}
	if said := r.numberIn(hereAlone, again.Output()); said != from || !strings.Contains(again.Output(), fmt.Sprintf("entries %d to %d are here alone", from, size)) {
		t.Errorf("entries %d to %d are missing, and the old home says:\n%s", from, size, again.Output())
	}
	if n := len(cut.Missing); n > 0 && (cut.Missing[0] < from || cut.Missing[n-1] > size) {
		t.Errorf("acknowledged and missing are %d to %d, the old home says %d to %d", cut.Missing[0], cut.Missing[n-1], from, size)
	}
}

// sizeOf returns the size of the log in a home.
func sizeOf(t *testing.T, home string) uint64 {
	t.Helper()
	s, err := store.Open(store.Options{Dir: home})
	if err != nil {
		t.Fatal(err)
	}
	tail, err := s.Last()
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return tail.Size
}

// stallMeter notices how long this machine lets a process wait that wants to run.
type stallMeter struct{ worst atomic.Int64 }

func newStallMeter(t *testing.T) *stallMeter {
	const every = 10 * time.Millisecond
	m, done := new(stallMeter), t.Context().Done()
	go func() {
		for last := time.Now(); ; {
			select {
			case <-done:
				return
			case <-time.After(every):
			}
			now := time.Now()
			if late := int64(now.Sub(last) - every); late > m.worst.Load() {
				m.worst.Store(late)
			}
			last = now
		}
	}()
	return m
}

func (m *stallMeter) longest() time.Duration { return time.Duration(m.worst.Load()) }
