package committer

import (
	"github.com/rustyonions/ron-ledger/wire"
)

// funded returns the account's balance when amount is available in it; nil and
// why not otherwise.
func (l *ledger) funded(a *account, asset wire.Asset, amount wire.Amount) (*balance, verdict) {
	b, err := l.balanceOf(a, asset)
	if err != nil {
		return nil, undecided(err)
	}
	if b == nil || b.available.Less(amount) {
		return nil, rejected(wire.ReasonInsufficientFunds, lacksFunds)
	}
	return b, accepted()
}

// spend takes amount from what is available.
func (l *ledger) spend(a *account, asset wire.Asset, amount wire.Amount) verdict {
	b, v := l.funded(a, asset, amount)
	if b == nil {
		return v
	}
	rest, _ := b.available.Sub(amount)
	l.set(a, b, rest, b.held)
	return accepted()
}

// receive adds amount to what is available to the account of that name, which a
// is, or nil where it does not exist yet.
func (l *ledger) receive(a *account, name []byte, asset wire.Asset, amount wire.Amount) verdict {
	b, v := l.roomFor(a, asset, amount)
	if v.outcome != booked {
		return v
	}
	return l.give(a, name, asset, b, amount)
}

// payee looks up who is to receive amount and checks that it can be booked.
// Account and balance are nil where they do not exist yet.
func (l *ledger) payee(name []byte, asset wire.Asset, amount wire.Amount) (*account, *balance, verdict) {
	a, err := l.account(name)
	if err != nil {
		return nil, nil, undecided(err)
	}
	b, v := l.roomFor(a, asset, amount)
	return a, b, v
}

// roomFor returns the account's balance, nil where there is none, and whether
// amount can be added to it.
func (l *ledger) roomFor(a *account, asset wire.Asset, amount wire.Amount) (*balance, verdict) {
	b, err := l.balanceOf(a, asset)
	if err != nil {
		return nil, undecided(err)
	}
	if b != nil {
		if _, ok := b.available.Add(amount); !ok {
			return b, rejected(wire.ReasonOverflow, beyondBalance)
		}
	}
	return b, accepted()
}

// give adds amount, for which roomFor found room, to the balance b of account a
// of that name; either is made where it is nil.
func (l *ledger) give(a *account, name []byte, asset wire.Asset, b *balance, amount wire.Amount) verdict {
	a = l.open(name, a)
	b = l.holding(a, asset, b)
	available, _ := b.available.Add(amount)
	l.set(a, b, available, b.held)
	return accepted()
}
