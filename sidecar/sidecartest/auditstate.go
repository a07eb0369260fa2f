package sidecartest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// state compares what the store derived with what the log gives.
func (a *audit) state() error {
	for _, check := range []func() error{
		a.checkMark, a.checkBalances, a.checkSupplies, a.checkAccounts, a.checkIdentities, a.checkHolds,
		a.checkRequests, a.checkRoots, a.checkTiles,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (a *audit) checkMark() error {
	if root := a.frontier.Root(); root != a.mark.Root {
		return fmt.Errorf("the mark says root %x, the log gives %s", a.mark.Root, root)
	}
	hashes := a.frontier.Hashes()
	if !slices.EqualFunc(hashes, a.mark.Frontier, func(h merkle.Hash, raw [32]byte) bool { return h == raw }) {
		return fmt.Errorf("the frontier has %d hashes and is not that of the log", len(a.mark.Frontier))
	}
	if want := uint64(len(a.books.names)) + 1; a.mark.NextAccount != want {
		return fmt.Errorf("the next account gets number %d, the log gives %d", a.mark.NextAccount, want)
	}
	return nil
}

func (a *audit) checkBalances() (err error) {
	want := slices.SortedFunc(maps.Keys(a.books.balances), func(x, y holding) int {
		if by := strings.Compare(x.account, y.account); by != 0 {
			return by
		}
		return bytes.Compare(x.asset[:], y.asset[:])
	})
	listing, err := a.store.Balances()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listing.Close()) }()
	i := 0
	for row, err := range listing.Rows(nil) {
		if err != nil {
			return err
		}
		if i == len(want) || want[i] != (holding{string(row.Name), row.Asset}) {
			return fmt.Errorf("row %d of the balances is %s in asset %q, which is not the log's", i, row.Name, wire.Asset(row.Asset))
		}
		if err := a.checkBalance(want[i], row.Available, row.Held); err != nil {
			return err
		}
		available, held, known, err := a.store.LookupBalance(row.Name, row.Asset)
		if err != nil || !known || available != row.Available || held != row.Held {
			return errors.Join(fmt.Errorf("the balance of %s is not found as it is listed", row.Name), err)
		}
		i++
	}
	if i < len(want) {
		return fmt.Errorf("the balance of %s in asset %q is missing", want[i].account, want[i].asset)
	}
	return nil
}

func (a *audit) checkBalance(key holding, available, held [16]byte) error {
	purse := a.books.balances[key]
	if !equals(available, &purse.available) || !equals(held, &purse.held) {
		return fmt.Errorf("%s holds %s and %s in asset %q by its row, %s and %s by the log", key.account,
			wire.LoadAmount(available[:]), wire.LoadAmount(held[:]), key.asset, &purse.available, &purse.held)
	}
	return nil
}

func equals(raw [16]byte, n *big.Int) bool { return bigOf(wire.LoadAmount(raw[:])).Cmp(n) == 0 }

func (a *audit) checkSupplies() error {
	rows, err := a.store.Supplies()
	if err != nil {
		return err
	}
	listed := map[wire.Asset]bool{}
	for _, row := range rows {
		listed[row.Asset] = true
		if want := entryOf(a.books.supplies, row.Asset); !equals(row.Supply, want) {
			return fmt.Errorf("the supply of asset %q is %s by its row, %s by the log", wire.Asset(row.Asset), wire.LoadAmount(row.Supply[:]), want)
		}
	}
	for asset := range a.books.totals {
		if !listed[asset] {
			return fmt.Errorf("the supply of asset %q has no row", asset)
		}
	}
	return nil
}

func (a *audit) checkAccounts() error {
	for name, want := range a.books.numbers {
		if number, known, err := a.store.LookupAccount([]byte(name)); err != nil || !known || number != want {
			return errors.Join(fmt.Errorf("account %s has number %d (known %t), the log gives %d", name, number, known, want), err)
		}
	}
	return nil
}

