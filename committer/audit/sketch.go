package audit

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Sketch counts a log as Verify does, but in memory that does not grow with it: of each kind of row of the
// derived state it keeps the sum of what the log gives, and holds that against the sum of the rows that
// are there.
//
// A row that is written once counts as a random function of all that it says. A balance, and what is left
// of a hold, change with the entries, but linearly: each counts as its amount times a random function
// of its key, so that an entry adds its amount for the accounts that it names, and nobody keeps
// balances. The functions are drawn anew for each Sketch: rows that differ have the same sum with a
// probability of some 2^-60.
//
// What Verify can tell beyond that: which row it is; whether accounts beyond the first 65,536 have
// the numbers of their first appearance; and, in a ledger that has forgotten its beginning, everything but
// roots, identities, requests, reversals and tiles from there on. Neither judges whether an entry might be
// booked: a replay does.
type Sketch struct {
	sketchSums
	from     uint64 // the first record that is counted
	original Original
	names    map[string]uint64 // numbers of the first accounts
	tree     merkle.Tiles
	whole    uint64 // tiles of the lowest level that are full
}

// Original returns the sequence number and the record of the entry of an account with a nonce; the record
// may be nil where it was forgotten.
type Original func(account []byte, nonce wire.Nonce) (seq uint64, record []byte, err error)

// sketchNames is how many accounts a Sketch knows by name.
const sketchNames = 65_536

// NewSketch counts from record from on, 1 or what the log begins with, above a tree of from-1 leaves.
func NewSketch(from uint64, tree merkle.Tiles, original Original) *Sketch {
	return &Sketch{
		sketchSums: newSums(), from: from, original: original, names: map[string]uint64{}, tree: tree, whole: tree.Blocks() / merkle.TileWidth,
	}
}

// Commit counts the next commit, which completes blocks of the tree.
func (k *Sketch) Commit(c *store.Commit, blocks []merkle.Hash) error {
	for i := range c.Groups {
		k.requested(&store.RequestRow{IdemID: c.Groups[i].IdemID, First: c.Groups[i].First, Count: c.Groups[i].Count})
	}
	start := uint32(0)
	for i, end := range c.Ends {
		seq := c.First + uint64(i)
		record, fault := wire.NextRecord(c.Records[start:end])
		if !fault.OK() {
			return &store.Damage{Seq: seq, Err: fault}
		}
		if err := k.entry(seq, record.Entry()); err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
		start = end
	}
	k.rooted(&store.RootRow{Seq: c.Last(), Root: c.Root, TimeMs: c.TimeMs})
	k.tree.AddAll(blocks)
	if whole := k.tree.Blocks() / merkle.TileWidth; whole > k.whole {
		k.whole = whole
		for _, t := range k.tree.Take() {
			if len(t.Data) == merkle.TileWidth*merkle.HashSize {
				k.tiled(t.Level, t.Index, t.Data)
			}
		}
	}
	return nil
}

// entry counts one entry.
func (k *Sketch) entry(seq uint64, e wire.Entry) error {
	number := k.account(e.Account())
	k.indexed(e.Nonce(), number, seq)
	switch e.Kind() {
	case wire.KindEpoch:
		return nil // it moves nothing
	case wire.KindReverse:
		return k.reverse(seq, e)
	}
	if k.from == 1 {
		k.move(e, false)
	}
	return nil
}

// account returns the number of an account, which gets one where it is new; 0 beyond those that are known.
func (k *Sketch) account(name []byte) uint64 {
	if k.from > 1 {
		return 0 // who came before is not known
	}
	n := k.names[string(name)]
	if n == 0 && len(k.names) < sketchNames {
		n = uint64(len(k.names)) + 1
		k.names[string(name)] = n
	}
	return n
}

// known is the number that a row has, where account knows it.
func (k *Sketch) known(number uint64) uint64 {
	if k.from > 1 || number > sketchNames {
		return 0
	}
	return number
}

// reverse counts a reversal: the inverse of the entry that it names.
func (k *Sketch) reverse(seq uint64, e wire.Entry) error {
	original, record, err := k.original(e.Account(), e.Ref())
	if err != nil {
		return fmt.Errorf("look for the entry that it reverses: %w", err)
	}
	k.reversal(&store.ReversedRow{Seq: original, Reversal: seq})
	if k.from > 1 {
		return nil
	}
	if len(record) == 0 {
		return errors.New("the entry that it reverses is not where the state has it")
	}
	undone := wire.Record(record).Entry()
	if undone.Nonce() != e.Ref() || string(undone.Account()) != string(e.Account()) {
		return fmt.Errorf("the state says that it reverses entry %d, which is another one", original)
	}
	k.move(undone, true)
	return nil
}

// move counts what e does to balances, holds and supplies, or its inverse.
func (k *Sketch) move(e wire.Entry, undo bool) {
	own, asset, amount := e.Account(), e.Asset(), e.Amount()
	a := k.asset(asset)
	switch e.Kind() {
	case wire.KindCredit:
		a.balance(own, available, amount, undo)
	case wire.KindDebit:
		a.balance(own, available, amount, !undo)
	case wire.KindTransfer:
		a.balance(own, available, amount, !undo)
		a.balance(e.Counterparty(), available, amount, undo)
		k.account(e.Counterparty())
	case wire.KindMint:
		a.balance(own, available, amount, undo)
		a.issue(amount, undo)
	case wire.KindBurn:
		a.balance(own, available, amount, !undo)
		a.issue(amount, !undo)
	case wire.KindHold:
		a.balance(own, available, amount, !undo)
		a.balance(own, held, amount, undo)
		k.hold(e.Nonce(), k.account(own), asset, amount, undo)
	case wire.KindRelease:
		a.balance(own, held, amount, !undo)
		a.balance(own, available, amount, undo)
		k.hold(e.Ref(), k.account(own), asset, amount, !undo)
	case wire.KindCapture:
		a.balance(own, held, amount, !undo)
		a.balance(e.Counterparty(), available, amount, undo)
		k.account(e.Counterparty())
		k.hold(e.Ref(), k.account(own), asset, amount, !undo)
	}
}

