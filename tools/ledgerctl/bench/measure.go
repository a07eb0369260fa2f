package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
)

// serverStatus is what a bench reads of STATUS.
type serverStatus struct {
	PID           int    `json:"pid"`
	Profile       string `json:"profile"`
	Size          uint64 `json:"size"`
	Queue         int    `json:"queue"`
	QueueCapacity int    `json:"queue_capacity"`
	HTTPS         string `json:"https"`
}

func (b *bench) readStatus(ctx context.Context) (s serverStatus, err error) {
	report, err := b.control.Status(ctx)
	if err != nil {
		return s, fmt.Errorf("ask for the status: %w", err)
	}
	if err := json.Unmarshal(report, &s); err != nil {
		return s, fmt.Errorf("read the status: %w", err)
	}
	return s, nil
}

// sampler reads the figures of the sidecar's process, its status and its metrics
// while the load runs.
type sampler struct {
	bench *bench
	ca    string

	begin, end  sample
	rssMax      int64 // bytes
	descriptors int
	limit       int               // of descriptors
	queue       []float64         // how full the commit queue was
	metrics     [2]scrape.Metrics // at the begin and the end; nil maps where unreachable
	failure     error             // why there are no figures of the process
}

// sample is a moment.
type sample struct {
	at                time.Time
	serverCPU, ownCPU time.Duration
	machineCPU        time.Duration // of everything
	entries, requests uint64
}

// Between two looks at the process and at the status.
const sampleEvery = 200 * time.Millisecond

func newSampler(b *bench, ca string) *sampler { return &sampler{bench: b, ca: ca} }

// take reads the figures that are sums.
func (s *sampler) take() sample {
	now := sample{at: time.Now(), ownCPU: ownCPU()}
	var err error
	if now.serverCPU, err = processCPU(s.bench.status.PID); err != nil {
		s.failure = err
	}
	if now.machineCPU, err = machineCPU(); err != nil {
		s.failure = err
	}
	for _, c := range s.bench.conns {
		now.entries += c.tally.entries.Load()
		now.requests += c.tally.requests.Load()
	}
	return now
}

// look reads the figures of which the highest counts.
func (s *sampler) look(ctx context.Context) {
	if rss, err := processRSS(s.bench.status.PID); err == nil {
		s.rssMax = max(s.rssMax, rss)
	}
	if n, limit, err := processDescriptors(s.bench.status.PID); err == nil {
		s.descriptors, s.limit = max(s.descriptors, n), limit
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if status, err := s.bench.readStatus(ctx); err == nil && status.QueueCapacity > 0 {
		s.queue = append(s.queue, float64(status.Queue)/float64(status.QueueCapacity))
	}
}

// ownCPU returns what this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure lets the load run: first for the warm-up, then for the time given, of
// which the figures are taken. It returns early with the failure of a loop.
func (b *bench) measure(ctx context.Context, failures <-chan error, length time.Duration) error {
	if err := b.wait(ctx, failures, b.plan.warmup, "warming up"); err != nil {
		return err
	}
	for _, c := range b.conns {
		c.tally.measured.Store(true)
	}
	if b.roots != nil {
		b.roots.measured.Store(true)
	}
	b.sampler.metrics[0] = scrape.Read(ctx, b.status.HTTPS, b.sampler.ca)
	b.sampler.begin = b.sampler.take()
	b.growth.begin(b, length)
	if err := b.wait(ctx, failures, length, "measuring"); err != nil {
		return err
	}
	b.sampler.end = b.sampler.take()
	return nil
}

// wait waits, looks at the sidecar and shows progress.
func (b *bench) wait(ctx context.Context, failures <-chan error, length time.Duration, what string) error {
	end := time.NewTimer(length)
	defer end.Stop()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	begin := b.sampler.take()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-failures:
			b.joined++
			if err != nil {
				return err
			}
		case <-end.C:
			b.progress("")
			return nil
		case <-tick.C:
			b.sampler.look(ctx)
			now := b.sampler.take()
			b.growth.look(ctx, b)
			if b.plan.entries > 0 && now.entries >= b.plan.entries {
				b.progress("")
				return nil
			}
			seconds := now.at.Sub(begin.at).Seconds()
			b.progress(fmt.Sprintf("%s %3.0f of %.0f s  %9.0f entries/s  %7.0f requests/s  sidecar %3.0f %% of a core",
				what, seconds, length.Seconds(), float64(now.entries-begin.entries)/seconds,
				float64(now.requests-begin.requests)/seconds, 100*(now.serverCPU-begin.serverCPU).Seconds()/seconds))
		}
	}
}

