package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// record returns a record with its place.
func record(t *testing.T, seq uint64) wire.EntriesRow {
	var stamp wire.Stamp
	return wire.EntriesRow{Seq: seq, TimeMs: 7, Record: stamp.Append(batchOf(t, int(seq), 1).Entry(0))}
}

// serveRecords answers ENTRIES from a log of size records of which those below
// oldest are forgotten, in frames of two and answers of at most three frames.
func serveRecords(t *testing.T, size, oldest uint64) func(c *peerConn, f wire.Frame) bool {
	return func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameEntries {
			return false
		}
		var m wire.EntriesRequest
		if fault := m.Decode(f.Payload); !fault.OK() {
			t.Error(fault)
		}
		if len(m.Account) > 0 {
			m.From, m.To = uint64(m.Nonce[15]), uint64(m.Nonce[15])
		}
		a := wire.EntriesAnswer{Size: size, Oldest: oldest}
		to := min(m.To, size)
		for seq := max(m.From, oldest); seq <= to; seq++ {
			if a.Count == 2 {
				c.answer(wire.FrameEntriesAnswer, wire.FlagMore, f.RequestID, a.Append)
				a.Count, a.Rows = 0, nil
			}
			if seq == m.From+5 {
				a.Next = seq
				break
			}
			a.Rows, a.Count = wire.AppendEntriesRow(a.Rows, record(t, seq)), a.Count+1
		}
		c.answer(wire.FrameEntriesAnswer, 0, f.RequestID, a.Append)
		return true
	}
}

func TestEntriesAreReadToTheEndOfTheRange(t *testing.T) {
	p := newPeer(t)
	p.intercept(serveRecords(t, 23, 4))
	c := p.dial(t, nil)
	for _, tc := range []struct {
		from, to uint64
		want     string
	}{
		{4, 4, "4"}, {4, 9, "4 5 6 7 8 9"}, {20, ToHead, "20 21 22 23"}, {24, ToHead, ""}, {9, 8, ""},
		{4, 1000, "4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23"},
	} {
		var got []string
		for row, err := range c.Entries(t.Context(), tc.from, tc.to) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(row.Seq))
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%d..%d: got %v, want %s", tc.from, tc.to, got, tc.want)
		}
	}
	for _, err := range c.Entries(t.Context(), 3, ToHead) {
		var forgotten *ForgottenError
		if !errors.As(err, &forgotten) || forgotten.Oldest != 4 {
			t.Fatalf("%v", err)
		}
	}
	for row, err := range c.Entries(t.Context(), 5, ToHead) {
		if err != nil || row.Seq != 5 {
			t.Fatalf("%v, %v", row, err)
		}
		break // leaves nothing behind: TestMain looks for goroutines
	}
}

func TestFind(t *testing.T) {
	p := newPeer(t)
	p.intercept(serveRecords(t, 9, 1))
	c := p.dial(t, nil)
	row, ok, err := c.Find(t.Context(), "acct/a", nonceOf(7))
	if err != nil || !ok || row.Seq != 7 || row.Record.Entry().Nonce() != nonceOf(7) {
		t.Fatalf("%+v, %v, %v", row, ok, err)
	}
	if _, ok, err = c.Find(t.Context(), "acct/a", nonceOf(10)); ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
}

