package committer

import (
	"errors"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Texts that go with a rejection. They name no balance and no amount that the
// caller has not sent: whoever may append need not be allowed to read.
const (
	lacksFunds     = "the available balance is too low"
	lacksHeld      = "less is left of the hold"
	lacksSupply    = "the supply is too low"
	beyondBalance  = "the balance would exceed 2^128-1"
	beyondSupply   = "the supply would exceed 2^128-1"
	beyondLegs     = "the sum of the legs exceeds 2^128-1"
	lonelyLeg      = "a Credit or Debit is a leg of an atomic request"
	refUnknown     = "ref names no entry of this account"
	refNoHold      = "ref names an entry that is not a Hold"
	refOtherAmount = "a reversal is whole: amount differs from the original's"
	refReversal    = "a reversal cannot be reversed"
	refEpoch       = "ref names the beginning of an epoch, which moved nothing"
	refReversed    = "the entry that ref names was reversed before"
	holdInUse      = "a part of the hold was captured or released: reverse that first"
)

// apply checks the rules for an entry that is not known yet and changes the
// balances when it is accepted; a rejected entry changes nothing. a is nil where
// the account does not exist yet.
func (l *ledger) apply(a *account, e wire.Entry) verdict {
	switch e.Kind() {
	case wire.KindCredit:
		return l.creditLeg(a, e)
	case wire.KindDebit:
		return l.debitLeg(a, e)
	case wire.KindTransfer:
		return l.transfer(a, e)
	case wire.KindMint:
		return l.mint(a, e)
	case wire.KindBurn:
		return l.burn(a, e)
	case wire.KindHold:
		return l.hold(a, e)
	case wire.KindRelease:
		return l.release(a, e)
	case wire.KindCapture:
		return l.capture(a, e)
	case wire.KindReverse:
		return l.reverse(a, e)
	case wire.KindEpoch:
		return l.beginEpoch(e)
	}
	return rejected(wire.ReasonUnknownKind, "kind is none that a client can send")
}

// Credit: account += amount, as a leg.
func (l *ledger) creditLeg(a *account, e wire.Entry) verdict {
	if !l.atomic {
		return rejected(wire.ReasonUnbalanced, lonelyLeg)
	}
	if v := l.receive(a, e.Account(), e.Asset(), e.Amount()); v.outcome != booked {
		return v
	}
	return l.bookLeg(e, true)
}

// Debit: account -= amount, as a leg.
func (l *ledger) debitLeg(a *account, e wire.Entry) verdict {
	if !l.atomic {
		return rejected(wire.ReasonUnbalanced, lonelyLeg)
	}
	if v := l.spend(a, e.Asset(), e.Amount()); v.outcome != booked {
		return v
	}
	return l.bookLeg(e, false)
}

// bookLeg counts a leg. A leg is judged within an atomic request alone, which
// takes the balance back when this rejects.
func (l *ledger) bookLeg(e wire.Entry, credit bool) verdict {
	if !l.leg(e.Asset(), e.Amount(), credit) {
		return rejected(wire.ReasonOverflow, beyondLegs)
	}
	return accepted()
}

// Transfer: account -= amount, counterparty += amount.
func (l *ledger) transfer(a *account, e wire.Entry) verdict {
	from, v := l.funded(a, e.Asset(), e.Amount())
	if from == nil {
		return v
	}
	return l.move(a, from, e.Counterparty(), e.Amount())
}

// move takes amount from what is available of from, which covers it, and gives
// it to the account named to.
func (l *ledger) move(a *account, from *balance, to []byte, amount wire.Amount) verdict {
	if string(to) == string(a.name) {
		return accepted() // a movement to itself needs the funds and changes nothing
	}
	b, into, v := l.payee(to, from.asset, amount)
	if v.outcome != booked {
		return v
	}
	rest, _ := from.available.Sub(amount)
	l.set(a, from, rest, from.held)
	return l.give(b, to, from.asset, into, amount)
}

// Mint: account += amount, supply += amount.
func (l *ledger) mint(a *account, e wire.Entry) verdict {
	if s, known := l.sums[e.Asset()]; known {
		if _, ok := s.supply.Add(e.Amount()); !ok {
			return rejected(wire.ReasonOverflow, beyondSupply)
		}
	}
	if v := l.receive(a, e.Account(), e.Asset(), e.Amount()); v.outcome != booked {
		return v
	}
	s := l.sum(e.Asset())
	supply, _ := s.supply.Add(e.Amount())
	l.setSupply(s, supply)
	return accepted()
}

// Burn: account -= amount, supply -= amount.
func (l *ledger) burn(a *account, e wire.Entry) verdict {
	from, v := l.funded(a, e.Asset(), e.Amount())
	if from == nil {
		return v
	}
	supply, ok := from.sum.supply.Sub(e.Amount())
	if !ok { // only amid the legs of an atomic request
		return rejected(wire.ReasonInsufficientFunds, lacksSupply)
	}
	rest, _ := from.available.Sub(e.Amount())
	l.set(a, from, rest, from.held)
	l.setSupply(from.sum, supply)
	return accepted()
}

// Hold: available -= amount, held += amount.
func (l *ledger) hold(a *account, e wire.Entry) verdict {
	from, v := l.funded(a, e.Asset(), e.Amount())
	if from == nil {
		return v
	}
	if !l.setAside(a, from, e.Amount()) {
		return rejected(wire.ReasonOverflow, beyondBalance)
	}
	l.setHold(store.Identity{Nonce: e.Nonce(), Account: a.number}, hold{asset: e.Asset(), remaining: e.Amount()})
	return accepted()
}

// setAside moves amount, which is available, to held.
func (l *ledger) setAside(a *account, b *balance, amount wire.Amount) bool {
	held, ok := b.held.Add(amount)
	if !ok {
		return false
	}
	available, _ := b.available.Sub(amount)
	l.set(a, b, available, held)
	return true
}

// Release: amount of the hold goes back to available.
func (l *ledger) release(a *account, e wire.Entry) verdict {
	id, left, v := l.heldFor(a, e)
	if v.outcome != booked {
		return v
	}
	b, err := l.balanceOf(a, e.Asset())
	if err != nil {
		return undecided(err)
	}
	available, ok := b.available.Add(e.Amount())
	if !ok {
		return rejected(wire.ReasonOverflow, beyondBalance)
	}
	held, _ := b.held.Sub(e.Amount())
	l.set(a, b, available, held)
	l.setHold(id, hold{asset: e.Asset(), remaining: left})
	return accepted()
}

// Capture: amount of the hold goes to counterparty.
func (l *ledger) capture(a *account, e wire.Entry) verdict {
	id, left, v := l.heldFor(a, e)
	if v.outcome != booked {
		return v
	}
	b, err := l.balanceOf(a, e.Asset())
	if err != nil {
		return undecided(err)
	}
	held, _ := b.held.Sub(e.Amount())
	if string(e.Counterparty()) == string(a.name) {
		available, ok := b.available.Add(e.Amount())
		if !ok {
			return rejected(wire.ReasonOverflow, beyondBalance)
		}
		l.set(a, b, available, held)
	} else {
		to, into, v := l.payee(e.Counterparty(), e.Asset(), e.Amount())
		if v.outcome != booked {
			return v
		}
		l.set(a, b, b.available, held)
		l.give(to, e.Counterparty(), e.Asset(), into, e.Amount())
	}
	l.setHold(id, hold{asset: e.Asset(), remaining: left})
	return accepted()
}

// heldFor returns the hold that a Release or Capture names and what will be left
// of it.
func (l *ledger) heldFor(a *account, e wire.Entry) (id store.Identity, left wire.Amount, v verdict) {
	if a == nil {
		return id, left, rejected(wire.ReasonUnknownRef, refUnknown)
	}
	id = store.Identity{Nonce: e.Ref(), Account: a.number}
	h, known, err := l.findHold(id)
	if err != nil {
		return id, left, undecided(err)
	}
	if !known || h.remaining.IsZero() {
		return id, left, l.noHold(a, e.Ref(), e.Asset())
	}
	if h.asset != e.Asset() {
		return id, left, otherAsset(h.asset, e.Asset())
	}
	left, ok := h.remaining.Sub(e.Amount())
	if !ok {
		return id, left, rejected(wire.ReasonInsufficientFunds, lacksHeld)
	}
	return id, left, accepted()
}

// noHold says why nothing can be taken from the hold of that identity: a hold of
// which nothing is left is forgotten, but its entry is not. The answer MUST NOT
// depend on whether a checkpoint came in between.
func (l *ledger) noHold(a *account, ref wire.Nonce, asset wire.Asset) verdict {
	original, _, v := l.original(a, ref)
	switch {
	case original == nil:
		return v
	case original.Kind() != wire.KindHold:
		return rejected(wire.ReasonUnknownRef, refNoHold)
	case original.Asset() != asset:
		return otherAsset(original.Asset(), asset)
	}
	return rejected(wire.ReasonInsufficientFunds, lacksHeld)
}

// otherAsset rejects an entry in another asset than the one that it names.
func otherAsset(original, asset wire.Asset) verdict {
	return rejected(wire.ReasonUnknownRef, "the entry that ref names is in "+assetWords(original)+", this one in "+assetWords(asset))
}

// assetWords names an asset for people.
func assetWords(asset wire.Asset) string {
	if asset == (wire.Asset{}) {
		return "the unnamed unit"
	}
	return asset.String()
}

// original returns the entry that ref names and its sequence number; nil and why
// not otherwise.
func (l *ledger) original(a *account, ref wire.Nonce) (wire.Entry, uint64, verdict) {
	original, seq, err := l.lookUp(a, ref)
	if errors.Is(err, errPruned) {
		return nil, 0, rejected(wire.ReasonUnknownRef, refPruned)
	}
	if err != nil {
		return nil, 0, undecided(err)
	}
	if original == nil {
		return nil, 0, rejected(wire.ReasonUnknownRef, refUnknown)
	}
	return original, seq, accepted()
}
