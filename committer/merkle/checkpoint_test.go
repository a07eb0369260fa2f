package merkle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

var testLogID = LogID{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff}

// testKey returns the signer and the verifier of origin, from a fixed seed.
func testKey(t testing.TB, origin string, seed byte) (note.Signer, note.Verifier) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	s, err := NewSigner(origin, key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		name string
		kind HashKind
		want string
	}{
		{"ledger.example", SHA256, "ledger.example/0123456789abcdefff00000000000000"},
		{"ledger.example", Blake3, "ledger.example/0123456789abcdefff00000000000000/blake3"},
		{"a/b/blake3", SHA256, "a/b/blake3/0123456789abcdefff00000000000000"},
		{"bücher", Blake3, "bücher/0123456789abcdefff00000000000000/blake3"},
	} {
		got := Origin(c.name, testLogID, c.kind)
		if got != c.want {
			t.Errorf("origin is %q, want %q", got, c.want)
		}
		name, id, kind, err := ParseOrigin(got)
		if err != nil || name != c.name || id != testLogID || kind != c.kind {
			t.Errorf("%q: read as %q, %x, %v: %v", got, name, id, kind, err)
		}
	}
	const id = "0123456789abcdefff00000000000000"
	for _, bad := range []string{
		"", "/", "name", "name/", "/" + id, "name/" + id[1:], "name/" + id + "0", "name/" + strings.ToUpper(id),
		"name/" + id + "/", "name/" + id + "/sha256", "name/" + id + "/blake3/blake3", "na me/" + id, "na+me/" + id,
		"na\nme/" + id, "na\x00me/" + id, "na\u00a0me/" + id, "na\x7fme/" + id, "na\xffme/" + id,
		strings.Repeat("n", 512-32) + "/" + id,
	} {
		if name, _, _, err := ParseOrigin(bad); err == nil {
			t.Errorf("%q: read with name %q", bad, name)
		}
	}
}

func TestCheckpointText(t *testing.T) {
	c := Checkpoint{Origin: Origin("ledger.example", testLogID, SHA256), Size: 20852163, Root: SHA256.Empty()}
	text, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	want := "ledger.example/0123456789abcdefff00000000000000\n20852163\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if string(text) != want {
		t.Fatalf("text is %q, want %q", text, want)
	}
	if back, err := ParseCheckpoint(text); err != nil || back != c {
		t.Fatalf("read back as %+v: %v", back, err)
	}
	var library log.Checkpoint
	if rest, err := library.Unmarshal(text); err != nil || len(rest) != 0 ||
		library.Origin != c.Origin || library.Size != c.Size || !bytes.Equal(library.Hash, c.Root[:]) {
		t.Fatalf("the library reads %+v, %q: %v", library, rest, err)
	}
	for _, bad := range []Checkpoint{
		{Origin: "", Size: 1}, {Origin: "two\nlines", Size: 1}, {Origin: "a b", Size: 1}, {Origin: "a", Size: 1 << 63},
	} {
		if text, err := bad.Marshal(); err == nil {
			t.Errorf("%+v: written as %q", bad, text)
		}
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, bad := range []string{
		"", "\n", "a\n1\n", "a\n1\n" + root, "a\n1\n" + root + "\nextension\n", "a\n1\n" + root + "\n\n",
		"\n1\n" + root + "\n", "a b\n1\n" + root + "\n", "a\r\n1\n" + root + "\n",
		"a\n\n" + root + "\n", "a\n01\n" + root + "\n", "a\n+1\n" + root + "\n", "a\n-1\n" + root + "\n", "a\n 1\n" + root + "\n",
		"a\n1_0\n" + root + "\n", "a\n0x1\n" + root + "\n", "a\n9223372036854775808\n" + root + "\n",
		"a\n18446744073709551616\n" + root + "\n", "a\n1\n" + root[:43] + "\n", "a\n1\n" + root + "=\n",
		"a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n", "a\n1\n47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=\n",
		"a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF\r=\n",
	} {
		if c, err := ParseCheckpoint([]byte(bad)); err == nil {
			t.Errorf("%q: read as %+v", bad, c)
		}
	}
}

