package committer

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// balance is what one account has of one asset. An account's money is
// available + held; only available can be spent.
type balance struct {
	asset     wire.Asset
	sum       *sum // of the asset
	available wire.Amount
	held      wire.Amount

	interval uint64 // the checkpoint interval in which it changed last; 0 = not since it was loaded
	row      int    // its place among the rows of that interval
	request  uint64 // the last request whose answer lists it
}

// account is one account in memory. The first balance lies inline because most
// accounts have one asset.
type account struct {
	name     []byte
	number   uint64 // assigned at the first entry, in the order of the log; never 0
	complete bool   // no balance of it lies in the store alone
	used     bool   // touched since the clock hand passed
	changed  uint64 // the checkpoint interval in which a balance changed last
	slot     int    // place in the table's ring

	first balance
	more  []*balance
	count int // balances in memory
}

// accountTable keeps the accounts that were used last. Accounts that changed
// since the last complete checkpoint are pinned, all others can be read back
// from the store; so the table holds at most limit accounts plus the pinned ones.
//
// Invariant: len(byName) == number of non-nil ring slots.
type accountTable struct {
	byName map[string]*account
	ring   []*account // for the clock that picks what to forget
	hand   int
	limit  int
}

// evictionSteps bounds the work of one insertion into a full table. Judging one
// entry inserts at most three accounts, and the hand must not come round to one
// of them in between, so a table holds at least minAccounts.
const (
	evictionSteps = 16
	minAccounts   = 4 * evictionSteps
)

func newAccountTable(limit int) accountTable {
	return accountTable{byName: make(map[string]*account), limit: max(limit, minAccounts)}
}

// insert adds an account and forgets at most one that is clean: unchanged since
// the interval after the last complete checkpoint, which settled names.
func (t *accountTable) insert(a *account, settled uint64) {
	t.byName[string(a.name)] = a
	if len(t.byName) > t.limit {
		if slot, ok := t.evict(settled); ok {
			a.slot = slot
			t.ring[slot] = a
			return
		}
	}
	a.slot = len(t.ring)
	t.ring = append(t.ring, a)
}

// evict forgets one clean account that was not used lately and returns its slot.
func (t *accountTable) evict(settled uint64) (slot int, ok bool) {
	for range min(evictionSteps, len(t.ring)) {
		if t.hand >= len(t.ring) {
			t.hand = 0
		}
		candidate := t.ring[t.hand]
		slot = t.hand
		t.hand++
		switch {
		case candidate.changed > settled: // pinned until its checkpoint is complete
		case candidate.used:
			candidate.used = false
		default:
			delete(t.byName, string(candidate.name))
			return slot, true
		}
	}
	return 0, false
}

// remove takes back the newest account: only the undo of a request does.
func (t *accountTable) remove(a *account) {
	delete(t.byName, string(a.name))
	last := len(t.ring) - 1
	t.ring[a.slot] = t.ring[last]
	t.ring[a.slot].slot = a.slot
	t.ring[last] = nil
	t.ring = t.ring[:last]
}

// find returns the balance in memory, nil when there is none.
func (a *account) find(asset wire.Asset) *balance {
	if a.count == 0 {
		return nil
	}
	if a.first.asset == asset {
		return &a.first
	}
	for _, b := range a.more {
		if b.asset == asset {
			return b
		}
	}
	return nil
}

// attach adds a balance that find did not find.
func (a *account) attach(b balance) *balance {
	a.count++
	if a.count == 1 {
		a.first = b
		return &a.first
	}
	a.more = append(a.more, &b)
	return a.more[len(a.more)-1]
}

// detach removes a balance: only the undo of a request does.
func (a *account) detach(asset wire.Asset) {
	a.count--
	if a.first.asset != asset {
		i := slices.IndexFunc(a.more, func(b *balance) bool { return b.asset == asset })
		a.more = slices.Delete(a.more, i, i+1)
		return
	}
	a.first = balance{}
	if last := len(a.more) - 1; last >= 0 {
		a.first = *a.more[last]
		a.more = slices.Delete(a.more, last, last+1)
	}
}