func (a *audit) checkIdentities() error {
	for id, want := range a.books.seqs {
		if seq, known, err := a.store.LookupIdentity(id); err != nil || !known || seq != want {
			return errors.Join(fmt.Errorf("nonce %s of account %d is %d in the index (known %t), %d in the log",
				wire.Nonce(id.Nonce), id.Account, seq, known, want), err)
		}
	}
	if highest := a.store.HighestNonce(); string(highest[:]) < string(a.books.highest[:]) {
		return fmt.Errorf("the highest nonce is %s, that of the log %s", wire.Nonce(highest), a.books.highest)
	}
	return nil
}

func (a *audit) checkHolds() error {
	for seq, f := range a.books.entries {
		reversal, reversed, err := a.store.LookupReversed(seq)
		if err != nil || reversed != (a.books.reversals[seq] != 0) || reversed && reversal != a.books.reversals[seq] {
			return errors.Join(fmt.Errorf("entry %d was reversed by %d (known %t), in the log by %d", seq, reversal, reversed, a.books.reversals[seq]), err)
		}
		if f.Kind != wire.KindHold {
			continue
		}
		left := a.books.left[seq]
		id := store.Identity{Nonce: f.Nonce, Account: a.books.numbers[f.Account]}
		asset, remaining, open, err := a.store.LookupHold(id)
		if err != nil || open != (left.Sign() > 0) || open && (asset != f.Asset || !equals(remaining, left)) {
			return errors.Join(fmt.Errorf("hold %d has %s left in asset %q (open %t), in the log %s in %q",
				seq, wire.LoadAmount(remaining[:]), wire.Asset(asset), open, left, f.Asset), err)
		}
	}
	return nil
}

func (a *audit) checkRequests() error {
	for id, want := range a.requests {
		if first, count, known, err := a.store.LookupRequest(id); err != nil || !known || first != want.First || count != want.Count {
			return errors.Join(fmt.Errorf("idem_id %x names %d entries at %d (known %t), in the log %d at %d", id, count, first, known, want.Count, want.First), err)
		}
	}
	return nil
}

func (a *audit) checkRoots() error {
	rows, err := a.store.Roots(0, len(a.roots)+1)
	if err != nil {
		return err
	}
	if !slices.Equal(rows, a.roots) {
		return fmt.Errorf("%d roots are listed that are not the %d of the log", len(rows), len(a.roots))
	}
	return nil
}

// tileTree is every level of nodes from which tiles are cut, from the lowest.
type tileTree struct {
	kind    merkle.HashKind
	pending []merkle.Frontier // the subtree of 256 that is being filled, by level
	nodes   [][]merkle.Hash
}

func (t *tileTree) add(leaf merkle.Hash) {
	for level := 0; ; level++ {
		if level == len(t.pending) {
			t.pending = append(t.pending, merkle.NewFrontier(t.kind))
			t.nodes = append(t.nodes, nil)
		}
		t.pending[level].Add(leaf)
		if t.pending[level].Size() < merkle.TileWidth {
			return
		}
		leaf = t.pending[level].Root()
		t.pending[level] = merkle.NewFrontier(t.kind)
		t.nodes[level] = append(t.nodes[level], leaf)
	}
}

func (a *audit) checkTiles() error {
	for i, nodes := range a.tiles.nodes {
		index := uint64(0)
		for tile := range slices.Chunk(nodes, merkle.TileWidth) {
			var want []byte
			for _, node := range tile {
				want = append(want, node[:]...)
			}
			got, known, err := a.store.LookupTile(uint8(i+1), index, nil)
			if err != nil || !known || !bytes.Equal(got, want) {
				return errors.Join(fmt.Errorf("tile (%d,%d) has %d bytes (known %t) and is not that of the log", i+1, index, len(got), known), err)
			}
			index++
		}
	}
	return nil
}