// Compare holds rows of the state, as of mark, against what was counted up to there. frontier is that of
// the log. What is wrong with the state is a *Finding; other errors come from reading the rows. Nothing
// is counted behind it.
func (k *Sketch) Compare(mark *store.Mark, frontier *merkle.Frontier, rows iter.Seq2[any, error]) (read uint64, err error) {
	if err := k.checkMark(mark, frontier); err != nil {
		return 0, &Finding{Err: err}
	}
	want := k.finish(mark)
	got := sketchRows{Sketch: k, sums: sketchSums{seed: want.seed, assets: map[wire.Asset]*assetSums{}}, size: mark.Size}
	for row, err := range rows {
		if err != nil {
			return read, err
		}
		got.add(row)
		read++
	}
	if wrong := want.differ(&got.sums); len(wrong) > 0 {
		return read, &Finding{Err: fmt.Errorf("the rows of the derived state at size %d are not what the log gives: %s", mark.Size, strings.Join(wrong, ", "))}
	}
	return read, nil
}

// checkMark holds the mark against the tree, and against the accounts that are known.
func (k *Sketch) checkMark(mark *store.Mark, frontier *merkle.Frontier) error {
	a := audit{mark: *mark, frontier: *frontier, books: &books{names: uint64(len(k.names))}}
	if k.from > 1 || len(k.names) == sketchNames {
		a.books.names = mark.NextAccount - 1
	}
	if accounts := mark.NextAccount - 1; accounts > 2*mark.Size { // an entry names two at most
		return fmt.Errorf("the mark at size %d says that there are %d accounts", mark.Size, accounts)
	}
	return a.checkMark()
}

// finish adds what is known at the end alone.
func (k *Sketch) finish(mark *store.Mark) *sketchSums {
	view := k.tree.View()
	for level := range uint8(merkle.TileLevels) {
		index := mark.Size >> (8 * (uint(level) + 2))
		if data := view.Tile(level+1, index); data != nil {
			k.tiled(level+1, index, data)
		}
	}
	if k.from > 1 {
		return &k.sketchSums
	}
	for name, number := range k.names {
		k.named([]byte(name), number)
	}
	for number := range mark.NextAccount - 1 {
		k.numbered(number + 1)
	}
	return &k.sketchSums
}

// sketchRows sums what lies in the state.
type sketchRows struct {
	*Sketch
	sums sketchSums
	size uint64 // of the mark
}

// add counts a row, unless the log cannot say anything of it.
func (r *sketchRows) add(row any) {
	whole := r.from == 1
	switch row := row.(type) {
	case *store.Indexed:
		if row.Seq >= r.from && row.Seq <= r.size {
			r.sums.indexed(row.Nonce, r.known(row.Account), row.Seq)
		}
	case *store.RequestRow:
		if row.First >= r.from {
			r.sums.requested(row)
		}
	case *store.RootRow:
		if row.Seq >= r.from {
			r.sums.rooted(row)
		}
	case *store.ReversedRow:
		if row.Reversal >= r.from {
			r.sums.reversal(row)
		}
	case *store.TileRow:
		if row.Level > 0 && row.Index >= (r.from-1)>>(8*(uint(row.Level)+1)) {
			r.sums.tiled(row.Level, row.Index, row.Data)
		}
	case *store.AccountRow:
		if whole {
			r.sums.numbered(row.Number)
		}
		if n := r.known(row.Number); n > 0 {
			r.sums.named(row.Name, n)
		}
	case *store.BalanceRow:
		if whole {
			a := r.sums.asset(row.Asset)
			a.balance(row.Name, available, wire.LoadAmount(row.Available[:]), false)
			a.balance(row.Name, held, wire.LoadAmount(row.Held[:]), false)
		}
	case *store.SupplyRow:
		if whole {
			r.sums.asset(row.Asset).issue(wire.LoadAmount(row.Supply[:]), false)
		}
	case *store.HoldRow:
		if whole {
			r.sums.hold(row.Nonce, r.known(row.Account), row.Asset, wire.LoadAmount(row.Remaining[:]), false)
		}
	}
}

// differ names the kinds of rows whose sums are not the same.
func (s *sketchSums) differ(got *sketchSums) (wrong []string) {
	for _, kind := range []struct {
		name   string
		differ bool
	}{
		{"identities", s.identities != got.identities}, {"numbers of accounts", s.accounts != got.accounts},
		{"holds", s.holds != got.holds}, {"reversals", s.reversed != got.reversed}, {"requests", s.requests != got.requests},
		{"roots", s.roots != got.roots}, {"tiles", s.tiles != got.tiles},
	} {
		if kind.differ {
			wrong = append(wrong, kind.name)
		}
	}
	names := map[wire.Asset]bool{}
	for _, sums := range []*sketchSums{s, got} {
		for name := range sums.assets {
			names[name] = true
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(names), func(a, b wire.Asset) int { return slices.Compare(a[:], b[:]) }) {
		one, other := s.asset(name), got.asset(name)
		if one.balances != other.balances {
			wrong = append(wrong, fmt.Sprintf("balances in asset %q", name))
		}
		if one.supply != other.supply {
			wrong = append(wrong, fmt.Sprintf("supply of asset %q", name))
		}
	}
	return wrong
}
