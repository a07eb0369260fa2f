package main

import (
	"fmt"
	"math"
)

const (
	day     = 86_400.0    // seconds
	month   = 365.25 / 12 // days
	gb      = 1e9
	segment = 4 << 20 // bytes of records at which the archive ends a segment
	// headEvery is after how many segments the head is written at the latest.
	headEvery = 64
	interval  = 60.0 // archive.interval, seconds
)

// prices are those of an object store, in one currency.
type prices struct {
	put, get float64 // for 1,000
	gb       float64 // for a GB and a month
}

// stored is what bytes cost a day.
func (p prices) stored(bytes float64) float64 { return bytes / gb * p.gb / month }

func (p prices) puts(n float64) float64 { return n / 1000 * p.put }

// archive is what an archive is sent in a day.
type archive struct{ segments, heads float64 }

func (a archive) puts() float64 { return a.segments + a.heads }

// shipped is the archive of entries that come evenly, by formula: in each interval the segments that they fill, and a head.
func shipped(entriesADay, record float64) archive {
	intervals := day / interval
	each := entriesADay / intervals
	busy := intervals * (1 - math.Exp(-each/entriesAtATime)) // in which there is a commit at all
	full := entriesADay * record / segment
	segments := max(busy, full+busy/2) // the last one of an interval is half full, on average
	if full < busy/2 {
		segments = busy
	}
	return archive{segments: segments, heads: busy + full/headEvery}
}

// largeLedgers prints what one ledger of so many entries takes.
func largeLedgers(m measured, p prices) {
	fmt.Println("| entries of one ledger | log | state | state, bodies pruned | archive | segments | storage a month | proof of an entry | records for it |\n|---|---|---|---|---|---|---|---|---|")
	for _, n := range []float64{1e6, 1e9, 1e12} {
		fmt.Printf("| %s | %s | %s | %s | %s | %s | %.2f | %.0f hashes | 512 |\n", word(n), size(n*m.log), size(n*m.state), size(n*m.pruned), size(n*m.archived),
			word(math.Ceil(n*m.record/segment)), n*m.archived/gb*p.gb, math.Ceil(math.Log2(n)))
	}
	fmt.Println()
}

// readers prints what followers of roots take of one ledger.
func readers(m measured) {
	fmt.Println("| readers of one ledger's roots | every | requests/s | bytes a day, one commit or more between two looks | without news |\n|---|---|---|---|---|")
	for _, n := range []float64{1, 100, 1000} {
		for _, every := range []float64{1, 10, 60} {
			fmt.Printf("| %s | %.0f s | %.1f | %s | %s |\n", word(n), every, n/every, size(n*day/every*m.look), size(n*day/every*m.idle))
		}
	}
	fmt.Println()
}

// word writes a number as people do.
func word(n float64) string {
	switch {
	case n >= 1e12:
		return fmt.Sprintf("%.3g·10¹²", n/1e12)
	case n >= 1e9:
		return fmt.Sprintf("%.3g·10⁹", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.3g million", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f,%03.0f", math.Floor(n/1e3), math.Mod(n, 1e3))
	}
	return fmt.Sprintf("%.3g", n)
}

func size(bytes float64) string {
	unit := 0
	for bytes >= 1000 && unit < 6 {
		bytes /= 1000
		unit++
	}
	return fmt.Sprintf("%.3g %s", bytes, []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}[unit])
}
