package bench

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/rustyonions/ron-ledger/sidecar"
)

// serviceLevel is one figure against what it must reach.
type serviceLevel struct {
	Name     string  `json:"name"` // stable
	Measured float64 `json:"measured"`
	Limit    float64 `json:"limit"`
	AtLeast  bool    `json:"at_least"` // the limit is the least; else the most
	Pass     bool    `json:"pass"`
}

const (
	mib         = 1 << 20
	rateReached = 0.99 // of the rate of an open loop: the rest is what was under way at the end
)

// serviceLevels holds the result against those of the specification that it allows
// to judge. Throughput, latency, queue and syncs are judged at the load that they
// are promised for, so neither in a closed loop nor, but for the time to drain it,
// in a burst.
func serviceLevels(p *Plan, r *Result) (all []serviceLevel) {
	most := func(name string, measured, limit float64) {
		all = append(all, serviceLevel{name, measured, limit, false, measured <= limit})
	}
	least := func(name string, measured, limit float64) {
		all = append(all, serviceLevel{name, measured, limit, true, measured >= limit})
	}
	micro := r.Node == sidecar.Micronode
	measured := schedule(p.schedule[min(p.warmupPhases, len(p.schedule)):])
	switch {
	case p.rate == 0:
	case p.burst:
		least("requests_per_second", r.RequestsPerSecond, rateReached*float64(measured.count())/measured.length().Seconds())
		most("burst_drained_ms", r.DrainedMs, 5000)
	default:
		least("requests_per_second", r.RequestsPerSecond, rateReached*p.rate)
		most("busy_share", r.BusyShare, 0.01)
		most("commit_queue_p99_share", r.QueueP99, 0.8)
		most("commit_p95_ms", r.Latency.P95, 80)
		most("commit_p99_ms", r.Latency.P99, 150)
		if micro {
			most("server_cpu_cores", r.ServerCPU, 0.7)
		} else {
			most("server_cpu_share_of_machine", r.ServerCPU/float64(runtime.NumCPU()), 0.75)
		}
		if r.FsyncP99Ms != nil && !micro {
			most("fsync_p99_ms", *r.FsyncP99Ms, 3)
		}
	}
	if p.replay == "" { // a journal may hold what is rejected
		most("failure_share", r.FailureShare, 0.001)
	}
	most("duplicates", float64(r.Duplicates), 0)
	most("sequence_gaps", gaps(r.Gapless), 0)
	if r.RSSMaxBytes > 0 {
		limit := 2048.0
		if micro {
			limit = 600
		}
		most("rss_max_mib", float64(r.RSSMaxBytes)/mib, limit)
	}
	if r.DescriptorLimit > 0 {
		most("descriptors_share", float64(r.Descriptors)/float64(r.DescriptorLimit), 0.3)
	}
	if r.StalledShare != nil {
		most("stalled_share", *r.StalledShare, 0.005)
	}
	if r.ReadyMs > 0 && micro {
		most("ready_ms", r.ReadyMs, 200)
	}
	if s := r.Soak; s != nil {
		ratio := func(name string, before, after float64) { most(name, after/max(before, 1e-9), soakGrowth) }
		most("soak_p99_late_of_early", s.LateP99Ms/max(s.EarlyP99Ms, 1e-9), soakLatency)
		ratio("soak_rss_late_of_early", float64(s.Begin.RSSBytes), float64(s.End.RSSBytes))
		ratio("soak_goroutines_late_of_early", float64(s.Begin.Goroutines), float64(s.End.Goroutines))
		ratio("soak_descriptors_late_of_early", float64(s.Begin.Descriptors), float64(s.End.Descriptors))
	}
	if r.Roots != nil {
		most("root_lag_p99_ms", r.Roots.Lag.P99, 1000)
		most("roots_p95_ms", r.Roots.Poll.P95, 20)
		most("roots_failures", float64(r.Roots.Failures), 0)
	}
	return all
}

// gaps is 0 where the ledger has grown by exactly what was answered.
func gaps(gapless bool) float64 {
	if gapless {
		return 0
	}
	return 1
}

// Missed returns an error that names the levels that were missed, nil where none was.
func (r *Result) Missed() error {
	var names []string
	for _, l := range r.Levels {
		if !l.Pass {
			names = append(names, l.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("bench: service levels missed: %s", strings.Join(names, ", "))
}
