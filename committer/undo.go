package committer

import (
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// undo is one step back. A request that stands or falls as a whole notes what it
// changes; when it falls, the notes are played backwards.
type undo struct {
	op        undoOp
	known     bool // the map that follows had a value before
	account   *account
	balance   *balance
	sum       *sum
	available wire.Amount // of the balance, or the supply
	held      wire.Amount
	identity  store.Identity
	hold      hold
	seq       uint64
}

type undoOp uint8

const (
	undoAccount  undoOp = iota // an account was made
	undoHolding                // an account got its first balance of an asset
	undoBalance                // a balance was written
	undoSum                    // the sum of an asset was made
	undoSupply                 // a supply was written
	undoIdentity               // an entry became known
	undoHold                   // a hold was written
	undoReversed               // an entry became reversed
)

// rowCounts is how many rows of each sort the current interval has.
type rowCounts struct {
	index, accounts, balances, holds, reversed int
}

func (l *ledger) countRows() rowCounts {
	return rowCounts{
		index: len(l.rows.Index), accounts: len(l.rows.Accounts), balances: len(l.rows.Balances),
		holds: len(l.rows.Holds), reversed: len(l.rows.Reversed),
	}
}

// note remembers a step while a request is judged as a whole.
func (l *ledger) note(u undo) {
	if l.noting {
		l.undos = append(l.undos, u)
	}
}

// rollBack takes back everything since the notes began, and the rows with it.
func (l *ledger) rollBack(before rowCounts) {
	l.noting = false
	for i := len(l.undos) - 1; i >= 0; i-- {
		l.takeBack(&l.undos[i], before)
	}
	clear(l.undos) // no pointer to an account may outlive its request
	l.undos = l.undos[:0]
	l.rows.Index = l.rows.Index[:before.index]
	l.rows.Accounts = l.rows.Accounts[:before.accounts]
	l.rows.Balances = l.rows.Balances[:before.balances]
	l.rows.Holds = l.rows.Holds[:before.holds]
	l.rows.Reversed = l.rows.Reversed[:before.reversed]
}

// keep forgets the notes: the request stands.
func (l *ledger) keep() {
	l.noting = false
	clear(l.undos)
	l.undos = l.undos[:0]
}

func (l *ledger) takeBack(u *undo, before rowCounts) {
	switch u.op {
	case undoAccount:
		l.accounts.remove(u.account)
		l.nextAccount--
	case undoHolding:
		u.account.detach(u.balance.asset)
	case undoBalance:
		l.write(u.account, u.balance, u.available, u.held)
		if u.balance.row >= before.balances {
			u.balance.interval = 0 // its row is taken back too; an earlier note may ask for it again
		}
	case undoSum:
		delete(l.sums, u.sum.asset)
	case undoSupply:
		u.sum.supply = u.available
	case undoIdentity:
		delete(l.current.identities, u.identity)
	case undoHold:
		if u.known {
			l.current.holds[u.identity] = u.hold
		} else {
			delete(l.current.holds, u.identity)
		}
	case undoReversed:
		delete(l.current.reversed, u.seq)
	}
}
