package bench

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// Plan says what a bench does. Flags sets it.
type Plan struct {
	profile, node                   string
	spawn                           bool
	dir                             string
	connections, inflight           int
	batch, batchP90                 int // entries
	entryBytes, accounts, readers   int
	rate                            float64 // requests a second; 0: closed loop
	duration, warmup                time.Duration
	nonces, hdrFile, cpuProfile, ca string
	replay                          string // journal whose entries are sent; "": made up
	entries                         uint64 // closed loop: the bench ends when so many are booked; 0: by time alone

	// What settle and fit find.
	schedule     schedule // nil: closed loop
	warmupPhases int      // of the schedule that are not measured
	burst        bool     // the second measured phase is one
	maxBatch     int      // most entries of a request
}

const (
	noncesUUIDv7 = "uuidv7"
	noncesRandom = "random"

	profileBurst = "burst"
	profileMax   = "max"
	profileRoots = "roots"
	profileSoak  = "soak"
)

// Of the burst profile.
const (
	burstFactor = 10
	burstLength = 5 * time.Second
)

// openBatchMax bounds the requests of an open loop, for the memory of the
// generator: one request in 300,000 of macronode would be above it.
const openBatchMax = 2048

// NewPlan is a closed loop of 64 connections, for ten seconds.
func NewPlan() Plan {
	return Plan{
		node: sidecar.Macronode, connections: 64, inflight: 1, batch: 16, entryBytes: 200, accounts: 10_000,
		duration: 10 * time.Second, warmup: 2 * time.Second, nonces: noncesUUIDv7,
	}
}

// PlanError says what of a plan cannot be done, in the words of its flags.
type PlanError string

func (e PlanError) Error() string { return string(e) }

func planErrorf(format string, args ...any) error { return PlanError(fmt.Sprintf(format, args...)) }

// Flags binds a plan to the flags of a command line.
func (p *Plan) Flags(f *pflag.FlagSet) {
	f.StringVar(&p.profile, "profile", "", "micronode, macronode, burst, max, roots or soak")
	f.BoolVar(&p.spawn, "spawn", false, "start a sidecar for the bench; RON_LEDGER_* variables configure it")
	f.StringVar(&p.dir, "dir", os.TempDir(), "folder for the home of that sidecar: its disk is what is measured")
	f.StringVar(&p.node, "node", p.node, "profile of that sidecar: micronode or macronode")
	f.IntVar(&p.connections, "connections", p.connections, "connections")
	f.IntVar(&p.inflight, "inflight", p.inflight, "closed loop: requests under way on each connection")
	f.IntVar(&p.batch, "batch", p.batch, "entries a request; open loop: their median")
	f.IntVar(&p.batchP90, "batch-p90", 0, "open loop: 90th percentile of the entries a request (default: all alike)")
	f.IntVar(&p.entryBytes, "entry-bytes", p.entryBytes, "size of an entry")
	f.Float64Var(&p.rate, "rate", 0, "open loop: requests a second, over all connections")
	f.DurationVar(&p.duration, "duration", p.duration, "how long to measure")
	f.DurationVar(&p.warmup, "warmup", p.warmup, "how long to load before measuring")
	f.Uint64Var(&p.entries, "entries", 0, "closed loop: end when so many entries are booked, whatever --duration says")
	f.StringVar(&p.replay, "replay", "", "send the entries of this journal, in the form that append reads")
	f.StringVar(&p.nonces, "nonces", p.nonces, "uuidv7 or random")
	f.IntVar(&p.accounts, "accounts", p.accounts, "accounts that the money moves between")
	f.IntVar(&p.readers, "readers", 0, "readers of /roots over HTTPS")
	f.StringVar(&p.ca, "ca", "", "certificate of the HTTPS port (default HOME/tls.crt)")
	f.StringVar(&p.hdrFile, "hdr", "", "write the latencies to this file, as an HdrHistogram log")
	f.StringVar(&p.cpuProfile, "cpuprofile", "", "write a CPU profile of the started sidecar to this file")
	_ = f.MarkHidden("cpuprofile")
}

