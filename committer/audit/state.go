package audit

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// state holds what the store derived against what the log gives.
func (a *audit) state() error {
	for _, check := range []func() error{
		a.checkMark, a.checkEpoch, a.checkBalances, a.checkSupplies, a.checkAccounts, a.checkIndex, a.checkHolds, a.checkReversals,
		a.checkRequests, a.checkTiles, a.roots.end,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) checkMark() error {
	if root := a.frontier.Root(); root != merkle.Hash(a.mark.Root) {
		return fmt.Errorf("the mark says root %x, the log gives %v", a.mark.Root, root)
	}
	if !slices.EqualFunc(a.frontier.Hashes(), a.mark.Frontier, func(h merkle.Hash, raw [32]byte) bool { return h == raw }) {
		return errors.New("the frontier at the mark is not that of the log")
	}
	if want := a.books.names + 1; a.mark.NextAccount != want {
		return fmt.Errorf("the next account gets number %d, the log gives %d", a.mark.NextAccount, want)
	}
	return nil
}

func (a *audit) checkBalances() (err error) {
	rows, purses := 0, 0
	for _, account := range a.books.accounts {
		purses += len(account.purses)
	}
	listing, err := a.store.Balances()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listing.Close()) }()
	for row, err := range listing.Rows(nil) {
		if err != nil {
			return err
		}
		if err := a.checkBalance(&row); err != nil {
			return fmt.Errorf("the balance of %s in asset %q: %w", row.Name, wire.Asset(row.Asset), err)
		}
		rows++
	}
	if rows != purses {
		return fmt.Errorf("there are %d balances, the log gives %d", rows, purses)
	}
	return nil
}

var errNotInLog = errors.New("the log gives none")

func (a *audit) checkBalance(row *store.BalanceRow) error {
	account, s := a.books.accounts[string(row.Name)], a.books.assets[row.Asset]
	if account == nil || s == nil {
		return errNotInLog
	}
	for i := range account.purses {
		p := &account.purses[i]
		if p.asset != s {
			continue
		}
		if p.available.Bytes() != row.Available || p.held.Bytes() != row.Held {
			return fmt.Errorf("its row says %s and %s held, the log gives %s and %s",
				wire.LoadAmount(row.Available[:]), wire.LoadAmount(row.Held[:]), p.available, p.held)
		}
		return nil
	}
	return errNotInLog
}

func (a *audit) checkSupplies() error {
	rows, err := a.store.Supplies()
	if err != nil {
		return err
	}
	for _, row := range rows {
		s := a.books.assets[row.Asset]
		if s == nil || s.supply.Bytes() != row.Supply {
			return fmt.Errorf("the supply of asset %q is %s, which is not what the log gives", wire.Asset(row.Asset), wire.LoadAmount(row.Supply[:]))
		}
	}
	if len(rows) != len(a.books.assets) {
		return fmt.Errorf("there are %d supplies, the log gives %d", len(rows), len(a.books.assets))
	}
	return nil
}

func (a *audit) checkAccounts() error {
	for name, want := range a.books.accounts {
		if number, known, err := a.store.LookupAccount([]byte(name)); err != nil || !known || number != want.number {
			return errors.Join(fmt.Errorf("account %s has number %d, the log gives %d", name, number, want.number), err)
		}
	}
	return nil
}

func (a *audit) checkIndex() error {
	rows := uint64(0)
	for row, err := range a.store.Index() {
		if err != nil {
			return err
		}
		if row.Seq > a.mark.Size {
			continue
		}
		if seq := a.books.seqs[identity{row.Nonce, uint32(row.Account)}]; seq != row.Seq || row.Account>>32 != 0 {
			return fmt.Errorf("the index says that nonce %v of account %d is entry %d, the log says %d", wire.Nonce(row.Nonce), row.Account, row.Seq, seq)
		}
		rows++
	}
	if rows != a.mark.Size {
		return fmt.Errorf("the index has %d of %d entries", rows, a.mark.Size)
	}
	return nil
}

func (a *audit) checkHolds() error {
	for seq, h := range a.books.holds {
		id := store.Identity{Nonce: h.id.nonce, Account: uint64(h.id.account)}
		asset, remaining, open, err := a.store.LookupHold(id)
		if err != nil || open == h.left.IsZero() || open && (asset != h.asset || remaining != h.left.Bytes()) {
			return errors.Join(fmt.Errorf("hold %d has %s left by its row, %s by the log", seq, wire.LoadAmount(remaining[:]), h.left), err)
		}
	}
	return nil
}

func (a *audit) checkReversals() error {
	for original, want := range a.books.reversed {
		if by, known, err := a.store.LookupReversed(original); err != nil || !known || by != want {
			return errors.Join(fmt.Errorf("entry %d was reversed by %d by its row, by %d in the log", original, by, want), err)
		}
	}
	return nil
}

func (a *audit) checkRequests() error {
	for id, want := range a.books.requests {
		if first, count, known, err := a.store.LookupRequest(id); err != nil || !known || first != want.First || count != want.Count {
			return errors.Join(fmt.Errorf("idem_id %x names %d entries at %d, in the log %d at %d", id, count, first, want.Count, want.First), err)
		}
	}
	return nil
}

// checkTiles compares every tile with what the nodes of the log give.
func (a *audit) checkTiles() error {
	newest := map[[2]uint64][]byte{}
	for _, tile := range a.tiles.Take() {
		newest[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Data
	}
	for _, key := range slices.SortedFunc(maps.Keys(newest), func(x, y [2]uint64) int { return slices.Compare(x[:], y[:]) }) {
		got, known, err := a.store.LookupTile(uint8(key[0]), key[1], nil)
		if err != nil || !known || !bytes.Equal(got, newest[key]) {
			return errors.Join(fmt.Errorf("tile (%d,%d) is not that of the log", key[0], key[1]), err)
		}
	}
	return nil
}

// rootRows walks the roots of the state beside the commits of the log.
type rootRows struct {
	store *store.Store
	page  []store.RootRow
	since uint64
}

const rootsPage = 1000

func (r *rootRows) next(seq uint64, root [32]byte, timeMs int64) error {
	if len(r.page) == 0 {
		page, err := r.store.Roots(r.since, rootsPage)
		if err != nil {
			return err
		}
		r.page = page
	}
	want := store.RootRow{Seq: seq, Root: root, TimeMs: timeMs}
	if len(r.page) == 0 || r.page[0] != want {
		return errors.New("the root of their commit is not among those of the state")
	}
	r.page, r.since = r.page[1:], seq
	return nil
}

// end is asked at the mark, where the state has no more roots.
func (r *rootRows) end() error {
	rows, err := r.store.Roots(r.since, 1)
	if err == nil && len(rows) > 0 {
		err = fmt.Errorf("the state has a root of size %d, where the log has no commit", rows[0].Seq)
	}
	return err
}
