package committer

import (
	"errors"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// TestReplayJudgesTheLog: a commit that lies in the log under right checksums, and that the head file knows, is
// judged all the same: one whose root is not that of its records, or that breaks a rule, is loss, and the
// ledger is as of the commit before.
func TestReplayJudgesTheLog(t *testing.T) {
	for name, tt := range map[string]struct {
		fields  wire.Fields
		anyRoot bool // another than that of the records
		want    string
	}{
		"root": {wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: wire.Nonce{9}}, true, "does not recompute"},
		"rule": {wire.Fields{Kind: wire.KindDebit, Account: "a", Amount: wire.AmountOf(2), Nonce: wire.Nonce{9}}, false, "breaks the rules"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
			before, frontier := b.Head(), b.ledger.frontier
			b.stop()
			s, err := store.Open(store.Options{Dir: b.dir, FS: b.fs, Fatal: func(what string) { panic(what) }})
			if err != nil {
				t.Fatal(err)
			}
			entry, fault := wire.AppendEntry(nil, &tt.fields)
			if !fault.OK() {
				t.Fatal(fault)
			}
			record := (&wire.Stamp{}).Append(entry)
			frontier.Add(b.hash.Leaf(record))
			c := store.Commit{First: 2, Count: 1, Records: record, Ends: []uint32{uint32(len(record))}, Root: frontier.Root(), TimeMs: 1_700_000_000_000}
			if tt.anyRoot {
				c.Root[0] ^= 1
			}
			if err := errors.Join(s.Append(&c), s.Close()); err != nil {
				t.Fatal(err)
			}
			b.start()
			loss, head := b.Loss(), b.Head()
			if loss == nil || !strings.Contains(loss.What, tt.want) || loss.First != 2 || loss.Last != 2 {
				t.Fatalf("%+v", loss)
			}
			if head.Size != 1 || head.Root != before.Root {
				t.Errorf("the ledger is at %d with root %v, was right at 1 with %v", head.Size, head.Root, before.Root)
			}
		})
	}
}