// account returns the account of that name, nil when the ledger has none.
func (l *ledger) account(name []byte) (*account, error) {
	if a, ok := l.accounts.byName[string(name)]; ok {
		a.used = true
		return a, nil
	}
	number, ok, err := l.store.LookupAccount(name)
	if err != nil {
		return nil, fmt.Errorf("look up account %s: %w", name, err)
	}
	if !ok {
		return nil, nil
	}
	a := &account{name: bytes.Clone(name), number: number, used: true}
	l.accounts.insert(a, l.settled)
	return a, nil
}

// balanceOf returns the account's balance of the asset, nil when it never had one.
func (l *ledger) balanceOf(a *account, asset wire.Asset) (*balance, error) {
	if a == nil {
		return nil, nil
	}
	if b := a.find(asset); b != nil {
		return b, nil
	}
	if a.complete {
		return nil, nil
	}
	available, held, ok, err := l.store.LookupBalance(a.name, asset)
	if err != nil {
		return nil, fmt.Errorf("look up the balance of account %s: %w", a.name, err)
	}
	if !ok {
		return nil, nil
	}
	return a.attach(balance{asset: asset, sum: l.sum(asset), available: wire.LoadAmount(available[:]), held: wire.LoadAmount(held[:])}), nil
}

// open returns the account of that name, which is made where there is none.
func (l *ledger) open(name []byte, known *account) *account {
	if known != nil {
		return known
	}
	if a, ok := l.accounts.byName[string(name)]; ok {
		return a // made a moment ago: the counterparty is the account itself
	}
	a := &account{name: bytes.Clone(name), number: l.nextAccount, complete: true, used: true, changed: l.interval}
	l.nextAccount++
	l.accounts.insert(a, l.settled)
	l.rows.Accounts = append(l.rows.Accounts, store.AccountRow{Name: a.name, Number: a.number})
	l.note(undo{op: undoAccount, account: a})
	return a
}

// holding returns the account's balance of the asset, which is made, as zero,
// where known says that there is none.
func (l *ledger) holding(a *account, asset wire.Asset, known *balance) *balance {
	if known != nil {
		return known
	}
	if b := a.find(asset); b != nil {
		return b
	}
	b := a.attach(balance{asset: asset, sum: l.sum(asset)})
	l.note(undo{op: undoHolding, account: a, balance: b})
	return b
}

// set is the one place where a balance changes. It keeps the total of the asset,
// which conservation is checked against, and the row for the next checkpoint.
func (l *ledger) set(a *account, b *balance, available, held wire.Amount) {
	l.note(undo{op: undoBalance, account: a, balance: b, available: b.available, held: b.held})
	l.write(a, b, available, held)
}

func (l *ledger) write(a *account, b *balance, available, held wire.Amount) {
	sum := l.touch(b.sum)
	for _, gone := range [...]wire.Amount{b.available, b.held} {
		sum.total, _ = sum.total.Sub(gone)
	}
	for _, come := range [...]wire.Amount{available, held} {
		sum.total, _ = sum.total.Add(come)
	}
	b.available, b.held = available, held
	if b.interval != l.interval {
		b.interval, a.changed = l.interval, l.interval
		b.row = len(l.rows.Balances)
		l.rows.Balances = append(l.rows.Balances, store.BalanceRow{Name: a.name, Asset: b.asset})
	}
	row := &l.rows.Balances[b.row]
	row.Available, row.Held = available.Bytes(), held.Bytes()
}

// complete loads every balance of the account that lies in the store alone.
func (l *ledger) complete(a *account) error {
	listing, err := l.store.Balances()
	if err != nil {
		return err
	}
	defer func() { _ = listing.Close() }()
	for row, err := range listing.Rows(a.name) {
		if err != nil {
			return err
		}
		if !bytes.Equal(row.Name, a.name) {
			break
		}
		asset := wire.Asset(row.Asset)
		if a.find(asset) == nil {
			a.attach(balance{
				asset: asset, sum: l.sum(asset),
				available: wire.LoadAmount(row.Available[:]), held: wire.LoadAmount(row.Held[:]),
			})
		}
	}
	a.complete = true
	return nil
}
