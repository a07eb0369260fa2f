package audit

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// derived returns what the state of a log has to be, made from the books that this
// package keeps of it.
func derived(t *testing.T, s *store.Store, log []request) *store.Checkpoint {
	t.Helper()
	a := newAudit(s)
	if err := a.run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	c := &store.Checkpoint{Mark: store.Mark{Size: a.frontier.Size(), Root: a.frontier.Root(), TimeMs: a.timeMs, NextAccount: a.books.names + 1}}
	for _, h := range a.frontier.Hashes() {
		c.Mark.Frontier = append(c.Mark.Frontier, h)
	}
	for id, seq := range a.books.seqs {
		c.Index = append(c.Index, store.Indexed{Identity: store.Identity{Nonce: id.nonce, Account: uint64(id.account)}, Seq: seq})
	}
	// The books are a map: without an order, the row that is spoilt was now and then the last one, which
	// then lay beyond the mark, where the store itself refuses it.
	slices.SortFunc(c.Index, func(a, b store.Indexed) int { return cmp.Compare(a.Seq, b.Seq) })
	for name, account := range a.books.accounts {
		c.Accounts = append(c.Accounts, store.AccountRow{Name: []byte(name), Number: account.number})
		for _, p := range account.purses {
			c.Balances = append(c.Balances, store.BalanceRow{Name: []byte(name), Asset: p.asset.name, Available: p.available.Bytes(), Held: p.held.Bytes()})
		}
	}
	for _, asset := range a.books.assets {
		c.Supplies = append(c.Supplies, store.SupplyRow{Asset: asset.name, Supply: asset.supply.Bytes()})
	}
	for _, h := range a.books.holds {
		c.Holds = append(c.Holds, store.HoldRow{Identity: store.Identity{Nonce: h.id.nonce, Account: uint64(h.id.account)}, Asset: h.asset, Remaining: h.left.Bytes()})
	}
	for original, by := range a.books.reversed {
		c.Reversed = append(c.Reversed, store.ReversedRow{Seq: original, Reversal: by})
	}
	for _, row := range a.books.requests {
		c.Requests = append(c.Requests, row)
	}
	for _, tile := range a.tiles.Take() {
		c.Tiles = append(c.Tiles, store.TileRow{Level: tile.Level, Index: tile.Index, Data: tile.Data})
	}
	last := uint64(0)
	for _, r := range log {
		last += uint64(len(r.records))
		c.Roots = append(c.Roots, store.RootRow{Seq: last, Root: r.root, TimeMs: r.timeMs})
	}
	return c
}

// One row of the derived state is wrong, under checksums that fit.
func TestStateIsCovered(t *testing.T) {
	stray := wire.AmountOf(3).Bytes()
	for name, change := range map[string]func(*store.Checkpoint){
		"nothing":            func(*store.Checkpoint) {},
		"frontier":           func(c *store.Checkpoint) { c.Mark.Frontier[0][0] ^= 1 },
		"next account":       func(c *store.Checkpoint) { c.Mark.NextAccount++ },
		"index":              func(c *store.Checkpoint) { c.Index[3].Seq ^= 1 },
		"index, one missing": func(c *store.Checkpoint) { c.Index = c.Index[1:] },
		"index, one more": func(c *store.Checkpoint) {
			c.Index = append(c.Index, store.Indexed{Identity: store.Identity{Nonce: [16]byte{9}, Account: 1}, Seq: 1})
		},
		"account":              func(c *store.Checkpoint) { c.Accounts[0].Number += 7 },
		"account, one missing": func(c *store.Checkpoint) { c.Accounts = c.Accounts[1:] },
		"available":            func(c *store.Checkpoint) { c.Balances[0].Available[0] ^= 1 },
		"held":                 func(c *store.Checkpoint) { c.Balances[0].Held[15] ^= 1 },
		"balance missing":      func(c *store.Checkpoint) { c.Balances = c.Balances[1:] },
		"balance from nowhere": func(c *store.Checkpoint) {
			c.Balances = append(c.Balances, store.BalanceRow{Name: []byte("z"), Available: stray})
		},
		"supply":           func(c *store.Checkpoint) { c.Supplies[0].Supply[2] ^= 1 },
		"supply, one more": func(c *store.Checkpoint) { c.Supplies = append(c.Supplies, store.SupplyRow{Asset: wire.Asset{'Q'}}) },
		"hold":             func(c *store.Checkpoint) { c.Holds[0].Remaining[0] ^= 1 },
		"hold, asset":      func(c *store.Checkpoint) { c.Holds[0].Asset[0] = 'X' },
		"hold missing":     func(c *store.Checkpoint) { c.Holds = nil },
		"reversal":         func(c *store.Checkpoint) { c.Reversed[0].Reversal++ },
		"reversal missing": func(c *store.Checkpoint) { c.Reversed = c.Reversed[1:] },
		"request":          func(c *store.Checkpoint) { c.Requests[0].Count++ },
		"request missing":  func(c *store.Checkpoint) { c.Requests = nil },
		"tile":             func(c *store.Checkpoint) { c.Tiles[0].Data[5] ^= 1 },
		"tile missing":     func(c *store.Checkpoint) { c.Tiles = nil },
		"root":             func(c *store.Checkpoint) { c.Roots[2].Root[0] ^= 1 },
		"time of a root":   func(c *store.Checkpoint) { c.Roots[2].TimeMs++ },
		"root missing":     func(c *store.Checkpoint) { c.Roots = c.Roots[1:] },
		"root from nowhere": func(c *store.Checkpoint) {
			c.Roots = append(c.Roots, store.RootRow{Seq: c.Mark.Size - 1})
		},
	} {
		for _, kind := range kinds {
			log := soundWithTiles(t, kind)
			s := open(t, kind, log)
			c := derived(t, s, log)
			change(c)
			if err := s.Checkpoint(c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			report, err := Verify(t.Context(), s, nil)
			var finding *Finding
			if sound := name == "nothing"; sound != (err == nil) || !sound && !errors.As(err, &finding) || report.StateSize != 610 && name == "nothing" {
				t.Errorf("%v, %s: %+v: %v", kind, name, report, err)
			}
			_ = s.Close()
		}
	}
}

// A log that is behind its head file has lost what was durable.
func TestHeadFileIsCompared(t *testing.T) {
	s := open(t, merkle.Blake3, sound(t, merkle.Blake3))
	defer func() { _ = s.Close() }()
	for name, head := range map[string]store.HeadSlot{
		"ahead of the log":  {Known: true, Seq: 12},
		"with another root": {Known: true, Seq: 4},
	} {
		a := newAudit(s)
		a.head = head
		err := a.run(t.Context(), nil)
		if err == nil {
			tail, _ := s.Last()
			err = a.end(tail)
		}
		var finding *Finding
		if !errors.As(err, &finding) || finding.First == 0 {
			t.Errorf("a head file %s: %v", name, err)
		}
	}
}

// soundWithTiles is the sound log and 600 entries in one commit behind it, so that there are tiles.
func soundWithTiles(t *testing.T, kind merkle.HashKind) []request {
	t.Helper()
	many := request{}
	for i := range 600 {
		f := entryOf(wire.KindMint, "m", "", 1, 0, 0)
		binary.BigEndian.PutUint64(f.Nonce[:], uint64(i+1))
		many.records = append(many.records, record(t, f))
	}
	return rooted(kind, append(sound(t, kind), many))
}
