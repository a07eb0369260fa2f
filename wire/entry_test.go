package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// entryOfSize returns a valid Transfer of a size in bytes that is a multiple of 8.
func entryOfSize(t testing.TB, size int) Entry {
	fields := Fields{
		Kind: KindTransfer, Account: "customer/00012345", Counterparty: "merchant/00054321", Amount: AmountOf(12345),
		Timestamp: 1728794183123, Nonce: Nonce{1, 2, 3}, Asset: Asset{'E', 'U', 'R'},
	}
	fields.Memo = bytes.Repeat([]byte("m"), size-EntryHeaderSize-len(fields.Account)-len(fields.Counterparty))
	b, fault := AppendEntry(nil, &fields)
	if !fault.OK() || len(b) != size {
		t.Fatalf("%v, %d bytes", fault, len(b))
	}
	return b
}

// drawFields draws the parts of a valid entry.
func drawFields(t *rapid.T) Fields {
	kind := rapid.SampledFrom(Kinds()).Draw(t, "kind")
	name := rapid.StringMatching(`[A-Za-z0-9:/\-_.@]{1,128}`)
	f := Fields{
		Kind: kind, Account: name.Draw(t, "account"), Timestamp: rapid.Int64().Draw(t, "ts"),
		Amount: Amount{Hi: rapid.Uint64().Draw(t, "hi"), Lo: rapid.Uint64Min(1).Draw(t, "lo")},
		Nonce:  drawNonce(t, "nonce"),
	}
	copy(f.Asset[:], rapid.StringMatching(`[A-Z0-9.\-]{0,8}`).Draw(t, "asset"))
	if kind.HasCounterparty() {
		f.Counterparty = name.Draw(t, "counterparty")
	}
	if kind.HasRef() {
		f.Ref = drawNonce(t, "ref")
	}
	if memo := rapid.SliceOfN(rapid.Byte(), 0, MaxMemoLength).Draw(t, "memo"); len(memo) > 0 {
		f.Memo = memo
	}
	return f
}

