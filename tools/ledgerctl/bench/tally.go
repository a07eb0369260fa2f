package bench

import (
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rustyonions/ron-ledger/wire"
)

// Latencies are recorded in microseconds, to three digits, up to latencyMax.
const (
	latencyMax    = 10 * time.Minute
	latencyDigits = 3
)

func newLatencies() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax.Microseconds(), latencyDigits)
}

// tally counts the answers of one connection. The goroutine that reads them owns
// it; what is atomic is also read by the progress line.
type tally struct {
	requests, entries atomic.Uint64 // decided; entries that are new

	measured   atomic.Bool // false while warming up: latencies do not count yet
	latencies  *hdrhistogram.Histogram
	span       atomic.Int32 // of a soak: spanNone, spanEarly, spanLate
	spans      [spanLate]*hdrhistogram.Histogram
	duplicates uint64
	rejected   map[wire.Reason]uint64 // entries
	refused    map[wire.Reason]uint64 // requests
	chain      chain
}

func newTally() *tally {
	return &tally{latencies: newLatencies(), rejected: map[wire.Reason]uint64{}, refused: map[wire.Reason]uint64{}}
}

// answered counts the answer to a request of n entries.
func (t *tally) answered(m *wire.AppendedView, latency time.Duration) {
	t.requests.Add(1)
	t.entries.Add(uint64(m.Accepted))
	t.chain.add(m.First, m.Last, m.Accepted)
	t.latency(latency)
	if m.ResultCount == 0 {
		return
	}
	for r := range m.Results() {
		if r.Outcome == wire.OutcomeDuplicate {
			t.duplicates++
		} else {
			t.rejected[r.Reason]++
		}
	}
}

// refusal counts a request that was refused as a whole. It has no latency: to be
// refused quickly is no merit.
func (t *tally) refusal(reason wire.Reason) { t.refused[reason]++ }

func (t *tally) latency(d time.Duration) {
	if t.measured.Load() {
		us := min(max(d, time.Microsecond), latencyMax).Microseconds()
		_ = t.latencies.RecordValue(us) // in range by min and max
		if span := t.span.Load(); span != spanNone {
			_ = t.spans[span-1].RecordValue(us)
		}
	}
}

// merge adds another tally that nobody writes to any more.
func (t *tally) merge(o *tally) {
	t.requests.Add(o.requests.Load())
	t.entries.Add(o.entries.Load())
	t.latencies.Merge(o.latencies)
	for i, h := range o.spans {
		if h != nil {
			if t.spans[i] == nil {
				t.spans[i] = newLatencies()
			}
			t.spans[i].Merge(h)
		}
	}
	t.duplicates += o.duplicates
	for reason, n := range o.rejected {
		t.rejected[reason] += n
	}
	for reason, n := range o.refused {
		t.refused[reason] += n
	}
	t.chain.merge(&o.chain)
}

// sum adds up counts by reason.
func sum(counts map[wire.Reason]uint64) (n uint64) {
	for _, count := range counts {
		n += count
	}
	return n
}

// chain finds out whether the ranges of sequence numbers in the answers, in
// whatever order they came over however many connections, lie end to end: each
// begins where another one ends. Instead of the ranges it keeps the sum of a
// 64-bit hash of all ends less that of all beginnings, which is that of the whole
// exactly when everything between cancels out (but for a chance of 2⁻⁶⁴).
type chain struct {
	accepted uint64
	ends     uint64 // Σ mix(last) − Σ mix(first−1)
	broken   uint64 // ranges that are not as long as what they count
}

func (c *chain) add(first, last uint64, accepted uint32) {
	if accepted == 0 {
		return
	}
	c.accepted += uint64(accepted)
	c.ends += mix(last) - mix(first-1)
	if last-first+1 != uint64(accepted) {
		c.broken++
	}
}

func (c *chain) merge(o *chain) {
	c.accepted += o.accepted
	c.ends += o.ends
	c.broken += o.broken
}

// whole reports whether the ranges are exactly what lies between two sizes of the
// ledger: no gap, and nothing twice.
func (c *chain) whole(from, to uint64) bool {
	return c.broken == 0 && c.accepted == to-from && c.ends == mix(to)-mix(from)
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
