package committer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// beginEpoch stops b, begins an epoch in its home and starts it again.
func (b *bench) beginEpoch(n NewEpoch) (wire.Epoch, error) {
	b.t.Helper()
	b.stop()
	s, err := store.Open(store.Options{Dir: b.dir, FS: b.fs, Fatal: func(what string) { panic(what) }})
	if err != nil {
		b.t.Fatal(err)
	}
	begun, err := BeginEpoch(s, Options{CheckpointEntries: b.options.CheckpointEntries, Fatal: func(what string) { panic(what) }}, n)
	if err := s.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.start()
	return begun, err
}

// An epoch goes on with the tree, the balances and the identities of the one before it, is in
// force after a fast start and after a replay, and is named by the meta file.
func TestEpoch(t *testing.T) {
	b := newBench(t, Options{CheckpointEntries: 2})
	genesis := b.Epoch().LogID
	mint := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(100), Nonce: wire.Nonce{1}}
	b.append(mint, wire.Fields{Kind: wire.KindTransfer, Account: "a", Counterparty: "b", Amount: wire.AmountOf(30)})
	before := b.Head()
	for n := range uint64(3) {
		head, old := b.Head(), b.Epoch()
		id := [16]byte{0xe0, byte(n)}
		begun, err := b.beginEpoch(NewEpoch{Size: head.Size, LogID: id, TimeMs: 1_700_000_000_001, Reason: "a test"})
		want := wire.Epoch{Number: n + 1, LogID: id, OldLogID: old.LogID, Cut: head.Size, Root: head.Root, Known: head.Size,
			TimeMs: 1_700_000_000_001, Reason: "a test"}
		if err != nil || begun != want {
			t.Fatalf("%+v, want %+v: %v", begun, want, err)
		}
		if b.Epoch() != (Epoch{Number: n + 1, LogID: id, Seq: head.Size + 1}) || b.Head().Size != head.Size+1 || b.Recovered().Replayed != 0 || b.Loss() != nil {
			t.Fatalf("%+v at %d, %+v, %v", b.Epoch(), b.Head().Size, b.Recovered(), b.Loss())
		}
		if r := b.append(mint); r.Results[0].Outcome != wire.OutcomeDuplicate || r.Results[0].Seq != 1 {
			t.Fatalf("%+v", r.Results)
		}
		if r := b.do(&Request{Op: OpFind, Account: []byte(wire.EpochAccount), Nonce: wire.Nonce(id)}); !r.Known || r.First != head.Size+1 {
			t.Fatalf("the record is not found by its identity: %+v", r)
		}
		reverse := wire.Fields{Kind: wire.KindReverse, Account: wire.EpochAccount, Amount: wire.AmountOf(n + 1), Ref: id}
		if r := b.append(reverse); r.Results[0].Reason != wire.ReasonUnknownRef {
			t.Fatalf("an Epoch was reversed: %+v", r.Results)
		}
		b.append(wire.Fields{Kind: wire.KindTransfer, Account: "b", Counterparty: "a", Amount: wire.AmountOf(1)})
	}
	in := b.Epoch()
	meta := b.store.Meta()
	if number, id := meta.InForce(); meta.LogID != genesis || number != in.Number || id != in.LogID {
		t.Errorf("the meta file says epoch %d of %x", number, id)
	}
	b.stop() // the state is made again: everything is replayed
	if err := b.fs.WriteFile(b.dir+"/state.rebuild", nil); err != nil {
		t.Fatal(err)
	}
	b.start()
	if b.Epoch() != in || b.Loss() != nil || b.Recovered().Replayed != before.Size+6 {
		t.Errorf("%+v after a replay, %+v before; %+v; %v", b.Epoch(), in, b.Recovered(), b.Loss())
	}
	r := b.do(&Request{Op: OpAccount, Account: []byte("b")})
	if len(r.Found) != 1 || r.Found[0].Available != wire.AmountOf(27) {
		t.Errorf("%+v", r.Found)
	}
}

// A crash between the Epoch record and the copy of it in the meta file is mended by the start.
func TestEpochCopyIsMended(t *testing.T) {
	b := newBench(t, Options{})
	b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
	meta, err := b.fs.ReadFile(b.dir + "/meta")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.beginEpoch(NewEpoch{Size: 1, LogID: [16]byte{5}}); err != nil {
		t.Fatal(err)
	}
	b.stop()
	if err := b.fs.WriteFile(b.dir+"/meta", meta); err != nil {
		t.Fatal(err)
	}
	b.start()
	copied := b.store.Meta()
	if number, id := copied.InForce(); number != 1 || id != [16]byte{5} || b.Epoch().LogID != id {
		t.Errorf("epoch %d of %x", number, id)
	}
}