func drawNonce(t *rapid.T, label string) Nonce {
	return Nonce(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
}

func TestEntryFieldsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFields(t)
		prefix := []byte("prefix")
		b, fault := AppendEntry(prefix, &want)
		if !fault.OK() {
			t.Fatal(fault)
		}
		if fault := CheckEntry(b[len(prefix):]); !fault.OK() {
			t.Fatal(fault)
		}
		got := Entry(b[len(prefix):]).Fields()
		if !sameFields(&got, &want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func sameFields(a, b *Fields) bool {
	x, y := *a, *b
	x.Memo, y.Memo = nil, nil
	return bytes.Equal(a.Memo, b.Memo) && x.Kind == y.Kind && x.Account == y.Account && x.Counterparty == y.Counterparty &&
		x.Asset == y.Asset && x.Amount == y.Amount && x.Nonce == y.Nonce && x.Ref == y.Ref && x.Timestamp == y.Timestamp
}

func TestAppendEntryRefuses(t *testing.T) {
	valid := Fields{Kind: KindTransfer, Account: "a", Counterparty: "b", Amount: AmountOf(1)}
	for name, spoil := range map[string]func(f *Fields){
		"long account":      func(f *Fields) { f.Account = strings.Repeat("a", 129) },
		"account of 257":    func(f *Fields) { f.Account = strings.Repeat("a", 257) },
		"long counterparty": func(f *Fields) { f.Counterparty = strings.Repeat("a", 129) },
		"long memo":         func(f *Fields) { f.Memo = make([]byte, 1025) },
		"memo of 65537":     func(f *Fields) { f.Memo = make([]byte, 65537) },
		"amount 0":          func(f *Fields) { f.Amount = Amount{} },
		"no account":        func(f *Fields) { f.Account = "" },
		"epoch":             func(f *Fields) { f.Kind = KindEpoch },
		"asset":             func(f *Fields) { f.Asset[0] = 'e' },
	} {
		f := valid
		spoil(&f)
		dst := []byte("kept")
		b, fault := AppendEntry(dst, &f)
		if fault.OK() || string(b) != "kept" {
			t.Errorf("%s: fault %v, %d bytes", name, fault, len(b))
		}
	}
}

func TestNextEntryGoesOnBehindAFaultyEntry(t *testing.T) {
	first, second := entryOfSize(t, 112), entryOfSize(t, 120)
	spoiled := append(bytes.Clone(first), second...)
	spoiled[offsetKind] = 99
	entry, fault := NextEntry(spoiled)
	if fault.Reason != ReasonUnknownKind || len(entry) != len(first) {
		t.Fatalf("%v, %d bytes", fault, len(entry))
	}
	if entry, fault = NextEntry(spoiled[len(entry):]); !fault.OK() || !bytes.Equal(entry, second) {
		t.Fatalf("%v, %d bytes", fault, len(entry))
	}
}

func TestSameContent(t *testing.T) {
	e := entryOfSize(t, 200)
	for offset := range e {
		other := Entry(bytes.Clone(e))
		other[offset] ^= 1
		if got, want := e.SameContent(other), offset >= offsetTimestamp && offset < offsetNonce; got != want {
			t.Errorf("byte %d differs: same content is %v", offset, got)
		}
	}
}

func TestRecord(t *testing.T) {
	stamp := Stamp{CapabilityID: [16]byte{1}, KeyID: [8]byte{2}}
	entry := entryOfSize(t, 200)
	b := append(stamp.Append(bytes.Clone(entry)), "behind"...)
	record, fault := NextRecord(b)
	if !fault.OK() || len(record) != 224 || record.Stamp() != stamp || !bytes.Equal(record.Entry(), entry) {
		t.Fatalf("%v: %x", fault, record)
	}
	epoch, fault := AppendEpoch(nil, &Epoch{Number: 1, LogID: [16]byte{1}, OldLogID: [16]byte{2}})
	if !fault.OK() {
		t.Fatal(fault)
	}
	none := Stamp{}
	if _, fault := NextRecord(none.Append(epoch)); !fault.OK() {
		t.Fatalf("Epoch is a record: %v", fault)
	}
	if fault := CheckEntry(epoch); fault.Reason != ReasonUnknownKind {
		t.Fatalf("Epoch from a client: %v", fault)
	}
}

func TestEntryAllocations(t *testing.T) {
	e := entryOfSize(t, 200)
	fields := e.Fields()
	dst := make([]byte, 0, EntryMaxSize)
	record := (&Stamp{}).Append(bytes.Clone(e))
	var total int
	allocations := testing.AllocsPerRun(100, func() {
		entry, fault := NextEntry(e)
		if !fault.OK() {
			t.Fatal(fault)
		}
		amount, nonce, ref, asset := entry.Amount(), entry.Nonce(), entry.Ref(), entry.Asset()
		total += len(entry.Account()) + len(entry.Counterparty()) + len(entry.Memo()) + int(amount.Lo) + int(nonce[0]) +
			int(ref[0]) + int(asset[0]) + int(entry.Kind()) + int(entry.Timestamp()) + entry.Size()
		if _, fault = AppendEntry(dst, &fields); !fault.OK() {
			t.Fatal(fault)
		}
		if r, fault := NextRecord(record); !fault.OK() || r.Stamp() != (Stamp{}) {
			t.Fatal(fault)
		}
		e[offsetKind] = 77
		if _, fault = NextEntry(e); fault.OK() {
			t.Fatal("accepted")
		}
		e[offsetKind] = byte(KindTransfer)
	})
	if allocations != 0 {
		t.Errorf("%v allocations, of %d", allocations, total)
	}
}

func FuzzEntry(f *testing.F) {
	for _, v := range loadGolden(f) {
		if v.What == "entry" || v.What == "record" {
			f.Add(v.bytes(f))
		}
	}
	var vectors elsewhere
	loadJSON(f, "testdata/entries-and-roots.json", &vectors)
	for _, v := range vectors.Entries[:20] {
		b, _ := hex.DecodeString(v.EntryHex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkEntryIdentity(t, b)
		for rest := b; ; {
			entry, fault := NextEntry(rest)
			if entry == nil {
				if fault.OK() {
					t.Fatal("neither entry nor fault")
				}
				break
			}
			if fault.OK() != CheckEntry(entry).OK() {
				t.Fatal("NextEntry and CheckEntry disagree")
			}
			rest = rest[len(entry):]
		}
		if record, fault := NextRecord(b); fault.OK() {
			if entry := record.Entry(); entry.Kind() != KindEpoch && !CheckEntry(entry).OK() {
				t.Fatal("a record holds an entry that is refused")
			}
			_ = record.Entry().Fields()
			if record.Entry().Kind() == KindEpoch {
				checkEpochIdentity(t, record)
			}
		}
	})
}
