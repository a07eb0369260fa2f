package sidecartest

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// books counts the money of a log whose entries were all accepted. It decides
// nothing; it only notices what can never be: a number below zero, money from nowhere.
type books struct {
	numbers   map[string]uint64 // accounts, numbered in the order of their first entries
	names     []string
	balances  map[holding]*purse
	supplies  map[wire.Asset]*big.Int
	totals    map[wire.Asset]*big.Int // Σ(available + held)
	seqs      map[store.Identity]uint64
	entries   map[uint64]wire.Fields // without their memos
	left      map[uint64]*big.Int    // of holds, by sequence number
	reversals map[uint64]uint64
	highest   wire.Nonce

	epochs uint64   // Epoch records so far
	logID  [16]byte // in force

	groupLast uint64 // last entry of the atomic request under way; 0 = none is
	legs      map[wire.Asset]*big.Int
}

type holding struct {
	account string
	asset   wire.Asset
}

// purse is what an account holds of an asset.
type purse struct{ available, held big.Int }

var amountMax = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

func newBooks() *books {
	return &books{
		numbers: map[string]uint64{}, balances: map[holding]*purse{}, supplies: map[wire.Asset]*big.Int{},
		totals: map[wire.Asset]*big.Int{}, seqs: map[store.Identity]uint64{}, entries: map[uint64]wire.Fields{},
		left: map[uint64]*big.Int{}, reversals: map[uint64]uint64{}, legs: map[wire.Asset]*big.Int{},
	}
}

// begin says that the next entries, up to last, are one atomic request.
func (b *books) begin(last uint64) {
	b.groupLast = last
	clear(b.legs)
}

func bigOf(a wire.Amount) *big.Int {
	bytes := a.Bytes() // little-endian
	n := new(big.Int)
	for i := range bytes {
		n.Lsh(n, 8).Or(n, big.NewInt(int64(bytes[len(bytes)-1-i])))
	}
	return n
}

// number returns the number of an account, which is given where it has none.
func (b *books) number(account string) uint64 {
	n, known := b.numbers[account]
	if !known {
		b.names = append(b.names, account)
		n = uint64(len(b.names))
		b.numbers[account] = n
	}
	return n
}

func (b *books) purse(account string, asset wire.Asset) *purse {
	key := holding{account, asset}
	p := b.balances[key]
	if p == nil {
		b.number(account)
		p = new(purse)
		b.balances[key] = p
	}
	return p
}

func entryOf(totals map[wire.Asset]*big.Int, asset wire.Asset) *big.Int {
	n := totals[asset]
	if n == nil {
		n = new(big.Int)
		totals[asset] = n
	}
	return n
}

// book counts one entry.
func (b *books) book(seq uint64, e wire.Entry) error {
	f := e.Fields()
	f.Memo = nil
	id := store.Identity{Nonce: f.Nonce, Account: b.number(f.Account)}
	if before, known := b.seqs[id]; known {
		return fmt.Errorf("its identity is that of %d", before)
	}
	b.seqs[id], b.entries[seq] = seq, f
	if string(f.Nonce[:]) > string(b.highest[:]) {
		b.highest = f.Nonce
	}
	if f.Kind == wire.KindEpoch {
		return b.epoch(&f)
	}
	if err := b.post(seq, &f, bigOf(f.Amount)); err != nil {
		return err
	}
	if seq < b.groupLast {
		return nil
	}
	b.groupLast = 0
	return b.settle()
}

// epoch checks that an Epoch record goes on behind the one before it. It moves nothing.
func (b *books) epoch(f *wire.Fields) error {
	b.epochs++
	if bigOf(f.Amount).Cmp(new(big.Int).SetUint64(b.epochs)) != 0 || f.Ref != b.logID || b.groupLast != 0 {
		return fmt.Errorf("it begins epoch %s of log %s behind %d of %x", f.Amount, f.Ref, b.epochs-1, b.logID)
	}
	b.logID = f.Nonce
	return nil
}

// settle checks what holds at the end of every request.
func (b *books) settle() error {
	for asset, rest := range b.legs {
		if rest.Sign() != 0 {
			return fmt.Errorf("the legs in asset %q are %s out of balance", asset, rest)
		}
	}
	clear(b.legs)
	for asset, total := range b.totals {
		if supply := entryOf(b.supplies, asset); total.Cmp(supply) != 0 {
			return fmt.Errorf("the balances in asset %q are %s, the supply is %s", asset, total, supply)
		}
	}
	return nil
}