// progress rewrites the one line of progress.
func (b *bench) progress(line string) {
	if b.options.Progress != nil {
		fmt.Fprintf(b.options.Progress, "\r\x1b[K%s", line)
	}
}

// conclude turns what was counted into the result, once all is answered.
func (b *bench) conclude(ctx context.Context) error {
	s, r := b.sampler, &b.result
	s.metrics[1] = scrape.Read(ctx, b.status.HTTPS, s.ca)
	after, err := b.readStatus(ctx)
	if err != nil {
		return err
	}
	all := newTally()
	for _, c := range b.conns {
		all.merge(c.tally)
	}
	seconds := s.end.at.Sub(s.begin.at).Seconds()
	r.describe(b.plan, b.status)
	r.Seconds = seconds
	r.Entries, r.Requests = s.end.entries-s.begin.entries, s.end.requests-s.begin.requests
	r.EntriesPerSecond, r.RequestsPerSecond = float64(r.Entries)/seconds, float64(r.Requests)/seconds
	r.latencies = all.latencies
	r.Latency = quantilesOf(all.latencies)
	r.count(all)
	r.Gapless = all.chain.whole(b.status.Size, after.Size)
	r.StartSize, r.EndSize, r.Accepted = b.status.Size, after.Size, all.chain.accepted
	r.DrainedMs = r.drained.Seconds() * 1e3
	b.concludeProcess(seconds)
	r.readMetrics(s.metrics, seconds)
	if b.roots != nil {
		b.roots.stop()
		r.Roots = b.roots.result()
	}
	r.Soak = b.growth.conclude(all)
	return nil
}

// concludeProcess adds the figures of both processes.
func (b *bench) concludeProcess(seconds float64) {
	s, r := b.sampler, &b.result
	r.GeneratorCPU = (s.end.ownCPU - s.begin.ownCPU).Seconds() / seconds
	if s.failure != nil {
		return // another user's process, or on another machine: the figures stay 0
	}
	cpu := (s.end.serverCPU - s.begin.serverCPU).Seconds()
	r.ServerCPU = cpu / seconds
	r.OtherCPU = max((s.end.machineCPU-s.begin.machineCPU).Seconds()/seconds-r.ServerCPU-r.GeneratorCPU, 0)
	if r.Entries > 0 {
		r.ServerCPUMicrosPerEntry = cpu * 1e6 / float64(r.Entries)
		r.GeneratorCPUMicrosPerEntry = (s.end.ownCPU - s.begin.ownCPU).Seconds() * 1e6 / float64(r.Entries)
	}
	r.RSSMaxBytes, r.Descriptors, r.DescriptorLimit = s.rssMax, s.descriptors, s.limit
	r.QueueP99 = percentileOf(s.queue, 0.99)
}

func quantilesOf(h *hdrhistogram.Histogram) latencyJSON {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	return latencyJSON{at(50), at(95), at(99), at(99.9), float64(h.Max()) / 1e3}
}

// percentileOf returns the smallest value that at least the share q of the values
// does not exceed; 0 for none.
func percentileOf(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(int(math.Ceil(q*float64(len(sorted)))), 1)-1]
}

// metricStall is for how long writes waited, by database.
const metricStall = "pebble_stall_seconds_total"

// readMetrics takes the figures between two readings.
func (r *Result) readMetrics(m [2]scrape.Metrics, seconds float64) {
	if m[0] == nil || m[1] == nil {
		return
	}
	if p99 := scrape.Quantile(0.99, m[1].Buckets(scrape.Fsync, m[0])); !math.IsNaN(p99) {
		ms := p99 * 1e3
		r.FsyncP99Ms = &ms
	}
	stalled := (m[1].Sum(metricStall) - m[0].Sum(metricStall)) / seconds
	r.StalledShare = &stalled
}
