package audit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// request is some records that are one commit, atomic where there are several.
type request struct {
	records [][]byte
	root    [32]byte
	idem    byte
	timeMs  int64
}

var kinds = []merkle.HashKind{merkle.Blake3, merkle.SHA256}

func record(t testing.TB, f wire.Fields) []byte {
	t.Helper()
	b, fault := wire.AppendEntry(nil, &f)
	if !fault.OK() {
		t.Fatal(fault)
	}
	return (&wire.Stamp{KeyID: [8]byte{7}}).Append(b)
}

func entryOf(kind wire.Kind, account, counterparty string, amount uint64, nonce, ref byte) wire.Fields {
	f := wire.Fields{Kind: kind, Account: account, Counterparty: counterparty, Amount: wire.AmountOf(amount), Nonce: wire.Nonce{15: nonce}}
	if ref != 0 {
		f.Ref = wire.Nonce{15: ref}
	}
	return f
}

// sound is a ledger with every kind in it, under the roots that it should have.
func sound(t testing.TB, kind merkle.HashKind) []request {
	e := func(k wire.Kind, account, counterparty string, amount uint64, nonce, ref byte) []byte {
		return record(t, entryOf(k, account, counterparty, amount, nonce, ref))
	}
	log := []request{
		{records: [][]byte{e(wire.KindMint, "a", "", 100, 1, 0)}},
		{records: [][]byte{e(wire.KindTransfer, "a", "b", 30, 2, 0)}},
		{records: [][]byte{e(wire.KindHold, "b", "", 20, 3, 0)}},
		{records: [][]byte{e(wire.KindRelease, "b", "", 5, 4, 3)}},
		{records: [][]byte{e(wire.KindCapture, "b", "c", 10, 5, 3)}},
		{records: [][]byte{e(wire.KindCredit, "c", "", 7, 6, 0), e(wire.KindDebit, "a", "", 7, 7, 0)}, idem: 1},
		{records: [][]byte{e(wire.KindBurn, "a", "", 3, 8, 0)}},
		{records: [][]byte{e(wire.KindReverse, "b", "", 10, 9, 5)}},
		{records: [][]byte{e(wire.KindReverse, "b", "", 5, 10, 4)}},
	}
	return rooted(kind, log)
}

// rooted gives every commit the root of its records.
func rooted(kind merkle.HashKind, log []request) []request {
	frontier := merkle.NewFrontier(kind)
	for i := range log {
		for _, r := range log[i].records {
			frontier.Add(kind.Leaf(r))
		}
		log[i].root, log[i].timeMs = frontier.Root(), int64(1000+i)
	}
	return log
}

// verify writes a log into a new store and audits it.
func verify(t testing.TB, kind merkle.HashKind, log []request) (Report, error) {
	t.Helper()
	s := open(t, kind, log)
	defer func() { _ = s.Close() }()
	return Verify(t.Context(), s, nil)
}

// verifyAs is verify for a ledger that began under that log id.
func verifyAs(t testing.TB, kind merkle.HashKind, logID [16]byte, log []request) (Report, error) {
	t.Helper()
	s := openAs(t, kind, logID, log)
	defer func() { _ = s.Close() }()
	return Verify(t.Context(), s, nil)
}

// open returns a store with a log, and without derived state.
func open(t testing.TB, kind merkle.HashKind, log []request) *store.Store {
	t.Helper()
	return openAs(t, kind, [16]byte{}, log)
}

func openAs(t testing.TB, kind merkle.HashKind, logID [16]byte, log []request) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{FS: store.Memory(), LogID: logID, Hash: uint8(kind), Fatal: func(what string) { panic(what) }})
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(1)
	for _, r := range log {
		c := store.Commit{First: next, Count: len(r.records), Root: r.root, TimeMs: r.timeMs}
		for _, b := range r.records {
			c.Records = append(c.Records, b...)
			c.Ends = append(c.Ends, uint32(len(c.Records)))
		}
		if c.Count == 2 || r.idem != 0 {
			c.Groups = []store.Group{{First: next, Count: uint32(c.Count), IdemID: [16]byte{r.idem}}}
		}
		if err := s.Append(&c); err != nil {
			t.Fatal(err)
		}
		next += uint64(c.Count)
	}
	return s
}

func TestSoundLedger(t *testing.T) {
	for _, kind := range kinds {
		log := sound(t, kind)
		report, err := verify(t, kind, log)
		if err != nil || report.Size != 10 || report.Commits != 9 || report.Accounts != 3 || report.Root != log[8].root {
			t.Errorf("%v: %+v: %v", kind, report, err)
		}
		if report, err := verify(t, kind, nil); err != nil || report.Root != kind.Empty() {
			t.Errorf("%v, empty: %+v: %v", kind, report, err)
		}
	}
}

// mustFind wants a finding that names the commit of seq.
func mustFind(t *testing.T, what string, seq uint64, err error) {
	t.Helper()
	var finding *Finding
	if !errors.As(err, &finding) {
		t.Errorf("%s: %v", what, err)
	} else if seq < finding.First || seq > finding.Last || finding.Last > finding.First+1 {
		t.Errorf("%s: entries %d to %d are named, %d is wrong: %v", what, finding.First, finding.Last, seq, err)
	}
}