// post applies f, or what undoes its original.
func (b *books) post(seq uint64, f *wire.Fields, amount *big.Int) error {
	sign := int64(1)
	if f.Kind == wire.KindReverse {
		original := b.seqs[store.Identity{Nonce: f.Ref, Account: b.numbers[f.Account]}]
		if original == 0 || original == seq {
			return errors.New("it reverses nothing")
		}
		if by := b.reversals[original]; by != 0 {
			return fmt.Errorf("%d reversed the same entry", by)
		}
		b.reversals[original] = seq
		undone := b.entries[original]
		if undone.Kind == wire.KindEpoch {
			return fmt.Errorf("it reverses the beginning of an epoch, %d", original)
		}
		if undone.Asset != f.Asset || undone.Amount != f.Amount {
			return fmt.Errorf("it reverses another asset or amount than %d has", original)
		}
		f, seq, sign = &undone, original, -1
	}
	return b.move(seq, f, amount.Mul(amount, big.NewInt(sign)))
}

// move applies f with a signed amount.
func (b *books) move(seq uint64, f *wire.Fields, amount *big.Int) error {
	minus := new(big.Int).Neg(amount)
	own := b.purse(f.Account, f.Asset)
	switch f.Kind {
	case wire.KindCredit, wire.KindDebit:
		if b.groupLast == 0 {
			return errors.New("it is a leg outside an atomic request")
		}
		if f.Kind == wire.KindDebit {
			amount = minus
		}
		entryOf(b.legs, f.Asset).Add(entryOf(b.legs, f.Asset), amount)
		return b.add(f.Asset, &own.available, amount)
	case wire.KindTransfer:
		if f.Counterparty == f.Account {
			return nil // needs the money and moves none
		}
		return errors.Join(b.add(f.Asset, &own.available, minus), b.add(f.Asset, &b.purse(f.Counterparty, f.Asset).available, amount))
	case wire.KindMint, wire.KindBurn:
		if f.Kind == wire.KindBurn {
			amount = minus
		}
		supply := entryOf(b.supplies, f.Asset)
		return errors.Join(within(supply.Add(supply, amount)), b.add(f.Asset, &own.available, amount))
	case wire.KindHold:
		return errors.Join(b.add(f.Asset, &own.available, minus), b.add(f.Asset, &own.held, amount), b.use(seq, f, minus))
	case wire.KindRelease:
		return errors.Join(b.add(f.Asset, &own.held, minus), b.add(f.Asset, &own.available, amount), b.useRef(f, amount))
	case wire.KindCapture:
		return errors.Join(b.add(f.Asset, &own.held, minus), b.add(f.Asset, &b.purse(f.Counterparty, f.Asset).available, amount), b.useRef(f, amount))
	}
	return fmt.Errorf("no entry of kind %s moves money", f.Kind)
}

// add changes one number of a purse and the total of its asset.
func (b *books) add(asset wire.Asset, n, amount *big.Int) error {
	total := entryOf(b.totals, asset)
	total.Add(total, amount)
	return within(n.Add(n, amount))
}

// useRef takes amount from the hold that f names.
func (b *books) useRef(f *wire.Fields, amount *big.Int) error {
	seq := b.seqs[store.Identity{Nonce: f.Ref, Account: b.numbers[f.Account]}]
	hold, known := b.entries[seq]
	if !known || hold.Kind != wire.KindHold || hold.Asset != f.Asset {
		return errors.New("its ref names no hold in its asset")
	}
	return b.use(seq, &hold, amount)
}

// use takes amount from the hold with that sequence number.
func (b *books) use(seq uint64, hold *wire.Fields, amount *big.Int) error {
	left := b.left[seq]
	if left == nil {
		left = new(big.Int)
		b.left[seq] = left
	}
	left.Sub(left, amount)
	if left.Cmp(bigOf(hold.Amount)) > 0 {
		return fmt.Errorf("more is left of the hold %d than it was", seq)
	}
	return within(left)
}

func within(n *big.Int) error {
	if n.Sign() < 0 || n.Cmp(amountMax) > 0 {
		return fmt.Errorf("a number is %s, outside 0..2^128-1", n)
	}
	return nil
}