// TestKnownKey takes the key that the documentation of golang.org/x/mod/sumdb/note signs with.
func TestKnownKey(t *testing.T) {
	const vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
	typed, err := base64.StdEncoding.DecodeString("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(typed[1:])
	s, err := NewSigner("PeterNeumann", key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := VerifierKey("PeterNeumann", key.Public().(ed25519.PublicKey)); err != nil || got != vkey {
		t.Errorf("verifier key is %q, %v, want %q", got, err, vkey)
	}
	if s.Name() != "PeterNeumann" || s.KeyHash() != 0xc74f20a3 {
		t.Errorf("the signer is %s+%08x", s.Name(), s.KeyHash())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, part := range []string{fmt.Sprintf(verb, key)[1:20], fmt.Sprintf("%x", key[:4])} {
			if printed := fmt.Sprintf(verb, s); strings.Contains(printed, part) {
				t.Errorf("printed with %s the signer shows its key", verb)
			}
		}
	}
}

func TestSignAndOpen(t *testing.T) {
	origin := Origin("ledger.example", testLogID, Blake3)
	s, v := testKey(t, origin, 1)
	other, otherVerifier := testKey(t, "other.example", 2)
	_, sameName := testKey(t, origin, 3)
	c := Checkpoint{Origin: origin, Size: 7, Root: Blake3.Leaf([]byte("root"))}

	signed, err := c.Sign(s, other)
	if err != nil {
		t.Fatal(err)
	}
	// The signature of 68 bytes leaves two stray bits in its last character.
	last := bytes.Index(signed, []byte("=\n— other.example")) - 1
	if got, err := OpenCheckpoint(signed, v); err != nil || got != c {
		t.Fatalf("opened as %+v: %v", got, err)
	}
	if _, _, _, err := log.ParseCheckpoint(signed, origin, v, otherVerifier); err != nil {
		t.Fatalf("the library refuses the checkpoint: %v", err)
	}
	if _, err := OpenCheckpoint(signed, otherVerifier); err == nil {
		t.Error("opened with the key of a witness")
	}
	if _, err := OpenCheckpoint(signed, sameName); err == nil {
		t.Error("opened with another key of the same name")
	}
	if _, err := c.Sign(other); err == nil {
		t.Error("signed with a key that is not named as the origin")
	}
	// Every bit matters, but those of signatures by others.
	for i := range bytes.Index(signed, []byte("— other.example")) {
		for bit := range 8 {
			mutant := bytes.Clone(signed)
			mutant[i] ^= 1 << bit
			if got, err := OpenCheckpoint(mutant, v); err == nil {
				t.Fatalf("opened with bit %d of byte %d flipped, as %+v", bit, i, got)
			}
		}
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for _, char := range []byte(alphabet) {
		mutant := bytes.Clone(signed)
		mutant[last] = char
		if bytes.Equal(mutant, signed) {
			continue
		}
		if got, err := OpenCheckpoint(mutant, v); err == nil {
			t.Fatalf("opened with %q as the last character of the signature, as %+v", char, got)
		}
	}
	for n := range bytes.Index(signed, []byte("— other.example")) {
		if _, err := OpenCheckpoint(signed[:n], v); err == nil {
			t.Fatalf("opened with %d of %d bytes", n, len(signed))
		}
	}
	long := append(bytes.Clone(signed), bytes.Repeat([]byte("— a AAAAAAA=\n"), 5000)...)
	if _, err := OpenCheckpoint(long, v); err == nil {
		t.Error("opened above the bound of its length")
	}
}

func TestKeysRefuse(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for _, origin := range []string{"", "a b", "a+b", "a\nb"} {
		if _, err := NewSigner(origin, key); err == nil {
			t.Errorf("%q: made a signer", origin)
		}
		if _, err := NewVerifier(origin, key.Public().(ed25519.PublicKey)); err == nil {
			t.Errorf("%q: made a verifier", origin)
		}
	}
	for _, size := range []int{0, 32, 63, 65} {
		if _, err := NewSigner("a", make([]byte, size)); err == nil {
			t.Errorf("made a signer from %d bytes", size)
		}
	}
	if _, err := VerifierKey("a", make([]byte, 31)); err == nil {
		t.Error("made a verifier key from 31 bytes")
	}
}

// FuzzParseCheckpoint: what is read, written again is the same, and the library reads the same.
func FuzzParseCheckpoint(f *testing.F) {
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, seed := range []string{
		"a\n0\n" + root + "\n", "ledger.example/0123456789abcdefff00000000000000/blake3\n20852163\n" + root + "\n",
		"a\n01\n" + root + "\n", "a\n1\n" + root + "\nextension\n", "a\n1\n" + root, "a b\n1\n" + root + "\n", "",
		"a\n9223372036854775807\n" + root + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCheckpoint(text)
		if err != nil {
			return
		}
		if back, err := c.Marshal(); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("%q read and written again is %q: %v", text, back, err)
		}
		var library log.Checkpoint
		if _, err := library.Unmarshal(text); err != nil || library.Size != c.Size || library.Origin != c.Origin {
			t.Fatalf("%q: the library reads %+v: %v", text, library, err)
		}
		if name, id, kind, err := ParseOrigin(c.Origin); err == nil && Origin(name, id, kind) != c.Origin {
			t.Fatalf("origin %q read and written again is %q", c.Origin, Origin(name, id, kind))
		}
	})
}