// Every bit of every record, and of the roots, under the roots that were published.
func TestEveryBitIsCovered(t *testing.T) {
	for _, kind := range kinds {
		seq := uint64(0)
		for i := range sound(t, kind) {
			for k := range sound(t, kind)[i].records {
				seq++
				for at := 2; at < len(sound(t, kind)[i].records[k]); at += 5 { // the size is the store's to check
					log := sound(t, kind)
					log[i].records[k][at] ^= 1 << (at % 8)
					_, err := verify(t, kind, log)
					mustFind(t, fmt.Sprintf("%v: bit %d of byte %d of entry %d", kind, at%8, at, seq), seq, err)
				}
			}
			log := sound(t, kind)
			log[i].root[i] ^= 1
			_, err := verify(t, kind, log)
			mustFind(t, fmt.Sprintf("%v: a bit of the root at %d", kind, seq), seq, err)
		}
	}
}

// What was moved, cut out or put in, under the published roots.
func TestOrderIsCovered(t *testing.T) {
	for _, kind := range kinds {
		swapped := sound(t, kind)
		swapped[2].records, swapped[1].records = swapped[1].records, swapped[2].records
		cut := slices.Delete(sound(t, kind), 3, 4)
		twice := slices.Insert(sound(t, kind), 4, sound(t, kind)[3])
		for what, tc := range map[string]struct {
			log []request
			seq uint64
		}{"two swapped": {swapped, 2}, "one cut out": {cut, 4}, "one twice": {twice, 5}} {
			_, err := verify(t, kind, tc.log)
			mustFind(t, kind.String()+": "+what, tc.seq, err)
		}
	}
}

// What a writer without rules could book, under roots that fit: the tree is sound
// and the money is not.
func TestRulesAreCovered(t *testing.T) {
	one := func(f wire.Fields) request { return request{records: [][]byte{record(t, f)}} }
	foreign := entryOf(wire.KindRelease, "b", "", 1, 11, 3)
	foreign.Asset = wire.Asset{'E'}
	for name, tc := range map[string]struct {
		last request
		want string
	}{
		"overdraft":                     {one(entryOf(wire.KindTransfer, "c", "a", 1000, 11, 0)), "the available balance"},
		"overdraft of itself":           {one(entryOf(wire.KindTransfer, "c", "c", 1000, 11, 0)), "does not cover"},
		"burn of what is not there":     {one(entryOf(wire.KindBurn, "z", "", 1, 11, 0)), "outside"},
		"hold of what is not there":     {one(entryOf(wire.KindHold, "z", "", 1, 11, 0)), "the available balance"},
		"a nonce again":                 {one(entryOf(wire.KindMint, "a", "", 1, 1, 0)), "those of entry 1"},
		"a lonely leg":                  {one(entryOf(wire.KindCredit, "a", "", 1, 11, 0)), "outside of an atomic request"},
		"release of too much":           {one(entryOf(wire.KindRelease, "b", "", 21, 11, 3)), "the hold"},
		"release of no hold":            {one(entryOf(wire.KindRelease, "b", "", 1, 11, 2)), "names no hold"},
		"release in another asset":      {one(foreign), "names no hold"},
		"capture of too much":           {one(entryOf(wire.KindCapture, "b", "a", 21, 11, 3)), "left of the hold"},
		"reversal of a reversal":        {one(entryOf(wire.KindReverse, "b", "", 10, 11, 9)), "is a reversal"},
		"reversal twice":                {one(entryOf(wire.KindReverse, "b", "", 5, 11, 4)), "was reversed by"},
		"reversal of nothing":           {one(entryOf(wire.KindReverse, "b", "", 5, 11, 99)), "names no entry"},
		"reversal in part":              {one(entryOf(wire.KindReverse, "a", "", 3, 11, 2)), "another asset or amount"},
		"reversal of what was spent":    {one(entryOf(wire.KindReverse, "a", "", 100, 11, 1)), "outside"},
		"reversal of a leg by itself":   {one(entryOf(wire.KindReverse, "a", "", 7, 11, 7)), "outside of an atomic request"},
		"legs that differ":              {request{records: [][]byte{record(t, entryOf(wire.KindCredit, "a", "", 2, 11, 0)), record(t, entryOf(wire.KindDebit, "a", "", 1, 12, 0))}}, "credits of 2 and debits of 1"},
		"the same idem_id":              {request{records: [][]byte{record(t, entryOf(wire.KindMint, "a", "", 2, 11, 0))}, idem: 1}, "idem_id"},
		"a mint beyond 2^128-1":         {one(most(entryOf(wire.KindMint, "q", "", 1, 11, 0))), "the supply"},
		"reversal of a hold half used":  {one(entryOf(wire.KindReverse, "b", "", 20, 12, 3)), ""},
		"release of nobody's hold":      {one(entryOf(wire.KindRelease, "c", "", 1, 11, 3)), "names no hold"},
		"transfer from one who is none": {one(entryOf(wire.KindTransfer, "nobody", "a", 1, 11, 0)), "the available balance"},
	} {
		for _, kind := range kinds {
			log := rooted(kind, append(sound(t, kind), tc.last))
			_, err := verify(t, kind, log)
			if tc.want == "" { // all of the hold is there again: this is how the rules have it
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			mustFind(t, name, 11, err)
			if err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func most(f wire.Fields) wire.Fields {
	f.Amount = wire.MaxAmount
	return f
}

func TestTimeOfCommitsDoesNotFall(t *testing.T) {
	log := sound(t, merkle.SHA256)
	log[4].timeMs = 1
	_, err := verify(t, merkle.SHA256, log)
	mustFind(t, "time", 5, err)
}
