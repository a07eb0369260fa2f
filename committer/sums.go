package committer

import (
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// sum is what the ledger knows of one asset as a whole. supply moves with Mint,
// Burn and their reversals alone; total moves with every balance that is written.
// The two are kept by different code, so comparing them checks the rules.
//
// Invariant at the end of every request: total == supply.
type sum struct {
	asset   wire.Asset
	supply  wire.Amount
	total   wire.Amount // modulo 2^128, since legs may pass through any value
	changed bool        // since the last checkpoint was cut
	touched bool        // since the invariant was checked last

	// Legs of the request that is being judged, with the index of the first.
	legs     bool
	firstLeg int
	credits  wire.Amount
	debits   wire.Amount
}

// sum returns the sum of the asset, which is made where there is none.
func (l *ledger) sum(asset wire.Asset) *sum {
	s, ok := l.sums[asset]
	if !ok {
		// Its row is due even while the supply is zero: restore has to know of every
		// asset in which there are balances.
		s = &sum{asset: asset, changed: true}
		l.sums[asset] = s
		l.note(undo{op: undoSum, sum: s})
	}
	return s
}

// touch puts the sum among those that conserved looks at.
func (l *ledger) touch(s *sum) *sum {
	if !s.touched {
		s.touched = true
		l.touchedSums = append(l.touchedSums, s)
	}
	return s
}

// setSupply is the one place where a supply changes.
func (l *ledger) setSupply(s *sum, supply wire.Amount) {
	l.note(undo{op: undoSupply, sum: s, available: s.supply})
	l.touch(s).supply = supply
	s.changed = true
}

// conserved reports whether total equals supply for every asset that changed
// since the last call, and the asset where it does not.
func (l *ledger) conserved() (wire.Asset, bool) {
	for _, s := range l.touchedSums {
		s.touched = false
		if s.total != s.supply {
			return s.asset, false
		}
	}
	l.touchedSums = l.touchedSums[:0]
	return wire.Asset{}, true
}

// supplyRows appends the supplies that changed since the last call.
func (l *ledger) supplyRows(rows []store.SupplyRow) []store.SupplyRow {
	for _, s := range l.sums {
		if s.changed {
			s.changed = false
			rows = append(rows, store.SupplyRow{Asset: s.asset, Supply: s.supply.Bytes()})
		}
	}
	return rows
}

// leg books one leg of the request that is being judged. It reports false when
// the sum of the legs is beyond 128 bits.
func (l *ledger) leg(asset wire.Asset, amount wire.Amount, credit bool) bool {
	s := l.sum(asset)
	if !s.legs {
		s.legs, s.firstLeg = true, l.at
		s.credits, s.debits = wire.Amount{}, wire.Amount{}
		l.legs = append(l.legs, s)
	}
	side := &s.debits
	if credit {
		side = &s.credits
	}
	next, ok := side.Add(amount)
	if ok {
		*side = next
	}
	return ok
}

// settleLegs ends the legs of a request: it returns the sum whose credits and
// debits differ, nil when all agree.
func (l *ledger) settleLegs() (unbalanced *sum) {
	for _, s := range l.legs {
		if s.credits != s.debits && unbalanced == nil {
			unbalanced = s
		}
		s.legs = false
	}
	l.legs = l.legs[:0]
	return unbalanced
}
