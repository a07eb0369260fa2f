package main

import (
	"slices"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// benchPlan says what a bench does.
type benchPlan struct {
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

func defaultBenchPlan() benchPlan {
	return benchPlan{
		node: sidecar.Macronode, connections: 64, inflight: 1, batch: 16, entryBytes: 200, accounts: 10_000,
		duration: 10 * time.Second, warmup: 2 * time.Second, nonces: noncesUUIDv7,
	}
}

// settle takes from the profile what was not set by hand, and checks the whole.
func (p *benchPlan) settle(set func(flag string) bool) error {
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
		return usagef("--profile %q: micronode, macronode, burst, max, roots or soak is wanted", p.profile)
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

func (p *benchPlan) check() error {
	switch {
	case p.connections < 1 || p.inflight < 1 || p.batch < 1 || p.batchP90 < 0 || p.readers < 0 || p.rate < 0:
		return usagef("--connections, --inflight and --batch are at least 1, --batch-p90, --readers and --rate at least 0")
	case p.accounts < 2 || p.accounts > 100_000:
		return usagef("--accounts %d: 2..100000 is wanted", p.accounts)
	case p.duration < 100*time.Millisecond || p.warmup < 0:
		return usagef("--duration is at least 100ms, --warmup at least 0s")
	case p.entryBytes < benchEntryMin || p.entryBytes > benchEntryMax || p.entryBytes%8 != 0:
		return usagef("--entry-bytes %d: a multiple of 8 in %d..%d is wanted", p.entryBytes, benchEntryMin, benchEntryMax)
	case !slices.Contains([]string{noncesUUIDv7, noncesRandom}, p.nonces):
		return usagef("--nonces %q: uuidv7 or random is wanted", p.nonces)
	case !slices.Contains([]string{sidecar.Micronode, sidecar.Macronode}, p.node):
		return usagef("--node %q: micronode or macronode is wanted", p.node)
	case p.burst && p.duration < 2*burstLength:
		return usagef("--profile burst lasts at least %v", 2*burstLength)
	case p.replay != "" && (p.rate > 0 || p.profile != ""):
		return usagef("--replay sends a journal as fast as it is taken: neither --rate nor --profile goes with it")
	case p.entries > 0 && p.rate > 0:
		return usagef("--entries is for a closed loop, --rate for an open one")
	case p.profile == profileSoak && p.duration < soakLeast:
		return usagef("--profile soak lasts at least %v", soakLeast)
	case p.cpuProfile != "" && !p.spawn:
		return usagef("--cpuprofile is for a sidecar that --spawn starts")
	}
	return nil
}

// plan makes the schedule: the warm-up, then one phase, or three around a burst.
func (p *benchPlan) plan() {
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
func (p *benchPlan) fit(w *wire.Welcome) error {
	most := (int(w.MaxFrame) - wire.AppendRequestHeaderSize) / p.entryBytes
	if w.MaxEntriesPerRequest > 0 {
		most = min(most, int(w.MaxEntriesPerRequest))
	}
	if p.batch > most {
		return usagef("--batch %d: the sidecar takes %d entries of this size a request", p.batch, most)
	}
	if w.MaxInflight > 0 && p.inflight > int(w.MaxInflight) {
		return usagef("--inflight %d: the sidecar takes %d requests a connection", p.inflight, w.MaxInflight)
	}
	p.maxBatch = p.batch
	if p.rate > 0 && p.batchP90 > p.batch {
		p.maxBatch = max(min(most, openBatchMax), p.batch)
	}
	return nil
}