// Settle takes from the profile what was not set by hand, and checks the whole. Its error is a PlanError.
func (p *Plan) Settle(set func(flag string) bool) error {
	load := func(rate float64, batch, p90 int) {
		if !set("rate") {
			p.rate = rate
		}
		if !set("batch") && !set("batch-p90") {
			p.batch, p.batchP90 = batch, p90
		}
	}
	switch p.profile {
	case "":
	case sidecar.Micronode:
		load(300, 8, 32)
		if !set("node") {
			p.node = sidecar.Micronode
		}
	case sidecar.Macronode, profileBurst, profileRoots:
		load(1200, 16, 64)
		p.burst = p.profile == profileBurst
		if p.profile == profileRoots && !set("readers") {
			p.readers = 200
		}
	case profileSoak:
		p.soak(set)
	case profileMax:
		load(0, 256, 0)
		if !set("inflight") {
			p.inflight = 4
		}
	default:
		return planErrorf("--profile %q: micronode, macronode, burst, max, roots or soak is wanted", p.profile)
	}
	if p.replay != "" {
		p.ofReplay(set)
	}
	if err := p.check(); err != nil {
		return err
	}
	if p.rate > 0 {
		p.plan()
	}
	return nil
}

func (p *Plan) check() error {
	switch {
	case p.connections < 1 || p.inflight < 1 || p.batch < 1 || p.batchP90 < 0 || p.readers < 0 || p.rate < 0:
		return planErrorf("--connections, --inflight and --batch are at least 1, --batch-p90, --readers and --rate at least 0")
	case p.accounts < 2 || p.accounts > 100_000:
		return planErrorf("--accounts %d: 2..100000 is wanted", p.accounts)
	case p.duration < 100*time.Millisecond || p.warmup < 0:
		return planErrorf("--duration is at least 100ms, --warmup at least 0s")
	case p.entryBytes < entryMin || p.entryBytes > entryMax || p.entryBytes%8 != 0:
		return planErrorf("--entry-bytes %d: a multiple of 8 in %d..%d is wanted", p.entryBytes, entryMin, entryMax)
	case !slices.Contains([]string{noncesUUIDv7, noncesRandom}, p.nonces):
		return planErrorf("--nonces %q: uuidv7 or random is wanted", p.nonces)
	case !slices.Contains([]string{sidecar.Micronode, sidecar.Macronode}, p.node):
		return planErrorf("--node %q: micronode or macronode is wanted", p.node)
	case p.burst && p.duration < 2*burstLength:
		return planErrorf("--profile burst lasts at least %v", 2*burstLength)
	case p.replay != "" && (p.rate > 0 || p.profile != ""):
		return planErrorf("--replay sends a journal as fast as it is taken: neither --rate nor --profile goes with it")
	case p.entries > 0 && p.rate > 0:
		return planErrorf("--entries is for a closed loop, --rate for an open one")
	case p.profile == profileSoak && p.duration < soakLeast:
		return planErrorf("--profile soak lasts at least %v", soakLeast)
	case p.cpuProfile != "" && !p.spawn:
		return planErrorf("--cpuprofile is for a sidecar that --spawn starts")
	}
	return nil
}

// plan makes the schedule: the warm-up, then one phase, or three around a burst.
func (p *Plan) plan() {
	if p.warmup > 0 {
		p.schedule = append(p.schedule, phase{p.rate, p.warmup})
		p.warmupPhases = 1
	}
	if !p.burst {
		p.schedule = append(p.schedule, phase{p.rate, p.duration})
		return
	}
	before := (p.duration - burstLength) / 3
	p.schedule = append(p.schedule, phase{p.rate, before}, phase{burstFactor * p.rate, burstLength},
		phase{p.rate, p.duration - burstLength - before})
}

// fit holds the batches against what the sidecar takes.
func (p *Plan) fit(w *wire.Welcome) error {
	most := (int(w.MaxFrame) - wire.AppendRequestHeaderSize) / p.entryBytes
	if w.MaxEntriesPerRequest > 0 {
		most = min(most, int(w.MaxEntriesPerRequest))
	}
	if p.batch > most {
		return planErrorf("--batch %d: the sidecar takes %d entries of this size a request", p.batch, most)
	}
	if w.MaxInflight > 0 && p.inflight > int(w.MaxInflight) {
		return planErrorf("--inflight %d: the sidecar takes %d requests a connection", p.inflight, w.MaxInflight)
	}
	p.maxBatch = p.batch
	if p.rate > 0 && p.batchP90 > p.batch {
		p.maxBatch = max(min(most, openBatchMax), p.batch)
	}
	return nil
}
