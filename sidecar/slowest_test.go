package sidecar

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
)

// commitOf is a commit whose oldest request took so long, published at a time.
func commitOf(publishedNs, total int64, request uint64) *committer.CommitInfo {
	queued := publishedNs - total
	return &committer.CommitInfo{
		Entries: 3, Bytes: 300, QueuedNs: []int64{queued + total/2, queued}, Oldest: 1,
		Origin:   committer.Origin{Connection: 1, Request: request, UID: 7, AdmittedNs: queued + total/8, CheckedNs: queued + total/4},
		OpenedNs: queued + total/4, SealedNs: queued + total/2, DurableNs: queued + total*3/4, ReleasedNs: queued + total*7/8, PublishedNs: publishedNs,
	}
}

// TestSlowestKeepsTheSlowest holds the ring against a list of everything.
func TestSlowestKeepsTheSlowest(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	var s slowest
	var totals []int64
	for i := range 5000 {
		total := 1 + random.Int64N(1_000_000_000)
		totals = append(totals, total)
		s.observe(commitOf(int64(i+1)*1000+1_000_000_000, total, uint64(i)))
	}
	slices.Sort(totals)
	slices.Reverse(totals)
	list := s.list(time.Now())
	if len(list) != slowestKept {
		t.Fatalf("%d are kept", len(list))
	}
	for i, r := range list {
		if r.Total != totals[i] {
			t.Errorf("place %d took %d, want %d", i, r.Total, totals[i])
		}
		if sum := r.Admission + r.Check + r.Queue + r.Commit + r.Sync + r.Archive + r.Answer; sum != r.Total {
			t.Errorf("the stations of %+v add up to %d", r, sum)
		}
	}
}

func TestSlowestForgets(t *testing.T) {
	var s slowest
	at := int64(time.Hour)
	s.observe(commitOf(at, int64(time.Second), 1))
	if s.observe(commitOf(at+int64(slowestOfTime)+1, 1000, 2)); len(s.list(time.Now())) != 2 {
		t.Error("the interval before is forgotten")
	}
	if s.observe(commitOf(at+2*int64(slowestOfTime)+2, 1000, 3)); len(s.list(time.Now())) != 2 || s.list(time.Now())[0].Total != 1000 {
		t.Errorf("what is older than two intervals is kept: %+v", s.list(time.Now()))
	}
	read := commitOf(at, 5, 4)
	read.Origin = committer.Origin{}
	if s.observe(read); len(s.list(time.Now())) != 2 {
		t.Error("a read is an append")
	}
}

func TestSlowestAllocatesNothing(t *testing.T) {
	var s slowest
	info, at := commitOf(1, 1, 1), int64(0)
	s.observe(info)
	if n := testing.AllocsPerRun(1000, func() {
		at += 1000
		*info = committer.CommitInfo{Entries: 1, QueuedNs: info.QueuedNs, Oldest: 1, Origin: info.Origin, PublishedNs: at * at}
		s.observe(info)
	}); n != 0 {
		t.Errorf("%v allocations a commit", n)
	}
}

// TestSlowTracesAreBounded writes more traces than are kept.
func TestSlowTracesAreBounded(t *testing.T) {
	f := &flightRecorder{dir: filepath.Join(t.TempDir(), tracesFolder)}
	f.set(time.Second)
	defer f.stop()
	if f.set(time.Minute); f.running() == nil || !trace.IsEnabled() {
		t.Fatal("nothing is recorded")
	}
	var newest string
	for range tracesKept + 3 {
		path, err := f.write(f.running())
		if err != nil {
			t.Fatal(err)
		}
		newest = path
		time.Sleep(2 * time.Millisecond) // names are times
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil || len(entries) != tracesKept {
		t.Fatalf("%d files are kept, want %d: %v", len(entries), tracesKept, err)
	}
	text, err := os.ReadFile(newest)
	if err != nil || len(text) < 16 || string(text[:3]) != "go " {
		t.Errorf("%s is no trace: %.16q, %v", newest, text, err)
	}
	if f.set(0); f.running() != nil || trace.IsEnabled() {
		t.Error("it is recorded on, though no commit is slow")
	}
}
