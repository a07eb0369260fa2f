package committer

import (
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// reverse books the inverse of the entry that ref names: once, whole, and only
// where the money is still there. Every kind can be reversed but Reverse itself;
// the reversal of a leg is a leg, so it too stands in a balanced atomic request.
func (l *ledger) reverse(a *account, e wire.Entry) verdict {
	if a == nil {
		return rejected(wire.ReasonUnknownRef, refUnknown)
	}
	found, seq, v := l.original(a, e.Ref())
	if found == nil {
		return v
	}
	// What follows may look up further entries in the same buffer.
	original := append(wire.Entry(l.scratch[:0]), found...)
	l.scratch = original
	switch {
	case original.Kind() == wire.KindReverse:
		return rejected(wire.ReasonUnknownRef, refReversal)
	case original.Kind() == wire.KindEpoch:
		return rejected(wire.ReasonUnknownRef, refEpoch)
	case original.Asset() != e.Asset():
		return otherAsset(original.Asset(), e.Asset())
	case original.Amount() != e.Amount():
		return rejected(wire.ReasonUnknownRef, refOtherAmount)
	}
	done, err := l.isReversed(seq)
	if err != nil {
		return undecided(err)
	}
	if done {
		return rejected(wire.ReasonAlreadyReversed, refReversed)
	}
	if v := l.invert(a, original); v.outcome != booked {
		return v
	}
	l.setReversed(seq, l.seq+1)
	return accepted()
}

func (l *ledger) invert(a *account, original wire.Entry) verdict {
	switch original.Kind() {
	case wire.KindCredit:
		return l.debitLeg(a, original)
	case wire.KindDebit:
		return l.creditLeg(a, original)
	case wire.KindTransfer:
		return l.giveBack(a, original)
	case wire.KindMint:
		return l.burn(a, original)
	case wire.KindBurn:
		return l.mint(a, original)
	case wire.KindHold:
		return l.endHold(a, original)
	case wire.KindRelease:
		return l.holdAgain(a, original)
	case wire.KindCapture:
		return l.takeBackCapture(a, original)
	}
	return rejected(wire.ReasonUnknownRef, refReversal)
}

// giveBack is the inverse of a Transfer: the counterparty pays, if it still can.
func (l *ledger) giveBack(a *account, original wire.Entry) verdict {
	payer, err := l.account(original.Counterparty())
	if err != nil {
		return undecided(err)
	}
	from, v := l.funded(payer, original.Asset(), original.Amount())
	if from == nil {
		return v
	}
	return l.move(payer, from, a.name, original.Amount())
}

// endHold is the inverse of a Hold of which nothing was used.
func (l *ledger) endHold(a *account, original wire.Entry) verdict {
	id := store.Identity{Nonce: original.Nonce(), Account: a.number}
	h, known, err := l.findHold(id)
	if err != nil {
		return undecided(err)
	}
	if !known || h.remaining != original.Amount() {
		return rejected(wire.ReasonInsufficientFunds, holdInUse)
	}
	b, err := l.balanceOf(a, original.Asset())
	if err != nil {
		return undecided(err)
	}
	available, ok := b.available.Add(original.Amount())
	if !ok {
		return rejected(wire.ReasonOverflow, beyondBalance)
	}
	held, _ := b.held.Sub(original.Amount())
	l.set(a, b, available, held)
	l.setHold(id, hold{asset: h.asset})
	return accepted()
}

// holdAgain is the inverse of a Release: the money returns to its hold.
func (l *ledger) holdAgain(a *account, original wire.Entry) verdict {
	from, v := l.funded(a, original.Asset(), original.Amount())
	if from == nil {
		return v
	}
	id, h, v := l.refill(a, original)
	if v.outcome != booked {
		return v
	}
	if !l.setAside(a, from, original.Amount()) {
		return rejected(wire.ReasonOverflow, beyondBalance)
	}
	l.setHold(id, h)
	return accepted()
}

// takeBackCapture is the inverse of a Capture: the counterparty pays, if it still
// can, and the money returns to its hold.
func (l *ledger) takeBackCapture(a *account, original wire.Entry) verdict {
	payer, err := l.account(original.Counterparty())
	if err != nil {
		return undecided(err)
	}
	from, v := l.funded(payer, original.Asset(), original.Amount())
	if from == nil {
		return v
	}
	id, h, v := l.refill(a, original)
	if v.outcome != booked {
		return v
	}
	if payer == a {
		if !l.setAside(a, from, original.Amount()) {
			return rejected(wire.ReasonOverflow, beyondBalance)
		}
		l.setHold(id, h)
		return accepted()
	}
	into, err := l.balanceOf(a, original.Asset())
	if err != nil {
		return undecided(err)
	}
	held, ok := into.held.Add(original.Amount())
	if !ok {
		return rejected(wire.ReasonOverflow, beyondBalance)
	}
	rest, _ := from.available.Sub(original.Amount())
	l.set(payer, from, rest, from.held)
	l.set(a, into, into.available, held)
	l.setHold(id, h)
	return accepted()
}

// refill returns the hold that a Release or Capture used, with its amount put
// back. A hold of which nothing was left is forgotten, so it may begin anew; it
// never exceeds what it was, since each use is put back once.
func (l *ledger) refill(a *account, original wire.Entry) (store.Identity, hold, verdict) {
	id := store.Identity{Nonce: original.Ref(), Account: a.number}
	h, known, err := l.findHold(id)
	if err != nil {
		return id, h, undecided(err)
	}
	if !known {
		h.asset = original.Asset()
	}
	var ok bool
	if h.remaining, ok = h.remaining.Add(original.Amount()); !ok {
		return id, h, rejected(wire.ReasonOverflow, beyondBalance)
	}
	return id, h, accepted()
}
