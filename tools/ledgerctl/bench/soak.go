package bench

import (
	"context"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
)

// A soak loads with requests of one entry: half an hour of them fills one home with
// tens of millions of entries and not with hundreds.
const (
	soakShare   = 0.6 // of the maximum
	soakLength  = 30 * time.Minute
	soakLeast   = 10 * time.Second
	soakReaders = 20
	pilotLength = 10 * time.Second // of the closed loop that finds the maximum
	pilotWarmup = 2 * time.Second
	soakParts   = 6    // growth is judged between parts of the time, of 5 minutes in half an hour
	soakGrowth  = 1.05 // most that the last part may have of what the second had
	soakLatency = 1.2  // most that p99 of the last part may be of that of the first
)

// soak sets what is not set by hand. A rate that is given spares the search for it.
func (p *Plan) soak(set func(flag string) bool) {
	if !set("batch") && !set("batch-p90") {
		p.batch, p.batchP90 = 1, 0
	}
	if !set("duration") {
		p.duration = soakLength
	}
	if !set("readers") {
		p.readers = soakReaders
	}
}

// pilot finds the maximum of a closed loop and plans soakShare of it.
func (b *bench) pilot(ctx context.Context) error {
	p := b.plan
	length, warmup := p.duration, p.warmup
	p.duration, p.warmup = pilotLength, pilotWarmup
	if err := b.runClosed(ctx); err != nil {
		return err
	}
	p.duration, p.warmup = length, warmup
	s := b.sampler
	reached := float64(s.end.requests-s.begin.requests) / s.end.at.Sub(s.begin.at).Seconds()
	b.growth.reached = reached
	p.rate = soakShare * reached
	p.plan()
	var err error
	if b.status, err = b.readStatus(ctx); err != nil {
		return err
	}
	b.joined = 0
	b.sampler = newSampler(b, s.ca)
	for _, c := range b.conns {
		c.tally = newTally()
	}
	if b.roots != nil {
		b.roots.measured.Store(false)
	}
	return nil
}

// Parts of a soak of which latencies are kept apart.
const (
	spanNone = iota
	spanEarly
	spanLate
)

// footprint is what a process holds at a moment, or in the middle of several.
type footprint struct {
	RSSBytes    int64 `json:"rss_bytes"`
	Goroutines  int   `json:"goroutines"` // 0: /metrics could not be read
	Descriptors int   `json:"descriptors"`
}

// soakJSON is what a soak found: the medians of the second and of the last part of its
// time, and p99 of the first and the last.
type soakJSON struct {
	MaxRequestsPerSecond float64     `json:"max_requests_per_second,omitempty"`
	EarlyP99Ms           float64     `json:"early_p99_ms"`
	LateP99Ms            float64     `json:"late_p99_ms"`
	Begin                footprint   `json:"begin"`
	End                  footprint   `json:"end"`
	Series               []footprint `json:"series"` // one each soakLook
}

// growth watches a soak.
type growth struct {
	reached       float64 // requests a second in the closed loop before
	started, last time.Time
	length        time.Duration
	series        []footprint
}

// soakLook is how often memory, goroutines and descriptors are looked at.
const soakLook = 10 * time.Second

// begin starts to watch, if this is the soak and not the search for its rate.
func (g *growth) begin(b *bench, length time.Duration) {
	if b.plan.profile != profileSoak || b.plan.schedule == nil {
		return
	}
	g.started, g.length = time.Now(), length
	for _, c := range b.conns {
		for i := range c.tally.spans {
			c.tally.spans[i] = newLatencies()
		}
		c.tally.span.Store(spanEarly)
	}
}

// look takes a footprint when it is time, and moves on to the next part.
func (g *growth) look(ctx context.Context, b *bench) {
	if g.length == 0 || time.Since(g.last) < min(soakLook, g.length/soakParts/3) {
		return
	}
	g.last = time.Now()
	part := g.length / soakParts
	span := int32(spanNone)
	switch passed := g.last.Sub(g.started); {
	case passed < part:
		span = spanEarly
	case passed >= g.length-part:
		span = spanLate
	}
	for _, c := range b.conns {
		c.tally.span.Store(span)
	}
	g.series = append(g.series, b.footprint(ctx))
}

func (b *bench) footprint(ctx context.Context) (f footprint) {
	f.RSSBytes, _ = processRSS(b.status.PID) // what cannot be read stays 0
	f.Descriptors, _, _ = processDescriptors(b.status.PID)
	for _, m := range scrape.Read(ctx, b.status.HTTPS, b.sampler.ca)["go_goroutines"].GetMetric() {
		f.Goroutines = int(m.GetGauge().GetValue())
	}
	return f
}

// conclude judges the series; nil where nothing was watched.
func (g *growth) conclude(all *tally) *soakJSON {
	n := len(g.series)
	if n < soakParts {
		return nil
	}
	p99 := func(h *hdrhistogram.Histogram) float64 { return float64(h.ValueAtQuantile(99)) / 1e3 }
	return &soakJSON{
		MaxRequestsPerSecond: g.reached,
		EarlyP99Ms:           p99(all.spans[spanEarly-1]), LateP99Ms: p99(all.spans[spanLate-1]),
		Begin: middle(g.series[n/soakParts : 2*n/soakParts]), End: middle(g.series[n-n/soakParts:]), Series: g.series,
	}
}

// middle returns the medians of what was seen.
func middle(series []footprint) footprint {
	of := func(value func(footprint) int64) int64 {
		var all []int64
		for _, f := range series {
			all = append(all, value(f))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return footprint{
		RSSBytes:    of(func(f footprint) int64 { return f.RSSBytes }),
		Goroutines:  int(of(func(f footprint) int64 { return int64(f.Goroutines) })),
		Descriptors: int(of(func(f footprint) int64 { return int64(f.Descriptors) })),
	}
}
