package audit

import (
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/wire"
)

// change adds amount to n, or takes it away.
func change(n *wire.Amount, amount wire.Amount, minus bool) error {
	ok := false
	before := *n
	if minus {
		*n, ok = n.Sub(amount)
	} else {
		*n, ok = n.Add(amount)
	}
	if !ok {
		word := "and"
		if minus {
			word = "less"
		}
		return fmt.Errorf("%s %s %s is outside 0..2^128-1", before, word, amount)
	}
	return nil
}

// available and held change a number of a purse and with it the total of its asset.
func (p *purse) addAvailable(amount wire.Amount, minus bool) error {
	p.asset.count(amount, minus)
	if err := change(&p.available, amount, minus); err != nil {
		return fmt.Errorf("the available balance: %w", err)
	}
	return nil
}

func (p *purse) addHeld(amount wire.Amount, minus bool) error {
	p.asset.count(amount, minus)
	if err := change(&p.held, amount, minus); err != nil {
		return fmt.Errorf("the held balance: %w", err)
	}
	return nil
}

func (s *asset) count(amount wire.Amount, minus bool) {
	if minus {
		s.total, _ = s.total.Sub(amount)
	} else {
		s.total, _ = s.total.Add(amount)
	}
}

// move applies the effect of e, or undoes it. seq is the sequence number of e.
func (b *books) move(seq uint64, own *account, e wire.Entry, undo bool) error {
	s, amount := b.asset(e.Asset()), e.Amount()
	purse := own.purse(s)
	switch e.Kind() {
	case wire.KindCredit:
		return b.leg(purse, amount, undo)
	case wire.KindDebit:
		return b.leg(purse, amount, !undo)
	case wire.KindTransfer:
		return b.transfer(purse, e, undo)
	case wire.KindMint:
		return s.issue(purse, amount, undo)
	case wire.KindBurn:
		return s.issue(purse, amount, !undo)
	case wire.KindHold:
		return b.hold(seq, purse, e, undo)
	case wire.KindRelease:
		if err := b.use(own, e, undo); err != nil {
			return err
		}
		return errors.Join(purse.addHeld(amount, !undo), purse.addAvailable(amount, undo))
	case wire.KindCapture:
		if err := b.use(own, e, undo); err != nil {
			return err
		}
		err := purse.addHeld(amount, !undo)
		return errors.Join(err, b.account(e.Counterparty()).purse(s).addAvailable(amount, undo))
	}
	return fmt.Errorf("no entry of kind %s moves money", e.Kind())
}

// leg counts a Debit (minus) or Credit.
func (b *books) leg(p *purse, amount wire.Amount, minus bool) error {
	if b.groupLast == 0 {
		return errors.New("it is a leg outside of an atomic request")
	}
	sum := &p.asset.credit
	if minus {
		sum = &p.asset.debit
	}
	if err := change(sum, amount, false); err != nil {
		return fmt.Errorf("the sum of the legs: %w", err)
	}
	return p.addAvailable(amount, minus)
}

func (b *books) transfer(p *purse, e wire.Entry, undo bool) error {
	if string(e.Counterparty()) == string(e.Account()) {
		if p.available.Less(e.Amount()) {
			return fmt.Errorf("the available balance %s does not cover %s", p.available, e.Amount())
		}
		return nil
	}
	err := p.addAvailable(e.Amount(), !undo)
	return errors.Join(err, b.account(e.Counterparty()).purse(p.asset).addAvailable(e.Amount(), undo))
}

// issue counts a Mint, or a Burn (minus).
func (s *asset) issue(p *purse, amount wire.Amount, minus bool) error {
	if err := change(&s.supply, amount, minus); err != nil {
		return fmt.Errorf("the supply: %w", err)
	}
	return p.addAvailable(amount, minus)
}

// hold counts a Hold. One that is undone must not have been used.
func (b *books) hold(seq uint64, p *purse, e wire.Entry, undo bool) error {
	h := b.holds[seq]
	if undo {
		if h == nil || h.left != h.amount {
			return fmt.Errorf("a part of the hold %d, which it reverses, was used", seq)
		}
		h.left = wire.Amount{}
	} else {
		id := identity{e.Nonce(), uint32(b.account(e.Account()).number)}
		b.holds[seq] = &hold{id: id, asset: e.Asset(), amount: e.Amount(), left: e.Amount()}
	}
	return errors.Join(p.addAvailable(e.Amount(), !undo), p.addHeld(e.Amount(), undo))
}

// use takes the amount of e from the hold that it names, or puts it back.
func (b *books) use(own *account, e wire.Entry, undo bool) error {
	seq := b.seqs[identity{e.Ref(), uint32(own.number)}]
	h := b.holds[seq]
	if h == nil || h.asset != e.Asset() {
		return errors.New("its ref names no hold of its account and asset")
	}
	if err := change(&h.left, e.Amount(), !undo); err != nil {
		return fmt.Errorf("what is left of the hold %d: %w", seq, err)
	}
	if h.amount.Less(h.left) {
		return fmt.Errorf("more is left of the hold %d than it was", seq)
	}
	return nil
}