// What BeginEpoch refuses leaves the ledger as it was.
func TestEpochRefused(t *testing.T) {
	b := newBench(t, Options{})
	b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
	genesis, head := b.Epoch(), *b.Head()
	for name, tt := range map[string]struct {
		n    NewEpoch
		want string
	}{
		"another size":     {NewEpoch{Size: 2, LogID: [16]byte{1}}, "ends at sequence number 1, not at 2"},
		"no log id":        {NewEpoch{Size: 1}, "log id is zero"},
		"the same log id":  {NewEpoch{Size: 1, LogID: genesis.LogID}, "the old log id"},
		"a line of reason": {NewEpoch{Size: 1, LogID: [16]byte{1}, Reason: "a\nb"}, "printable"},
		"a long reason":    {NewEpoch{Size: 1, LogID: [16]byte{1}, Reason: strings.Repeat("x", 257)}, "48 to 304"},
	} {
		if _, err := b.beginEpoch(tt.n); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if b.Epoch() != genesis || b.Head().Size != head.Size || b.Head().Root != head.Root {
			t.Errorf("%s: %+v at %d", name, b.Epoch(), b.Head().Size)
		}
	}
}

// What the head file knows beyond the log is accepted as lost, by an epoch alone, and named.
func TestEpochAcceptsLoss(t *testing.T) {
	b := newBench(t, Options{})
	b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
	b.stop()
	b.fs = store.NewCrashFS()
	b.start()
	b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
	early := b.fs.CrashClone(100, 0)
	b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
	b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
	b.stop()
	head, err := b.fs.ReadFile(b.dir + "/head")
	if err != nil {
		t.Fatal(err)
	}
	if err := early.WriteFile(b.dir+"/head", head); err != nil {
		t.Fatal(err)
	}
	b.fs = early
	b.start()
	if loss := b.Loss(); loss == nil || loss.First != 2 || loss.Last != 3 {
		t.Fatalf("loss %+v", loss)
	}
	begun, err := b.beginEpoch(NewEpoch{Size: 1, LogID: [16]byte{6}})
	if err != nil || begun.Known != 3 || begun.Cut != 1 {
		t.Fatalf("%+v: %v", begun, err)
	}
	if b.Loss() != nil || b.Head().Size != 2 {
		t.Errorf("size %d, %v", b.Head().Size, b.Loss())
	}
}

// A record of an epoch that does not fit is damage, as any broken rule is.
func TestEpochThatDoesNotFitIsLoss(t *testing.T) {
	for name, spoil := range map[string]func(*wire.Epoch){
		"number": func(e *wire.Epoch) { e.Number++ },
		"log":    func(e *wire.Epoch) { e.OldLogID[0]++ },
		"size":   func(e *wire.Epoch) { e.Cut++ },
		"root":   func(e *wire.Epoch) { e.Root[0]++ },
	} {
		b := newBench(t, Options{})
		b.append(wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)})
		head := b.Head()
		e := wire.Epoch{Number: 1, LogID: [16]byte{1}, OldLogID: b.Epoch().LogID, Cut: head.Size, Root: head.Root}
		spoil(&e)
		frontier := b.ledger.frontier
		b.stop()
		s, err := store.Open(store.Options{Dir: b.dir, FS: b.fs, Fatal: func(what string) { panic(what) }})
		if err != nil {
			t.Fatal(err)
		}
		entry, _ := wire.AppendEpoch(nil, &e)
		record := (&wire.Stamp{}).Append(entry)
		frontier.Add(b.hash.Leaf(record))
		c := store.Commit{First: 2, Count: 1, Records: record, Ends: []uint32{uint32(len(record))}, Root: frontier.Root(), TimeMs: 1_700_000_000_000}
		if err := errors.Join(s.Append(&c), s.Close()); err != nil {
			t.Fatal(err)
		}
		b.start()
		if loss := b.Loss(); loss == nil || b.Head().Size != 1 || !strings.Contains(loss.What, "sequence number 2") {
			t.Errorf("%s: size %d, %v", name, b.Head().Size, loss)
		}
	}
}

// A client cannot send one: wire refuses it, and the rules do where it comes any other way.
func TestEpochFromAClient(t *testing.T) {
	b := newBench(t, Options{})
	for _, atomic := range []bool{false, true} {
		entry, fault := wire.AppendEpoch(nil, &wire.Epoch{Number: 1, LogID: [16]byte{1}, OldLogID: b.Epoch().LogID, Root: b.Head().Root})
		if !fault.OK() {
			t.Fatal(fault)
		}
		record := (&wire.Stamp{}).Append(entry)
		r := &Request{Atomic: atomic, Records: record, Ends: []uint32{uint32(len(record))}, Indexes: []uint32{0}}
		r.Leaves = append(r.Leaves, b.hash.Leaf(record))
		if b.do(r); r.Accepted != 0 || len(r.Results) != 1 || r.Results[0].Reason != wire.ReasonUnknownKind {
			t.Errorf("atomic %t: %+v", atomic, r.Results)
		}
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.Committer = nil
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
}
