package audit

import (
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// books counts the money of a log whose entries were all accepted. They decide
// nothing; they notice what can never be: a number below zero, money from nowhere.
type books struct {
	record   func(seq uint64, dst []byte) ([]byte, error)
	accounts map[string]*account
	names    uint64 // accounts that were numbered
	assets   map[wire.Asset]*asset
	seqs     map[identity]uint64
	holds    map[uint64]*hold // by the sequence number of the Hold
	reversed map[uint64]uint64
	requests map[[16]byte]store.RequestRow

	groupFirst, groupLast uint64 // of the atomic request under way; 0 = none is
	touched               []*asset
	scratch               []byte
}

type identity struct {
	nonce   wire.Nonce
	account uint32
}

// account is what one account holds.
type account struct {
	number uint64
	purses []purse // one for each asset that it was named with
}

type purse struct {
	asset           *asset
	available, held wire.Amount
}

// asset counts all of one asset. total is taken modulo 2^128: amid an atomic request
// there may be more than the supply, and at its end they are equal.
type asset struct {
	name           wire.Asset
	supply, total  wire.Amount
	credit, debit  wire.Amount // legs of the atomic request under way
	touchedAlready bool
}

type hold struct {
	id           identity
	asset        wire.Asset
	amount, left wire.Amount
}

func newBooks(record func(uint64, []byte) ([]byte, error)) *books {
	return &books{
		record: record, accounts: map[string]*account{}, assets: map[wire.Asset]*asset{}, seqs: map[identity]uint64{},
		holds: map[uint64]*hold{}, reversed: map[uint64]uint64{}, requests: map[[16]byte]store.RequestRow{},
	}
}

// begin says that the next entries are one atomic request. That it lies within its
// commit, the store has checked.
func (b *books) begin(g *store.Group) error {
	b.groupFirst, b.groupLast = g.First, g.First+uint64(g.Count)-1
	if g.IdemID == ([16]byte{}) {
		return nil
	}
	if before, known := b.requests[g.IdemID]; known {
		return fmt.Errorf("their idem_id %x was used by the request at %d", g.IdemID, before.First)
	}
	b.requests[g.IdemID] = store.RequestRow{IdemID: g.IdemID, First: g.First, Count: g.Count}
	return nil
}

// account returns an account, which gets its number where it is new.
func (b *books) account(name []byte) *account {
	if a := b.accounts[string(name)]; a != nil {
		return a
	}
	b.names++
	a := &account{number: b.names}
	b.accounts[string(name)] = a
	return a
}

func (b *books) asset(name wire.Asset) *asset {
	s := b.assets[name]
	if s == nil {
		s = &asset{name: name}
		b.assets[name] = s
	}
	if !s.touchedAlready {
		s.touchedAlready = true
		b.touched = append(b.touched, s)
	}
	return s
}

// purse returns what an account holds of an asset. It is valid until the next call.
func (a *account) purse(s *asset) *purse {
	for i := range a.purses {
		if a.purses[i].asset == s {
			return &a.purses[i]
		}
	}
	a.purses = append(a.purses, purse{asset: s})
	return &a.purses[len(a.purses)-1]
}

// book counts one entry. What is wrong with it, or with the request that it ends, is
// a *Finding.
func (b *books) book(seq uint64, e wire.Entry) error {
	if err := b.count(seq, e); err != nil {
		return &Finding{seq, seq, err}
	}
	if seq < b.groupLast {
		return nil
	}
	first := seq
	if b.groupLast != 0 {
		first = b.groupFirst
	}
	b.groupFirst, b.groupLast = 0, 0
	if err := b.settle(); err != nil {
		return &Finding{first, seq, err}
	}
	return nil
}

// count counts an entry whose request may go on behind it.
func (b *books) count(seq uint64, e wire.Entry) error {
	own := b.account(e.Account())
	id := identity{e.Nonce(), uint32(own.number)}
	if before, known := b.seqs[id]; known {
		return fmt.Errorf("account and nonce are those of entry %d", before)
	}
	b.seqs[id] = seq
	switch e.Kind() {
	case wire.KindReverse:
		return b.reverse(seq, own, e)
	case wire.KindEpoch:
		return nil // it moves nothing; what it says of the tree, the audit has checked
	}
	return b.move(seq, own, e, false)
}

// settle checks what holds at the end of every request.
func (b *books) settle() error {
	for _, s := range b.touched {
		if s.credit != s.debit {
			return fmt.Errorf("the request has credits of %s and debits of %s in asset %q", s.credit, s.debit, s.name)
		}
		if s.total != s.supply {
			return fmt.Errorf("behind it the balances in asset %q are %s, the supply is %s", s.name, s.total, s.supply)
		}
		s.credit, s.debit, s.touchedAlready = wire.Amount{}, wire.Amount{}, false
	}
	b.touched = b.touched[:0]
	return nil
}

// reverse counts the inverse of the entry that e names.
func (b *books) reverse(seq uint64, own *account, e wire.Entry) error {
	original := b.seqs[identity{e.Ref(), uint32(own.number)}]
	if original == 0 || original == seq {
		return errors.New("its ref names no entry of its account")
	}
	if by := b.reversed[original]; by != 0 {
		return fmt.Errorf("entry %d, which it reverses, was reversed by %d", original, by)
	}
	var err error
	if b.scratch, err = b.record(original, b.scratch[:0]); err != nil {
		return fmt.Errorf("read entry %d, which it reverses: %w", original, err)
	}
	undone := wire.Record(b.scratch).Entry()
	switch {
	case undone.Kind() == wire.KindReverse:
		return fmt.Errorf("entry %d, which it reverses, is a reversal", original)
	case undone.Kind() == wire.KindEpoch:
		return fmt.Errorf("entry %d, which it reverses, begins an epoch", original)
	case undone.Asset() != e.Asset() || undone.Amount() != e.Amount():
		return fmt.Errorf("entry %d, which it reverses, has another asset or amount", original)
	}
	b.reversed[original] = seq
	return b.move(original, own, undone, true)
}
