package model

import (
	"bytes"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/rustyonions/ron-ledger/wire"
)

// Request is what a client asks for: entries, judged one by one or all together.
type Request struct {
	Atomic  bool
	IdemID  [16]byte // of an atomic request; zero = none
	Entries []wire.Fields
}

// Result is what becomes of one entry that is not plainly new.
type Result struct {
	Index   int
	Outcome wire.Outcome
	Reason  wire.Reason // of a rejected entry
	Seq     uint64      // of the first one, for a duplicate
}

// Answer is what the ledger has to say to a request.
type Answer struct {
	First, Last uint64 // of the new entries; 0, 0 where none is
	Accepted    int
	Results     []Result // in the order of their indexes
}

// Balance is what an account holds of an asset.
type Balance struct {
	Account   string
	Asset     wire.Asset
	Available *big.Int
	Held      *big.Int
}

// identity is what makes an entry one and the same.
type identity struct {
	account string
	nonce   wire.Nonce
}

// table says what a cell counts.
type table uint8

const (
	available table = iota
	held
	supply
	left
	credits
	debits
)

// cell names a number. Members that its table does not use are zero.
type cell struct {
	table   table
	account string
	asset   wire.Asset
	hold    uint64 // sequence number
}

// span is where the entries of an atomic request were booked.
type span struct {
	first uint64
	count int
}

// Ledger is the whole state of the model. Make one with New.
type Ledger struct {
	log      []wire.Fields // entry seq is log[seq-1]
	seqs     map[identity]uint64
	cells    map[cell]*big.Int // the numbers are never changed in place
	reversed map[uint64]uint64 // original to reversal
	requests map[[16]byte]span
	undo     []func() // takes back the request under way, in reverse order
}

// New returns the empty ledger.
func New() *Ledger {
	return &Ledger{
		seqs: map[identity]uint64{}, cells: map[cell]*big.Int{},
		reversed: map[uint64]uint64{}, requests: map[[16]byte]span{},
	}
}

// most is the largest number that a cell can hold.
var most = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))

func number(a wire.Amount) *big.Int {
	n := new(big.Int).SetUint64(a.Hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(a.Lo))
}

// Size returns how many entries are booked.
func (l *Ledger) Size() uint64 { return uint64(len(l.log)) }

// Entry returns the entry with that sequence number, 1..Size.
func (l *Ledger) Entry(seq uint64) wire.Fields { return l.log[seq-1] }

// Seq returns the sequence number of the entry with that identity; 0 = there is none.
func (l *Ledger) Seq(account string, nonce wire.Nonce) uint64 {
	return l.seqs[identity{account, nonce}]
}

// Left returns what is left of the hold with that sequence number.
func (l *Ledger) Left(seq uint64) *big.Int { return l.count(cell{table: left, hold: seq}) }

// Reversal returns the sequence number of the entry that reversed that one; 0 = none did.
func (l *Ledger) Reversal(seq uint64) uint64 { return l.reversed[seq] }

// Supply returns what was minted of an asset and not burnt.
func (l *Ledger) Supply(asset wire.Asset) *big.Int { return l.count(cell{table: supply, asset: asset}) }

// Balances returns what every account holds of every asset that it was ever named
// with, by account, then asset.
func (l *Ledger) Balances() []Balance {
	return l.balances(func(string) bool { return true })
}

// Balance returns what an account holds of an asset, and whether an entry has ever named
// it with that asset.
func (l *Ledger) Balance(account string, asset wire.Asset) (b Balance, known bool) {
	spendable, aside := cell{table: available, account: account, asset: asset}, cell{table: held, account: account, asset: asset}
	b = Balance{Account: account, Asset: asset, Available: l.count(spendable), Held: l.count(aside)}
	return b, l.cells[spendable] != nil || l.cells[aside] != nil
}

// Account returns the rows of one account; none where no entry has named it.
func (l *Ledger) Account(name string) []Balance {
	return l.balances(func(account string) bool { return account == name })
}

func (l *Ledger) balances(wanted func(account string) bool) []Balance {
	type row struct {
		account string
		asset   wire.Asset
	}
	rows := map[row]bool{}
	for c := range l.cells {
		if (c.table == available || c.table == held) && wanted(c.account) {
			rows[row{c.account, c.asset}] = true
		}
	}
	found := make([]Balance, 0, len(rows))
	for r := range maps.Keys(rows) {
		b, _ := l.Balance(r.account, r.asset)
		found = append(found, b)
	}
	slices.SortFunc(found, func(a, b Balance) int {
		if by := strings.Compare(a.Account, b.Account); by != 0 {
			return by
		}
		return bytes.Compare(a.Asset[:], b.Asset[:])
	})
	return found
}

// Check reports where the balances in an asset do not add up to its supply, or a cell
// is out of its bounds.
func (l *Ledger) Check() error {
	sums := map[wire.Asset]*big.Int{}
	for c, n := range l.cells {
		if n.Sign() < 0 || n.Cmp(most) > 0 {
			return fmt.Errorf("check the model: %+v holds %s", c, n)
		}
		if sums[c.asset] == nil {
			sums[c.asset] = new(big.Int)
		}
		switch c.table {
		case available, held:
			sums[c.asset].Add(sums[c.asset], n)
		case supply:
			sums[c.asset].Sub(sums[c.asset], n)
		}
	}
	for asset, rest := range sums {
		if rest.Sign() != 0 {
			return fmt.Errorf("check the model: the balances in asset %q are %s above the supply", asset, rest)
		}
	}
	return nil
}

func (l *Ledger) count(c cell) *big.Int {
	if n := l.cells[c]; n != nil {
		return n
	}
	return new(big.Int)
}

// set gives a cell a new number, so that it can be taken back.
func (l *Ledger) set(c cell, n *big.Int) {
	before, had := l.cells[c]
	l.undo = append(l.undo, func() {
		if had {
			l.cells[c] = before
		} else {
			delete(l.cells, c)
		}
	})
	l.cells[c] = n
}

// book makes an entry that was judged the next one in the log.
func (l *Ledger) book(f *wire.Fields, changed map[cell]*big.Int, reverses uint64) {
	for c, n := range changed {
		l.set(c, n)
	}
	l.log = append(l.log, *f)
	id := identity{f.Account, f.Nonce}
	l.seqs[id] = l.Size()
	if reverses != 0 {
		l.reversed[reverses] = l.Size()
	}
	l.undo = append(l.undo, func() {
		l.log = l.log[:len(l.log)-1]
		delete(l.seqs, id)
		delete(l.reversed, reverses)
	})
}

// takeBack undoes everything since the request began.
func (l *Ledger) takeBack() {
	for _, undo := range slices.Backward(l.undo) {
		undo()
	}
	l.undo = nil
}