func TestAccounts(t *testing.T) {
	p := newPeer(t)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAccount {
			return false
		}
		var m wire.AccountRequest
		if fault := m.Decode(f.Payload); !fault.OK() {
			t.Error(fault)
		}
		a := wire.AccountAnswer{Size: 9, Known: string(m.Name) == "a/1"}
		row := func(name, asset string, available uint64) {
			unit, _ := wire.ParseAsset(asset)
			a.Rows = wire.AppendBalance(a.Rows, &wire.Balance{Account: []byte(name), Asset: unit, Available: wire.AmountOf(available)})
			a.Count++
		}
		if m.Listing {
			if string(m.Prefix) != "a/" || string(m.After) != "a/0" {
				t.Errorf("request %+v", m)
			}
			row("a/1", "", 1)
			c.answer(wire.FrameAccountAnswer, wire.FlagMore, f.RequestID, a.Append)
			a.Rows, a.Count = nil, 0
			row("a/2", "EUR", 2)
			row("a/2", "USD", 3)
		} else if a.Known {
			row("a/1", "", 1)
		}
		c.answer(wire.FrameAccountAnswer, 0, f.RequestID, a.Append)
		return true
	})
	c := p.dial(t, nil)
	var got strings.Builder
	for b, err := range c.Accounts(t.Context(), "a/", "a/0") {
		fmt.Fprintf(&got, "%s %s %v %v;", b.Account, b.Asset, b.Available, err)
	}
	if want := "a/1  1 <nil>;a/2 EUR 2 <nil>;a/2 USD 3 <nil>;"; got.String() != want {
		t.Fatalf("got %s", got.String())
	}
	if a, err := c.Account(t.Context(), "a/1"); err != nil || !a.Known || a.Size != 9 || len(a.Balances) != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	if a, err := c.Account(t.Context(), "b"); err != nil || a.Known || len(a.Balances) != 0 {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestRootsStatusAndAuth(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		switch f.Type {
		case wire.FrameRoots:
			var m wire.Roots
			if fault := m.Decode(f.Payload); !fault.OK() || m != (wire.Roots{Since: 3, Limit: 2, WaitMs: 1500}) {
				t.Errorf("request %+v, %v", m, fault)
			}
			a := wire.RootsAnswer{Next: 9, Roots: []wire.Head{{Size: 5}, {Size: 9}}, Checkpoint: []byte("note")}
			c.answer(wire.FrameRootsAnswer, 0, f.RequestID, a.Append)
		case wire.FrameAuth:
			c.answer(wire.FrameOK, 0, f.RequestID, nothing)
		default:
			return false
		}
		return true
	})
	roots, err := c.Roots(t.Context(), 3, 2, 1500*time.Millisecond)
	if err != nil || len(roots.Roots) != 2 || roots.Next != 9 || string(roots.Checkpoint) != "note" {
		t.Fatalf("%+v, %v", roots, err)
	}
	if report, err := c.Status(t.Context()); err != nil || string(report) != `{"ready":true}` {
		t.Fatalf("%s, %v", report, err)
	}
	if err := c.Auth(t.Context(), []byte("token")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Account(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "malformed: not scripted") {
		t.Fatalf("%v", err)
	}
}

// TestWatchGoesOnWhereItWas cuts the connection after each head.
func TestWatchGoesOnWhereItWas(t *testing.T) {
	p := newPeer(t)
	p.welcome.Head.Size = 100
	c := p.dial(t, nil)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameWatch {
			return false
		}
		var m wire.Watch
		if fault := m.Decode(f.Payload); !fault.OK() {
			t.Error(fault)
		}
		a := wire.WatchAnswer{First: m.From + 1, Head: wire.Head{Size: m.From + 10}}
		c.answer(wire.FrameWatchAnswer, wire.FlagMore, f.RequestID, a.Append)
		_ = c.Conn.Close()
		return true
	})
	known := uint64(40)
	for told, err := range c.Watch(t.Context(), known) {
		if err != nil || told.First != known+1 || told.Head.Size != known+10 {
			t.Fatalf("behind %d: %+v, %v", known, told, err)
		}
		if known = told.Head.Size; known == 80 {
			break
		}
	}
	for _, err := range c.Watch(t.Context(), 101) {
		if !errors.Is(err, ErrWentBack) {
			t.Fatalf("%v", err)
		}
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	p.intercept(func(_ *peerConn, f wire.Frame) bool { return f.Type == wire.FrameWatch })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for told, err := range c.Watch(ctx, 0) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%+v, %v", told, err)
		}
	}
}
