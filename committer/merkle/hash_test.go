package merkle

import (
	"crypto/sha256"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"lukechampine.com/blake3"
	"pgregory.net/rapid"
)

var kinds = []HashKind{Blake3, SHA256}

// referenceLeaf and referenceNode are the definitions, by the libraries' widest interfaces.
func referenceLeaf(k HashKind, record []byte) (h Hash) {
	if k == SHA256 {
		return Hash(tlog.RecordHash(record))
	}
	blake3.DeriveKey(h[:], "ron-ledger v1 leaf", record)
	return h
}

func referenceNode(k HashKind, left, right Hash) (h Hash) {
	if k == SHA256 {
		return Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(right)))
	}
	blake3.DeriveKey(h[:], "ron-ledger v1 node", append(left[:], right[:]...))
	return h
}

// TestLeafOfEveryLength covers every count of blocks and chunks that a record can have, and
// longer ones.
func TestLeafOfEveryLength(t *testing.T) {
	data := make([]byte, 9*1024+1)
	for i := range data {
		data[i] = byte(i % 251)
	}
	lengths := []int{3072, 3073, 4095, 4096, 4097, 5120, 5121, 8192, 8193, len(data)}
	for n := range MaxRecordSize + 2 {
		lengths = append(lengths, n)
	}
	for _, k := range kinds {
		for _, n := range lengths {
			if got, want := k.Leaf(data[:n]), referenceLeaf(k, data[:n]); got != want {
				t.Fatalf("%v: leaf of %d bytes is %v, want %v", k, n, got, want)
			}
		}
	}
}

func TestNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		left := Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "left"))
		right := Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "right"))
		for _, k := range kinds {
			if got, want := k.Node(&left, &right), referenceNode(k, left, right); got != want {
				t.Fatalf("%v: node is %v, want %v", k, got, want)
			}
		}
	})
}

func TestEmpty(t *testing.T) {
	if got := Blake3.Empty(); got != Hash(blake3.Sum256(nil)) {
		t.Errorf("blake3: %v", got)
	}
	if got := SHA256.Empty(); got != Hash(sha256.Sum256(nil)) {
		t.Errorf("sha256: %v", got)
	}
}

func TestKindText(t *testing.T) {
	for _, k := range kinds {
		text, err := k.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back HashKind
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Errorf("%v: read back as %v: %v", k, back, err)
		}
	}
	for _, name := range []string{"", "BLAKE3", "sha512", "sha256 ", "hash kind 1"} {
		if k, err := ParseHashKind(name); err == nil {
			t.Errorf("%q: read as %v", name, k)
		}
	}
	for _, k := range []HashKind{0, 3, 255} {
		if _, err := k.MarshalText(); err == nil || k.Valid() {
			t.Errorf("kind %d: taken for a kind", uint8(k))
		}
		for name, hash := range map[string]func(){
			"leaf": func() { k.Leaf(nil) }, "node": func() { k.Node(new(Hash), new(Hash)) }, "empty": func() { k.Empty() },
		} {
			if !panics(hash) {
				t.Errorf("kind %d: %s did not panic", uint8(k), name)
			}
		}
	}
}

func TestHashText(t *testing.T) {
	h := Blake3.Leaf([]byte("text"))
	text, err := h.MarshalText()
	if err != nil || string(text) != h.String() {
		t.Fatalf("%s, %v: want %v", text, err, h)
	}
	var back Hash
	if err := back.UnmarshalText(text); err != nil || back != h {
		t.Fatalf("read back as %v: %v", back, err)
	}
	for _, bad := range []string{"", "00", h.String()[1:], h.String() + "0", "x" + h.String()[1:]} {
		if err := back.UnmarshalText([]byte(bad)); err == nil || back != h {
			t.Errorf("%q: taken, or changed the hash (%v)", bad, err)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

var sink Hash

func TestHashesDoNotAllocate(t *testing.T) {
	record := make([]byte, MaxRecordSize)
	for _, k := range kinds {
		for _, size := range []int{104, 224, 383, 384, 1024, 1025, 2048, MaxRecordSize} {
			if n := testing.AllocsPerRun(100, func() { sink = k.Leaf(record[:size]) }); n != 0 {
				t.Errorf("%v: leaf of %d bytes: %v allocations", k, size, n)
			}
		}
		if n := testing.AllocsPerRun(100, func() { sink = k.Node(&sink, &sink) }); n != 0 {
			t.Errorf("%v: node: %v allocations", k, n)
		}
	}
}

func BenchmarkLeaf(b *testing.B) {
	for _, k := range kinds {
		for _, size := range []int{100, 200, 400, 1000, 2000} {
			record := make([]byte, size)
			b.Run(fmt.Sprintf("%v/%d", k, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					sink = k.Leaf(record)
				}
			})
		}
	}
}

func BenchmarkNode(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.String(), func(b *testing.B) {
			left, right := k.Empty(), k.Empty()
			b.ReportAllocs()
			for b.Loop() {
				sink = k.Node(&left, &right)
			}
		})
	}
}
