package model

import (
	"math/big"

	"github.com/rustyonions/ron-ledger/wire"
)

// effect is what an entry does with its amount: out of takes, then into puts.
type effect struct {
	takes, puts []cell
	leg         bool
	reverses    uint64 // the original's sequence number, for a Reverse
}

// swapped returns the effect of undoing e.
func (e effect) swapped() effect { return effect{takes: e.puts, puts: e.takes} }

// effect returns what f would do as entry number seq, or why its ref is no good.
func (l *Ledger) effect(f *wire.Fields, seq uint64) (effect, wire.Reason) {
	own := cell{table: available, account: f.Account, asset: f.Asset}
	other := cell{table: available, account: f.Counterparty, asset: f.Asset}
	aside := cell{table: held, account: f.Account, asset: f.Asset}
	minted := cell{table: supply, asset: f.Asset}
	switch f.Kind {
	case wire.KindCredit:
		return effect{puts: []cell{own, {table: credits, asset: f.Asset}}, leg: true}, 0
	case wire.KindDebit:
		return effect{takes: []cell{own}, puts: []cell{{table: debits, asset: f.Asset}}, leg: true}, 0
	case wire.KindTransfer:
		return effect{takes: []cell{own}, puts: []cell{other}}, 0
	case wire.KindMint:
		return effect{puts: []cell{minted, own}}, 0
	case wire.KindBurn:
		return effect{takes: []cell{own, minted}}, 0
	case wire.KindHold:
		return effect{takes: []cell{own}, puts: []cell{aside, {table: left, hold: seq}}}, 0
	case wire.KindReverse:
		return l.reversal(f)
	}
	hold := l.Seq(f.Account, f.Ref)
	if hold == 0 || l.Entry(hold).Kind != wire.KindHold || l.Entry(hold).Asset != f.Asset {
		return effect{}, wire.ReasonUnknownRef
	}
	settled := effect{takes: []cell{{table: left, hold: hold}, aside}, puts: []cell{own}}
	if f.Kind == wire.KindCapture {
		settled.puts = []cell{other}
	}
	return settled, 0
}

// reversal returns the inverse of the entry that f names.
func (l *Ledger) reversal(f *wire.Fields) (effect, wire.Reason) {
	seq := l.Seq(f.Account, f.Ref)
	if seq == 0 {
		return effect{}, wire.ReasonUnknownRef
	}
	original := l.Entry(seq)
	if original.Kind == wire.KindReverse || original.Asset != f.Asset || original.Amount != f.Amount {
		return effect{}, wire.ReasonUnknownRef
	}
	if l.reversed[seq] != 0 {
		return effect{}, wire.ReasonAlreadyReversed
	}
	opposite := original
	var inverse effect
	switch original.Kind {
	case wire.KindCredit:
		opposite.Kind = wire.KindDebit
		inverse, _ = l.effect(&opposite, seq)
	case wire.KindDebit:
		opposite.Kind = wire.KindCredit
		inverse, _ = l.effect(&opposite, seq)
	default:
		done, _ := l.effect(&original, seq)
		inverse = done.swapped()
	}
	inverse.reverses = seq
	return inverse, 0
}

// outcome returns the cells that e changes and what they then hold, or why it cannot be.
func (l *Ledger) outcome(e *effect, amount *big.Int) (map[cell]*big.Int, wire.Reason) {
	changed := map[cell]*big.Int{}
	now := func(c cell) *big.Int {
		if n := changed[c]; n != nil {
			return n
		}
		return l.count(c)
	}
	for _, c := range e.takes {
		changed[c] = new(big.Int).Sub(now(c), amount)
		if changed[c].Sign() < 0 {
			return nil, wire.ReasonInsufficientFunds
		}
	}
	for _, c := range e.puts {
		changed[c] = new(big.Int).Add(now(c), amount)
		if changed[c].Cmp(most) > 0 {
			return nil, wire.ReasonOverflow
		}
	}
	return changed, 0
}
