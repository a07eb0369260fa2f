package sidecartest

import (
	"math/big"
	"slices"

	"github.com/rustyonions/ron-ledger/wire"
)

// weights of the kinds among entries that stand alone.
var weights = []struct {
	kind   wire.Kind
	weight int
}{
	{wire.KindMint, 12}, {wire.KindBurn, 8}, {wire.KindTransfer, 26}, {wire.KindHold, 14}, {wire.KindCapture, 10},
	{wire.KindRelease, 8}, {wire.KindReverse, 16}, {wire.KindCredit, 3}, {wire.KindDebit, 3},
}

// entry draws one entry: mostly new and sensible, else a repetition, a conflict, or
// something of bad shape.
func (g *generator) entry() wire.Fields {
	if g.ledger.Size() > 0 {
		switch n := g.IntN(100); {
		case n < 7:
			f := g.anyBooked()
			f.Timestamp += int64(g.IntN(2))
			return f
		case n < 11:
			return g.conflict()
		}
	}
	n := 0
	for _, w := range weights {
		n += w.weight
	}
	n = g.IntN(n)
	for _, w := range weights {
		if n -= w.weight; n < 0 {
			f := g.ofKind(w.kind)
			if g.chance(2) {
				g.spoilShape(&f)
			}
			return f
		}
	}
	panic("sidecartest: the weights do not add up")
}

// anyBooked returns an entry of the log, each kind with the same chance, half of the
// time a recent one.
func (g *generator) anyBooked() wire.Fields {
	var kinds []wire.Kind
	for _, kind := range wire.Kinds() { // in order: the draw must not depend on a map
		if len(g.booked[kind]) > 0 {
			kinds = append(kinds, kind)
		}
	}
	return g.ledger.Entry(g.bookedOf(choose(g, kinds)))
}

// bookedOf returns the number of a booked entry of that kind; 0 = there is none.
func (g *generator) bookedOf(kind wire.Kind) uint64 {
	seqs := g.booked[kind]
	if len(seqs) == 0 {
		return 0
	}
	if g.chance(60) {
		seqs = seqs[max(0, len(seqs)-12):]
	}
	return choose(g, seqs)
}

// conflict returns a booked entry that is not what it was.
func (g *generator) conflict() wire.Fields {
	f := g.anyBooked()
	switch g.IntN(4) {
	case 0:
		f.Amount = amountOf(new(big.Int).Add(bigOf(f.Amount), big.NewInt(1)))
		if f.Amount == amountOf(amountMax) {
			f.Amount = wire.AmountOf(7)
		}
	case 1:
		f.Memo = append(slices.Clone(f.Memo), 'x')
	case 2:
		f.Asset = asset("OTHER")
	case 3:
		other := g.ofKind(choose(g, wire.Kinds()))
		other.Account, other.Nonce = f.Account, f.Nonce
		return other
	}
	return f
}

// ofKind draws a new entry of that kind.
func (g *generator) ofKind(kind wire.Kind) wire.Fields {
	f := wire.Fields{Kind: kind, Account: g.account(), Asset: g.asset(), Nonce: g.nonce(), Timestamp: g.Int64N(1 << 40)}
	if g.chance(10) {
		f.Memo = make([]byte, g.IntN(40))
	}
	if kind.HasCounterparty() {
		f.Counterparty = g.account()
	}
	switch kind {
	case wire.KindRelease, wire.KindCapture:
		g.refHold(&f)
	case wire.KindReverse:
		g.refOriginal(&f, 0)
	case wire.KindMint:
		if f.Asset == assets[null] {
			f.Asset = assets[small]
		}
		f.Amount = wire.AmountOf(1 + g.Uint64N(1000))
		if f.Asset == assets[huge] && g.chance(70) {
			f.Amount = g.near(new(big.Int).Sub(amountMax, g.ledger.Supply(f.Asset)))
		}
	default:
		f.Amount = g.amount(f.Account, f.Asset)
	}
	return f
}

// refHold makes f name a hold: mostly one of which something is left, with an amount
// near that.
func (g *generator) refHold(f *wire.Fields) {
	seq := uint64(0)
	for range 4 {
		seq = g.bookedOf(wire.KindHold)
		if seq == 0 {
			f.Amount, f.Ref = wire.AmountOf(1), g.nonce()
			return
		}
		if g.ledger.Left(seq).Sign() > 0 || g.chance(10) {
			break
		}
	}
	hold := g.ledger.Entry(seq)
	f.Account, f.Asset, f.Ref = hold.Account, hold.Asset, hold.Nonce
	f.Amount = g.near(g.ledger.Left(seq))
	if g.chance(8) {
		g.spoilRef(f)
	}
}

// refOriginal makes f, a Reverse, name an entry of that kind, 0 = of any, mostly one
// that can be reversed.
func (g *generator) refOriginal(f *wire.Fields, kind wire.Kind) {
	f.Amount, f.Ref = wire.AmountOf(1), g.nonce()
	for range 4 {
		if g.ledger.Size() == 0 {
			return
		}
		original := g.anyBooked()
		if kind != 0 {
			seq := g.bookedOf(kind)
			if seq == 0 {
				return
			}
			original = g.ledger.Entry(seq)
		}
		f.Account, f.Asset, f.Amount, f.Ref = original.Account, original.Asset, original.Amount, original.Nonce
		if g.ledger.Reversal(g.ledger.Seq(f.Account, f.Ref)) == 0 || g.chance(20) {
			break
		}
	}
	if g.chance(8) {
		g.spoilRef(f)
	}
}

