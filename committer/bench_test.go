package committer

import (
	"fmt"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// load is a request of transfers that can be sent again and again: renew gives
// its entries new nonces.
type load struct {
	request Request
	bench   *bench
	done    chan struct{}
}

// newLoad makes a request of entries of 200 bytes between accounts that hold enough.
func newLoad(b *bench, entries, accounts int) *load {
	b.t.Helper()
	for i := range accounts {
		b.append(mint(fmt.Sprintf("account-%d", i), 1<<62))
	}
	l := &load{bench: b, done: make(chan struct{}, 1)}
	for i := range entries {
		f := transfer(fmt.Sprintf("account-%d", i%accounts), fmt.Sprintf("account-%d", (i*7+1)%accounts), 1)
		f.Memo = make([]byte, 200-wire.EntryHeaderSize-len(f.Account)-len(f.Counterparty))
		f.Nonce = b.nonce()
		addEntry(b.t, &l.request, b.hash, &f)
	}
	l.request.Complete = func(*Request) { l.done <- struct{}{} }
	return l
}

// renew gives every entry a nonce above all before: the order of UUIDv7.
func (l *load) renew() {
	start := uint32(0)
	for _, end := range l.request.Ends {
		nonce := l.bench.nonce()
		copy(l.request.Records[start+16:], nonce[:])
		start = end
	}
	r := &l.request
	r.Accepted, r.First, r.Last, r.Results = 0, 0, 0, r.Results[:0]
}

func (l *load) send(b *bench) {
	l.renew()
	if reason := b.Submit(&l.request); reason != 0 {
		b.t.Fatal(reason)
	}
	<-l.done
	if int(l.request.Accepted) != len(l.request.Ends) {
		b.t.Fatalf("accepted %d of %d", l.request.Accepted, len(l.request.Ends))
	}
}

// TestCommitAllocatesNothingPerEntry holds the steady state: what a commit costs
// in allocations (its head and the channel in it, Pebble's own) must not grow
// with its entries.
func TestCommitAllocatesNothingPerEntry(t *testing.T) {
	perCommit := func(entries int) float64 {
		b := newBench(t, Options{CheckpointEntries: 1 << 20})
		l := newLoad(b, entries, 64)
		for range 40 {
			l.send(b)
		}
		return testing.AllocsPerRun(50, func() { l.send(b) })
	}
	small, large := perCommit(16), perCommit(1024)
	t.Logf("allocations a commit: %.1f with 16 entries, %.1f with 1024", small, large)
	if extra := large - small; extra > 0.02*(1024-16) {
		t.Errorf("%.1f more allocations for 1008 more entries: the hot path allocates", extra)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, where := range []string{"memory", "disk"} {
		for _, entries := range []int{16, 256, 1024} {
			b.Run(fmt.Sprintf("%s/entries=%d", where, entries), func(b *testing.B) {
				bench := benchAt(b, where)
				l := newLoad(bench, entries, 1024)
				b.ReportAllocs()
				for b.Loop() {
					l.send(bench)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
			})
		}
	}
}

func benchAt(b *testing.B, where string) *bench {
	if where == "memory" {
		return newBench(b, Options{})
	}
	bench := &bench{t: b, hash: 1, dir: b.TempDir()}
	bench.start()
	b.Cleanup(bench.stop)
	return bench
}

// BenchmarkPipeline keeps several requests in flight, as connections do.
func BenchmarkPipeline(b *testing.B) {
	for _, entries := range []int{16, 256, 1024} {
		b.Run(fmt.Sprintf("disk/entries=%d", entries), func(b *testing.B) {
			bench := benchAt(b, "disk")
			const inFlight = 32
			free := make(chan *load, inFlight)
			for range inFlight {
				l := newLoad(bench, entries, 1024)
				l.request.Complete = func(*Request) { free <- l }
				free <- l
			}
			b.ReportAllocs()
			for b.Loop() {
				l := <-free
				l.renew()
				if reason := bench.Submit(&l.request); reason != 0 {
					b.Fatal(reason)
				}
			}
			for range inFlight {
				<-free
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*entries), "ns/entry")
		})
	}
}
