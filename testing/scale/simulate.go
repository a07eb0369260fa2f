package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// hours is how a day's entries lie in its hours, in percent: little at night, most at noon and in the evening.
var hours = [24]float64{1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7, 7, 6, 5, 5, 5, 6, 7, 7, 6, 4, 2, 2}

// poisson draws from a Poisson distribution; for a large mean from the normal one beside it.
func poisson(dice *rand.Rand, mean float64) float64 {
	if mean > 50 {
		return max(0, math.Round(mean+math.Sqrt(mean)*dice.NormFloat64()))
	}
	n, product := 0.0, dice.Float64()
	for limit := math.Exp(-mean); product > limit; n++ {
		product *= dice.Float64()
	}
	return n
}

// simulateDay counts what a ledger of so many entries a day sends to its archive, minute by minute, with the hours of a
// day and requests of entriesAtATime entries that come at random.
func simulateDay(dice *rand.Rand, entriesADay, record float64) (a archive) {
	for minute := range int(day / interval) {
		requests := poisson(dice, entriesADay*hours[minute/60]/100/60/entriesAtATime)
		if requests == 0 {
			continue
		}
		segments := math.Ceil(requests * entriesAtATime * record / segment)
		a.segments += segments
		a.heads += math.Ceil(segments / headEvery)
	}
	return a
}

// sampled is how many ledgers of a fleet are simulated at most; the others are like them.
const sampled = 2000

// manyLedgers prints what the archives of many ledgers take a day, where few of them have most of the entries: the
// ledger of rank r has a part that falls as 1/r.
func manyLedgers(m measured, p prices, seed uint64) {
	fmt.Println("| ledgers | entries a day, all | sent a day | writes a day | of them by the busiest tenth | writes, money a day | storage that a day adds, money a day | a year of it |\n|---|---|---|---|---|---|---|---|")
	dice := rand.New(rand.NewPCG(seed, 1))
	for _, ledgers := range []int{10, 1000, 100_000} {
		harmonic := 0.0
		for r := range ledgers {
			harmonic += 1 / float64(r+1)
		}
		for _, total := range []float64{1e7, 1e9} {
			puts, busiest := 0.0, 0.0
			step := max(1, ledgers/sampled)
			for r := 0; r < ledgers; r += step {
				each := simulateDay(dice, total/harmonic/float64(r+1+step/2), m.record).puts() * float64(min(step, ledgers-r))
				puts += each
				if r < max(1, ledgers/10) {
					busiest += each
				}
			}
			sent := total * m.archived
			fmt.Printf("| %s | %s | %s | %s | %.0f %% | %.2f | %.3f | %.2f |\n", word(float64(ledgers)), word(total), size(sent), word(math.Round(puts)), 100*busiest/puts,
				p.puts(puts), p.stored(sent), 365*p.puts(puts)+p.stored(sent)*365*366/2)
		}
	}
	fmt.Println()
}

// upload draws how long an upload takes, in seconds: log-normal, p99 four times the median.
func upload(dice *rand.Rand, median float64) float64 {
	return median * math.Exp(0.6*dice.NormFloat64())
}

// settleAfter is how long after the last segment the head follows, in seconds.
const settleAfter = 1

// syncHeadEvery is after how many segments the head follows in sync, beside the uploads.
const syncHeadEvery = 48

// shareMax bounds how long a segment waits for its share of the time of an upload, in seconds.
const shareMax = 0.05

// syncRun is what archive.mode = sync does at a rate of commits: so many uploads are under way at once, each behind the one before
// it by an equal share of the time that one takes, and takes what has queued up.
type syncRun struct {
	segmentsASecond float64
	headsASecond    float64
	commitsASegment float64
	p50, p95, p99   float64 // of the time from a commit to its acknowledgement, seconds
}

// writes counts the requests of a second: segments, and the heads behind them.
func (r syncRun) writes() float64 { return r.segmentsASecond + r.headsASecond }

// underWay is an upload that has begun.
type underWay struct{ cut, told float64 } // told: when it and all before it are there