// spoilRef makes f name the wrong thing, or the right thing wrongly.
func (g *generator) spoilRef(f *wire.Fields) {
	switch g.IntN(5) {
	case 0:
		f.Ref = g.nonce()
	case 1:
		f.Account = g.account()
	case 2:
		f.Asset = g.asset()
	case 3:
		f.Amount = wire.AmountOf(1 + g.Uint64N(50))
	case 4:
		if g.ledger.Size() > 0 {
			other := g.anyBooked()
			f.Account, f.Ref = other.Account, other.Nonce
		}
	}
}

// spoilShape makes f something that is no entry.
func (g *generator) spoilShape(f *wire.Fields) {
	switch g.IntN(9) {
	case 0:
		f.Amount = wire.Amount{}
	case 1:
		f.Account = ""
	case 2:
		f.Account += "#"
	case 3:
		f.Asset = wire.Asset{'e', 'u', 'r'}
	case 4:
		f.Memo = make([]byte, wire.MaxMemoLength+1)
	case 5:
		f.Asset = wire.Asset{'A', 0, 'B'}
	case 6:
		if f.Counterparty == "" {
			f.Counterparty = g.account()
		} else {
			f.Counterparty = ""
		}
	case 7:
		f.Account = string(make([]byte, wire.MaxAccountLength+1))
	case 8:
		f.Kind = choose(g, []wire.Kind{0, 10, wire.KindEpoch, 255})
	}
}

func (g *generator) leg(kind wire.Kind, account string, a wire.Asset, amount wire.Amount) wire.Fields {
	return wire.Fields{Kind: kind, Account: account, Asset: a, Amount: amount, Nonce: g.nonce(), Timestamp: g.Int64N(1 << 40)}
}

// legs draws legs that mostly balance, in one asset or more.
func (g *generator) legs() (entries []wire.Fields) {
	for range 1 + g.IntN(2) {
		a := g.asset()
		if g.chance(40) {
			entries = append(entries, g.undoneLegs()...)
			continue
		}
		sum := new(big.Int)
		for range 1 + g.IntN(3) {
			payer := g.account()
			f := g.leg(wire.KindDebit, payer, a, g.amount(payer, a))
			sum.Add(sum, bigOf(f.Amount))
			entries = append(entries, f)
		}
		if g.chance(12) {
			sum.Add(sum, big.NewInt(1))
		}
		entries = append(entries, g.leg(wire.KindCredit, g.account(), a, amountOf(sum)))
		if g.chance(50) {
			slices.Reverse(entries)
		}
	}
	return entries
}

// undoneLegs draws the reversal of a leg of the past and a leg that balances it.
func (g *generator) undoneLegs() []wire.Fields {
	kind := choose(g, []wire.Kind{wire.KindCredit, wire.KindDebit})
	f := wire.Fields{Kind: wire.KindReverse, Account: g.account(), Nonce: g.nonce()}
	for range 4 {
		g.refOriginal(&f, kind)
		if kind == wire.KindDebit || g.available(f.Account, f.Asset).Cmp(bigOf(f.Amount)) >= 0 {
			break
		}
	}
	other := g.leg(kind, g.account(), f.Asset, f.Amount)
	if g.chance(50) {
		return []wire.Fields{other, f}
	}
	return []wire.Fields{f, other}
}

// squeezed are the kinds that are put amid legs.
var squeezed = []wire.Kind{
	wire.KindTransfer, wire.KindTransfer, wire.KindHold, wire.KindRelease, wire.KindCapture, wire.KindCredit, wire.KindDebit, wire.KindBurn,
}

// squeeze draws an atomic request that comes close to 2^128 by legs, with an entry
// amid them that may go beyond.
func (g *generator) squeeze() []wire.Fields {
	f := g.amid()
	target := f.Account
	if f.Counterparty != "" && g.chance(80) {
		target = f.Counterparty
	}
	if g.chance(10) {
		target = g.account()
	}
	leg := func(kind wire.Kind, account string, amount wire.Amount) wire.Fields {
		return g.leg(kind, account, f.Asset, amount)
	}
	room := amountOf(new(big.Int).Sub(amountMax, g.available(target, f.Asset)))
	switch g.IntN(4) {
	case 0: // what is held comes close
		own := amountOf(new(big.Int).Sub(amountMax, g.available(f.Account, f.Asset)))
		rest := amountOf(new(big.Int).Sub(amountMax, g.held(f.Account, f.Asset)))
		return []wire.Fields{leg(wire.KindCredit, f.Account, own), leg(wire.KindHold, f.Account, rest), f}
	case 1: // the sum of the debits comes close
		most := amountOf(amountMax)
		return []wire.Fields{leg(wire.KindCredit, "nobody", most), leg(wire.KindDebit, "nobody", most), f}
	case 2: // more is burnt than there is
		supply := amountOf(g.ledger.Supply(f.Asset))
		return []wire.Fields{
			leg(wire.KindCredit, target, supply), f, leg(wire.KindBurn, target, supply), leg(wire.KindDebit, target, supply),
		}
	}
	return []wire.Fields{leg(wire.KindCredit, target, room), f, leg(wire.KindDebit, target, room)}
}

// amid draws an entry to put amid legs: mostly one whose money is there.
func (g *generator) amid() (f wire.Fields) {
	if g.chance(60) {
		f = wire.Fields{Kind: wire.KindReverse, Account: g.account(), Asset: g.asset(), Nonce: g.nonce()}
		g.refOriginal(&f, choose(g, wire.Kinds()[:6]))
		if g.chance(30) {
			g.refOriginal(&f, choose(g, []wire.Kind{wire.KindRelease, wire.KindCapture}))
		}
		return f
	}
	for range 6 {
		f = g.ofKind(choose(g, squeezed))
		if f.Ref != (wire.Nonce{}) || f.Kind == wire.KindCredit || g.available(f.Account, f.Asset).Cmp(bigOf(f.Amount)) >= 0 {
			break
		}
	}
	return f
}
