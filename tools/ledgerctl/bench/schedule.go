package bench

import (
	"math"
	"math/rand/v2"
	"time"
)

// phase is a time during which requests fall due at one rate.
type phase struct {
	rate   float64 // requests a second, > 0
	length time.Duration
}

// schedule says when each request of an open loop falls due, whatever the answers
// to those before it do. Request i of a phase is due at its start + i/rate.
type schedule []phase

// count returns how many requests the schedule has.
func (s schedule) count() int {
	n := 0
	for _, p := range s {
		n += p.count()
	}
	return n
}

func (s schedule) length() (all time.Duration) {
	for _, p := range s {
		all += p.length
	}
	return all
}

func (p phase) count() int { return int(math.Ceil(p.rate*p.length.Seconds() - 1e-9)) }

func (p phase) due(i int) time.Duration { return time.Duration(float64(i) / p.rate * 1e9) }

// due returns when request i falls due after the start. Requests behind the end
// go on at the last rate.
func (s schedule) due(i int) time.Duration {
	start := time.Duration(0)
	for k, p := range s {
		n := p.count()
		if i < n || k == len(s)-1 {
			return start + p.due(i)
		}
		i -= n
		start += p.length
	}
	return start
}

// z90 is the 90th percentile of the standard normal distribution.
const z90 = 1.2815515655446004

// logNormal is a distribution of batch sizes, given by two of its percentiles.
type logNormal struct {
	mu, sigma float64
	most      int
}

// newLogNormal has the given median and 90th percentile; what would be above most
// becomes most. With p90 ≤ median every size is the median.
func newLogNormal(median, p90, most int) logNormal {
	d := logNormal{mu: math.Log(float64(median)), most: most}
	if p90 > median {
		d.sigma = (math.Log(float64(p90)) - d.mu) / z90
	}
	return d
}

// size returns the size for a standard normal deviate, 1..most.
func (d logNormal) size(z float64) int {
	return min(max(int(math.Round(math.Exp(d.mu+d.sigma*z))), 1), d.most)
}

// batchSizes says how many entries each request of an open loop has, the same in
// every run, without a list: a soak has a hundred million of them. It belongs to one
// goroutine.
type batchSizes struct {
	distribution logNormal
	src          *rand.PCG
	rng          *rand.Rand
}

func newBatchSizes(p *Plan) batchSizes {
	src := rand.NewPCG(1, 2)
	return batchSizes{newLogNormal(p.batch, p.batchP90, p.maxBatch), src, rand.New(src)}
}

// of returns the size of request i.
func (b *batchSizes) of(i int) int {
	if b.distribution.sigma == 0 {
		return b.distribution.size(0)
	}
	b.src.Seed(1, uint64(i))
	return b.distribution.size(b.rng.NormFloat64())
}