// simulateSync simulates commits that come at random, for so many seconds.
func simulateSync(dice *rand.Rand, commitsASecond, median float64, uploads int, seconds float64) (r syncRun) {
	var waits []float64
	var under []underWay
	segments, heads, lag, took, last := 0.0, 0.0, 0, 0.0, underWay{}
	for next := dice.ExpFloat64() / commitsASecond; next < seconds; {
		if next > last.told+settleAfter && lag > 0 {
			heads, lag = heads+1, 0
		}
		now := max(next, last.cut+min(took/float64(uploads), shareMax))
		if len(under) == uploads {
			now = max(now, under[0].told)
		}
		for len(under) > 0 && under[0].told <= now {
			took, under = under[0].told-under[0].cut, under[1:]
		}
		last = underWay{now, max(last.told, now+upload(dice, median))}
		under = append(under, last)
		segments++
		if lag++; lag == syncHeadEvery {
			heads, lag = heads+1, 0
		}
		for ; next <= now; next += dice.ExpFloat64() / commitsASecond {
			waits = append(waits, last.told-next)
		}
	}
	slices.Sort(waits)
	at := func(q float64) float64 { return waits[int(q*float64(len(waits)-1))] }
	return syncRun{segments / seconds, heads / seconds, float64(len(waits)) / segments, at(0.5), at(0.95), at(0.99)}
}

// syncMode prints what a synchronous archive takes, for stores near and far.
func syncMode(p prices, seed uint64) {
	fmt.Println("| an upload takes, median | archive.uploads | commits/s of one ledger, sync | segments/s | commits a segment | wait p50 / p95 / p99 ms | writes a day | money a day |\n|---|---|---|---|---|---|---|---|")
	dice := rand.New(rand.NewPCG(seed, 2))
	for _, median := range []float64{0.005, 0.020, 0.100} {
		for _, uploads := range []int{1, 4} {
			for _, rate := range []float64{0.1, 1, 10, 100, 1000} {
				r := simulateSync(dice, rate, median, uploads, max(600, 2000/rate))
				puts := r.writes() * day
				fmt.Printf("| %.0f ms | %d | %.3g | %.3g | %.3g | %.0f / %.0f / %.0f | %s | %.2f |\n", median*1e3, uploads, rate, r.segmentsASecond, r.commitsASegment,
					r.p50*1e3, r.p95*1e3, r.p99*1e3, word(math.Round(puts)), p.puts(puts))
			}
		}
	}
	fmt.Println()
}

// looking is a fleet that is looked at.
type looking struct {
	ledgers, parallel int
	interval          float64 // seconds
	silent            float64 // part of the ledgers that do not answer from a moment on
}

// simulateLooks returns how long it takes until each of the silent ledgers is named, in intervals: the slowest one.
func (l looking) simulate(dice *rand.Rand) (slowest float64) {
	type event struct {
		at      float64
		ledger  int
		failing bool // it is the second look
	}
	var events []event
	silent := make([]bool, l.ledgers)
	for i := range silent {
		silent[i] = dice.Float64() < l.silent
		events = append(events, event{at: dice.Float64() * l.interval, ledger: i})
	}
	free := make([]float64, l.parallel) // when each turn is free again
	for named := 0; len(events) > 0 && named < l.ledgers; {
		first := 0
		for i := range events {
			if events[i].at < events[first].at {
				first = i
			}
		}
		e := events[first]
		events[first] = events[len(events)-1]
		events = events[:len(events)-1]
		turn := 0
		for i := range free {
			if free[i] < free[turn] {
				turn = i
			}
		}
		begins := max(e.at, free[turn])
		if !silent[e.ledger] {
			free[turn] = begins + 0.05
			continue // one good look is all of it that takes a turn
		}
		free[turn] = begins + l.interval/4
		if e.failing {
			slowest = max(slowest, free[turn]/l.interval)
			named++
			continue
		}
		events = append(events, event{free[turn] + l.interval/4, e.ledger, true})
	}
	return slowest
}

// monitors prints what a monitor of a fleet takes.
func monitors(m measured, seed uint64) {
	fmt.Println("| ledgers that one monitor follows | interval | looks/s | received a day, all with news | silent at once | named after, intervals, 64 looks at once | 512 at once |\n|---|---|---|---|---|---|---|")
	dice := rand.New(rand.NewPCG(seed, 3))
	for _, ledgers := range []int{10, 200, 1000, 10_000} {
		for _, part := range []float64{0.01, 0.1} {
			l := looking{ledgers: ledgers, parallel: 64, interval: 10, silent: part}
			wide := l
			wide.parallel = 512
			fmt.Printf("| %s | 10 s | %.3g | %s | %.0f %% | %.2f | %.2f |\n", word(float64(ledgers)), float64(ledgers)/10, size(float64(ledgers)*day/10*m.look),
				100*part, l.simulate(dice), wide.simulate(dice))
		}
	}
	fmt.Println()
}
