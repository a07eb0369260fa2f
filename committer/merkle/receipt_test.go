package merkle

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
)

// testReceipt returns the receipt for record index of a log of size records.
func testReceipt(t testing.TB, k HashKind, size, index int) (*Receipt, note.Verifier) {
	t.Helper()
	leaves := make([]Hash, size)
	for i := range leaves {
		leaves[i] = k.Leaf(testRecord(t, i))
	}
	p := testProver(k, leaves, size)
	hashes, err := p.InclusionProof(uint64(size), uint64(index))
	if err != nil {
		t.Fatal(err)
	}
	root, err := p.RootAt(uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	origin := Origin("ledger.example", testLogID, k)
	s, v := testKey(t, origin, 1)
	signed, err := Checkpoint{Origin: origin, Size: uint64(size), Root: root}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	return &Receipt{Index: uint64(index), Proof: hashes, Checkpoint: signed}, v
}

func mustMarshal(t testing.TB, r *Receipt) []byte {
	t.Helper()
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestReceipt(t *testing.T) {
	for _, k := range kinds {
		for _, c := range []struct{ size, index int }{{1, 0}, {2, 1}, {300, 0}, {300, 256}, {300, 299}, {777, 511}} {
			r, v := testReceipt(t, k, c.size, c.index)
			record := testRecord(t, c.index)
			text := mustMarshal(t, r)
			back, err := ParseReceipt(text)
			if err != nil {
				t.Fatal(err)
			}
			checkpoint, err := back.Verify(record, v)
			if err != nil || checkpoint.Size != uint64(c.size) {
				t.Fatalf("%v: record %d of %d: %+v, %v", k, c.index, c.size, checkpoint, err)
			}
			var library proof.TLogProof
			if err := library.Unmarshal(text); err != nil || library.Index != r.Index || len(library.Hashes) != len(r.Proof) ||
				!bytes.Equal(library.Checkpoint, r.Checkpoint) || !bytes.Equal(library.Marshal(), text) {
				t.Fatalf("%v: the library reads %+v: %v", k, library, err)
			}
			record[40] ^= 1
			if _, err := back.Verify(record, v); !errors.Is(err, ErrProof) {
				t.Errorf("%v: another record verifies: %v", k, err)
			}
		}
	}
}

func TestReceiptWithExtra(t *testing.T) {
	r, v := testReceipt(t, SHA256, 5, 2)
	r.Extra = []byte("seen by the till")
	text := mustMarshal(t, r)
	if !strings.HasPrefix(string(text), "c2sp.org/tlog-proof@v1\nextra c2VlbiBieSB0aGUgdGlsbA==\nindex 2\n") {
		t.Errorf("text is %q", text)
	}
	back, err := ParseReceipt(text)
	if err != nil || !bytes.Equal(back.Extra, r.Extra) {
		t.Fatalf("read back with %q: %v", back.Extra, err)
	}
	if _, err := back.Verify(testRecord(t, 2), v); err != nil {
		t.Error(err)
	}
}

// TestMutatedReceiptIsRefused flips every bit of a receipt's text: either it is not read, or
// it does not verify.
func TestMutatedReceiptIsRefused(t *testing.T) {
	for _, k := range kinds {
		r, v := testReceipt(t, k, 11, 4)
		record, text := testRecord(t, 4), mustMarshal(t, r)
		for i := range text {
			for bit := range 8 {
				mutant := bytes.Clone(text)
				mutant[i] ^= 1 << bit
				read, err := ParseReceipt(mutant)
				if err != nil {
					continue
				}
				if _, err := read.Verify(record, v); err == nil {
					t.Fatalf("%v: verifies with bit %d of byte %d flipped:\n%s", k, bit, i, mutant)
				}
			}
		}
		for n := range text {
			if read, err := ParseReceipt(text[:n]); err == nil {
				if _, err := read.Verify(record, v); err == nil {
					t.Fatalf("%v: verifies with %d of %d bytes", k, n, len(text))
				}
			}
		}
	}
}

// TestReceiptIsBoundToItsLog swaps the log, the hash named in the origin, and the key.
func TestReceiptIsBoundToItsLog(t *testing.T) {
	r, v := testReceipt(t, SHA256, 3, 1)
	record := testRecord(t, 1)
	_, otherKey := testKey(t, v.Name(), 9)
	_, otherName := testKey(t, Origin("ledger.example", LogID{}, SHA256), 1)
	for why, verifier := range map[string]note.Verifier{"another key": otherKey, "another log": otherName} {
		if _, err := r.Verify(record, verifier); err == nil {
			t.Errorf("verifies with %s", why)
		}
	}
	// An origin that names no hash is refused even when it is signed.
	s, plain := testKey(t, "ledger.example", 1)
	signed, err := Checkpoint{Origin: "ledger.example", Size: 1, Root: SHA256.Leaf(record)}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Receipt{Checkpoint: signed}).Verify(record, plain); err == nil {
		t.Error("verifies under an origin without a log id")
	}
}

func TestReceiptBounds(t *testing.T) {
	for why, r := range map[string]*Receipt{
		"no checkpoint":      {},
		"no newline":         {Checkpoint: []byte("a")},
		"index too large":    {Index: MaxSize, Checkpoint: []byte("\n")},
		"too many hashes":    {Proof: make([]Hash, 64), Checkpoint: []byte("\n")},
		"too much extra":     {Extra: make([]byte, 1+64<<10), Checkpoint: []byte("\n")},
		"checkpoint too big": {Checkpoint: bytes.Repeat([]byte("\n"), 1+64<<10)},
	} {
		if _, err := r.Marshal(); err == nil {
			t.Errorf("%s: written", why)
		}
	}
	const head, hash = "c2sp.org/tlog-proof@v1\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	for _, bad := range []string{
		"", head, head + "index 0\n", head + "index 0\n\n", head + "index 0\n\na", head + "\nindex 0\n\na\n",
		"c2sp.org/tlog-proof@v2\nindex 0\n\na\n", head + "index 00\n\na\n", head + "index  0\n\na\n", head + "Index 0\n\na\n",
		head + "index 0\r\n\na\n", head + "extra \nindex 0\n\na\n", head + "extra YR==\nindex 0\n\na\n",
		head + "extra YQ==\nextra YQ==\nindex 0\n\na\n", head + "index 0\nextra YQ==\n\na\n",
		head + "index 9223372036854775807\n\na\n", head + "index 0\n" + hash[1:] + "\na\n", head + "index 0\n" + hash + "a\n",
		head + "index 0\n" + strings.Repeat(hash, 64) + "\na\n", head + "index 0\n\n" + strings.Repeat("a", 64<<10) + "\n",
		head + "extra " + strings.Repeat("AAAA", 64<<10) + "\nindex 0\n\na\n",
	} {
		if r, err := ParseReceipt([]byte(bad)); err == nil {
			t.Errorf("%.80q: read as %+v", bad, r)
		}
	}
	if _, err := ParseReceipt([]byte(head + "index 0\n" + strings.Repeat(hash, 63) + "\na\n")); err != nil {
		t.Errorf("63 hashes: %v", err)
	}
}

// FuzzParseReceipt: what is read, written again is the same, shares nothing with the input, and
// verifies with no key.
func FuzzParseReceipt(f *testing.F) {
	for _, c := range []struct{ size, index int }{{1, 0}, {3, 2}, {40, 17}} {
		r, _ := testReceipt(f, SHA256, c.size, c.index)
		f.Add(mustMarshal(f, r))
		r.Extra = []byte("extra")
		f.Add(mustMarshal(f, r))
	}
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra \nindex 01\n\n"))
	_, stranger := testKey(f, Origin("stranger.example", testLogID, SHA256), 77)
	f.Fuzz(func(t *testing.T, text []byte) {
		kept := slices.Clone(text)
		r, err := ParseReceipt(text)
		if err != nil {
			return
		}
		for i := range text {
			text[i] = 0xCC
		}
		if back, err := r.Marshal(); err != nil || !bytes.Equal(back, kept) {
			t.Fatalf("%q read and written again is %q: %v", kept, back, err)
		}
		if _, err := r.Verify(nil, stranger); err == nil {
			t.Fatalf("%q verifies with a key that signed nothing", kept)
		}
	})
}
