package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Where there is a formula, the simulations say the same.
func TestSimulationsAgreeWithFormulas(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 1))
	for _, mean := range []float64{0.1, 3, 40, 1000} {
		sum := 0.0
		for range 20_000 {
			sum += poisson(dice, mean)
		}
		if got := sum / 20_000; math.Abs(got-mean) > 0.05*mean+0.01 {
			t.Errorf("Poisson of mean %v has mean %v", mean, got)
		}
	}
	sum := 0.0
	for _, part := range hours {
		sum += part
	}
	if sum != 100 {
		t.Errorf("the hours of a day have %v percent", sum)
	}
	// A ledger that books in every minute writes a segment and a head in each; one that fills segments writes its
	// bytes over their size and one that is not full a minute.
	if a := simulateDay(dice, 1e6, 200); a.segments < 0.99*day/interval || a.segments > 1.2*day/interval || a.heads > a.segments {
		t.Errorf("a million entries a day: %+v", a)
	}
	for _, entries := range []float64{1e9, 1e10} { // in the quietest minute they fill segments too, as the formula has it
		got, want := simulateDay(dice, entries, 200).segments, shipped(entries, 200).segments
		if math.Abs(got-want) > 0.02*want {
			t.Errorf("%v entries a day: %v segments are simulated, %v computed", entries, got, want)
		}
	}
}

// A sync archive at rest takes an upload for each commit; under load it uploads all the time, as many at once as it may.
func TestSyncAtItsEnds(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	mean := 0.020 * math.Exp(0.6*0.6/2)
	for _, uploads := range []int{1, 4} {
		if r := simulateSync(dice, 0.1, 0.020, uploads, 40_000); math.Abs(r.segmentsASecond-0.1) > 0.01 || r.commitsASegment > 1.02 || math.Abs(r.p50-0.020) > 0.003 {
			t.Errorf("at rest: %+v", r)
		} else if heads := r.segmentsASecond * math.Exp(-0.1*settleAfter); math.Abs(r.headsASecond-heads) > 0.005 { // where none follows within a second
			t.Errorf("at rest: %+v, %v heads by the formula", r, heads)
		}
		r := simulateSync(dice, 5000, 0.020, uploads, 60)
		if most := float64(uploads) / mean; r.segmentsASecond > most || r.segmentsASecond < 0.6*most || math.Abs(r.headsASecond*syncHeadEvery/r.segmentsASecond-1) > 0.05 {
			t.Errorf("under load, %d at once: %+v, an upload takes %v", uploads, r, mean)
		}
	}
}

// With turns for all, the slowest silent ledger is named after at most 1.75 intervals, and hardly before.
func TestMonitorsNameInTime(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 3))
	l := looking{ledgers: 1000, parallel: 1000, interval: 10, silent: 1}
	if got := l.simulate(dice); got > 1.75 || got < 1.7 {
		t.Errorf("named after %v intervals", got)
	}
	l.parallel = 10
	if got := l.simulate(dice); got < 5 {
		t.Errorf("with ten turns for a thousand silent ledgers named after %v intervals", got)
	}
}
