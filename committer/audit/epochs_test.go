package audit

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// epochRecord is the record of an epoch, under the stamp that it has.
func epochRecord(t *testing.T, e wire.Epoch) []byte {
	t.Helper()
	b, fault := wire.AppendEpoch(nil, &e)
	if !fault.OK() {
		t.Fatal(fault)
	}
	return (&wire.Stamp{}).Append(b)
}

// An Epoch record continues numbers and log ids, names the tree before it, and stands alone.
func TestEpochs(t *testing.T) {
	for _, kind := range kinds {
		first := sound(t, kind)
		s := open(t, kind, first)
		genesis := s.Meta().LogID
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		size, root := uint64(10), first[len(first)-1].root
		valid := wire.Epoch{Number: 1, LogID: [16]byte{1}, OldLogID: genesis, Cut: size, Root: root, Known: 12}
		for name, tt := range map[string]struct {
			spoil func(e *wire.Epoch)
			want  string // empty: nothing is wrong
		}{
			"as it has to be":   {func(*wire.Epoch) {}, ""},
			"number":            {func(e *wire.Epoch) { e.Number = 2 }, "epoch 2 behind epoch 0"},
			"old log":           {func(e *wire.Epoch) { e.OldLogID[3]++ }, "it ends the log"},
			"size":              {func(e *wire.Epoch) { e.Cut-- }, "it is cut at"},
			"root":              {func(e *wire.Epoch) { e.Root[7] ^= 1 }, "it is cut at"},
			"the first log id":  {func(e *wire.Epoch) { e.LogID, e.OldLogID = genesis, [16]byte{2} }, "it ends the log"},
			"nothing was known": {func(e *wire.Epoch) { e.Known = 0 }, ""},
		} {
			e := valid
			tt.spoil(&e)
			log := rooted(kind, append(sound(t, kind), request{records: [][]byte{epochRecord(t, e)}}))
			report, err := verifyAs(t, kind, genesis, log)
			if tt.want != "" {
				mustFind(t, name, size+1, err)
				if err != nil && !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v", name, err)
				}
				if report.SoundSize != size || report.SoundRoot != merkle.Hash(root) || report.Epoch != 0 || report.LogID != genesis {
					t.Errorf("%s: %+v", name, report)
				}
			} else if err != nil || report.Epoch != 1 || report.LogID != e.LogID || report.SoundSize != size+1 {
				t.Errorf("%s: %+v: %v", name, report, err)
			}
		}
	}
}

// Epochs follow on each other, entries go on between them, and an Epoch is nothing to reverse.
func TestEpochsFollow(t *testing.T) {
	kind := merkle.SHA256
	genesis := [16]byte{9}
	log := rooted(kind, sound(t, kind))
	add := func(records ...[]byte) {
		log = rooted(kind, append(log, request{records: records}))
	}
	head := func() (size uint64, root [32]byte) {
		for _, r := range log {
			size += uint64(len(r.records))
		}
		return size, log[len(log)-1].root
	}
	before := genesis
	for n := range uint64(3) {
		size, root := head()
		e := wire.Epoch{Number: n + 1, LogID: [16]byte{byte(n) + 1}, OldLogID: before, Cut: size, Root: root, Reason: "again"}
		add(epochRecord(t, e))
		add(record(t, entryOf(wire.KindMint, "a", "", 1, byte(50+n), 0)))
		before = e.LogID
	}
	report, err := verifyAs(t, kind, genesis, log)
	if err != nil || report.Epoch != 3 || report.LogID != before {
		t.Fatalf("%+v: %v", report, err)
	}
	whole := len(log)
	size, root := head()
	e := wire.Epoch{Number: 4, LogID: [16]byte{4}, OldLogID: before, Cut: size, Root: root}
	add(epochRecord(t, e), record(t, entryOf(wire.KindMint, "a", "", 1, 60, 0)))
	_, err = verifyAs(t, kind, genesis, log)
	if err == nil || !strings.Contains(err.Error(), "among other entries") {
		t.Errorf("an Epoch among others: %v", err)
	}
	reverse := entryOf(wire.KindReverse, wire.EpochAccount, "", 3, 61, 0)
	reverse.Ref = before
	log = rooted(kind, append(log[:whole], request{records: [][]byte{record(t, reverse)}}))
	_, err = verifyAs(t, kind, genesis, log)
	if err == nil || !strings.Contains(err.Error(), "begins an epoch") {
		t.Errorf("an Epoch reversed: %v", err)
	}
}

// Every bit of an Epoch record is covered: by the record's own checks, the chain or the root.
func TestEveryBitOfAnEpoch(t *testing.T) {
	kind, genesis := merkle.Blake3, [16]byte{9}
	log := rooted(kind, sound(t, kind))
	e := wire.Epoch{Number: 1, LogID: [16]byte{1}, OldLogID: genesis, Cut: 10, Root: log[len(log)-1].root, Known: 14, Reason: "why"}
	log = rooted(kind, append(log, request{records: [][]byte{epochRecord(t, e)}}))
	good := bytes.Clone(log[len(log)-1].records[0])
	for at := 2; at < len(good); at++ { // the size is the store's to check
		b := bytes.Clone(good)
		b[at] ^= 1 << (at % 8)
		log[len(log)-1].records[0] = b
		if _, err := verifyAs(t, kind, genesis, log); err == nil {
			t.Errorf("bit %d of byte %d", at%8, at)
		}
	}
}
