package capability

import (
	"bytes"
	"strings"
	"testing"
)

const (
	secretA = "0101010101010101010101010101010101010101010101010101010101010101"
	secretB = "0202020202020202020202020202020202020202020202020202020202020202"
)

func keyLine(kid, created, state, secret string) string {
	return strings.Join([]string{"key", kid, created, state, secret}, " ") + "\n"
}

func TestParseKeyring(t *testing.T) {
	text := "# kept by hand\n\nron-ledger-keyring 1\n# the first\n" +
		keyLine("0000000000000001", "2030-01-01T00:00:00Z", "active", secretA) +
		keyLine("0000000000000002", "2030-01-02T00:00:00Z", "verify-only", secretB) +
		keyLine("0000000000000003", "2030-01-01T00:00:00Z", "active", secretB)
	ring, err := ParseKeyring([]byte(text))
	must(t, err)
	if len(ring.Keys()) != 3 {
		t.Fatalf("%v, want 3 keys", ring)
	}
	minting, err := ring.Minting()
	must(t, err)
	if minting.KID != (KID{7: 1}) {
		t.Errorf("%v mints, want the newest active key, of two the first", minting)
	}
	must(t, ring.Add(GenerateKey(1893456001)))
	if minting, err = ring.Minting(); err != nil || minting.KID != ring.Keys()[3].KID {
		t.Errorf("%v, %v mints, want the key added last", minting, err)
	}
	again, err := ParseKeyring(ring.Marshal())
	if err != nil || !bytes.Equal(again.Marshal(), ring.Marshal()) {
		t.Errorf("the keyring is not read back as it was written: %v", err)
	}
	for _, key := range ring.Keys() {
		must(t, ring.Retire(key.KID))
	}
	if _, err := ring.Minting(); err == nil {
		t.Error("a keyring of retired keys mints")
	}
	if ring.Retire(KID{9}) == nil || ring.Remove(KID{9}) == nil {
		t.Error("a key that is not there was changed")
	}
	if ring.Add(testKey) != nil || ring.Add(testKey) == nil || ring.Add(Key{KID: KID{5}, State: KeyActive}) == nil {
		t.Error("Add: want one success, then errors for the same KID and for no secret")
	}
}

func TestParseKeyringRefuses(t *testing.T) {
	header := keyringHeader + "\n"
	good := []string{"0000000000000001", "2030-01-01T00:00:00Z", "active", secretA}
	with := func(at int, field string) string {
		fields := append([]string(nil), good...)
		fields[at] = field
		return header + keyLine(fields[0], fields[1], fields[2], fields[3])
	}
	cases := []struct{ name, text, want string }{
		{"empty", "", "begin with"},
		{"no header", keyLine(good[0], good[1], good[2], good[3]), "line 1"},
		{"another version", "ron-ledger-keyring 2\n", "line 1"},
		{"header twice", header + header, "line 2"},
		{"carriage return", "ron-ledger-keyring 1\r\n", "line 1"},
		{"short KID", with(0, "01"), "KID"},
		{"KID in capitals", with(0, "000000000000000A"), "KID"},
		{"no time", with(1, "today"), "time"},
		{"time in another zone", with(1, "2030-01-01T01:00:00+01:00"), "time"},
		{"fraction of a second", with(1, "2030-01-01T00:00:00.5Z"), "time"},
		{"time before 1970", with(1, "1960-01-01T00:00:00Z"), "time"},
		{"unknown state", with(2, "retired"), "state"},
		{"short secret", with(3, secretA[2:]), "secret"},
		{"long secret", with(3, secretA+"00"), "secret"},
		{"secret in capitals", with(3, "AA"+secretA[2:]), "secret"},
		{"zero secret", with(3, strings.Repeat("0", 64)), "no secret"},
		{"another word", header + "Key" + keyLine(good[0], good[1], good[2], good[3])[3:], "line 2"},
		{"leading space", header + " " + keyLine(good[0], good[1], good[2], good[3]), "line 2"},
		{"two spaces", header + "key  " + keyLine(good[0], good[1], good[2], good[3])[4:], "line 2"},
		{"trailing field", header + strings.TrimSuffix(keyLine(good[0], good[1], good[2], good[3]), "\n") + " x\n", "line 2"},
		{"KID twice", with(0, good[0]) + keyLine(good[0], good[1], good[2], secretB), "line 3"},
		{"too long", header + strings.Repeat("#\n", keyringBytesMax), "at most"},
	}
	for _, c := range cases {
		_, err := ParseKeyring([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "01010101") {
			t.Errorf("%s: the error repeats the secret: %v", c.name, err)
		}
	}
	var many bytes.Buffer
	ring := new(Keyring)
	for i := range keyringKeysMax {
		must(t, ring.Add(GenerateKey(int64(i))))
	}
	many.WriteString(header)
	ring.writeKeys(&many)
	(&Keyring{keys: []Key{GenerateKey(1)}}).writeKeys(&many)
	if _, err := ParseKeyring(many.Bytes()); err == nil || !strings.Contains(err.Error(), "64 keys already") {
		t.Errorf("65 keys were read: %v", err)
	}
}

// TestKeyringSum: every bit of a keyring that was written by Marshal is either without meaning or missed.
func TestKeyringSum(t *testing.T) {
	ring := testRing(t, testKey, GenerateKey(7))
	must(t, ring.Retire(testKey.KID))
	text := ring.Marshal()
	for at := range text {
		for bit := range 8 {
			text[at] ^= 1 << bit
			if other, err := ParseKeyring(text); err == nil && !bytes.Equal(other.Marshal(), ring.Marshal()) {
				t.Errorf("bit %d of byte %d makes another keyring: %v", bit, at, other)
			}
			text[at] ^= 1 << bit
		}
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	sum := lines[len(lines)-2]
	if _, err := ParseKeyring(append(bytes.Clone(text), lines[3]...)); err == nil || !strings.Contains(err.Error(), "behind the sum") {
		t.Errorf("a key behind the sum: %v", err)
	}
	fewer := bytes.Join([][]byte{lines[0], lines[2], sum}, nil)
	if _, err := ParseKeyring(fewer); err == nil || !strings.Contains(err.Error(), "take the line of the sum out") {
		t.Errorf("a key is missing: %v", err)
	}
	if other, err := ParseKeyring(fewer[:len(fewer)-len(sum)]); err != nil || len(other.Keys()) != 1 {
		t.Errorf("changed by hand, without a sum: %v", err)
	}
}

// FuzzParseKeyring: no text panics; what is read is written so that it is read as the
// same; no error repeats what could be a secret.
func FuzzParseKeyring(f *testing.F) {
	f.Add([]byte(keyringHeader + "\n" + keyLine("0000000000000001", "2030-01-01T00:00:00Z", "active", secretA)))
	f.Add([]byte(keyringHeader + "\n# a\n\n" + keyLine("0000000000000001", "2030-01-01T00:00:00Z", "verify-only", secretB)))
	f.Add([]byte("key\n" + keyringHeader))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := ParseKeyring(text)
		if err != nil {
			for word := range bytes.FieldsSeq(text) {
				if len(word) >= 32 && bytes.Contains([]byte(err.Error()), word) {
					t.Fatalf("the error repeats %q: %v", word, err)
				}
			}
			return
		}
		again, err := ParseKeyring(ring.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), ring.Marshal()) {
			t.Fatalf("%q is not read back as it was written: %v", text, err)
		}
	})
}

func TestRevocationsFile(t *testing.T) {
	text := "# stolen laptop\nkid 0000000000000002\n\n  capability 00000000000000000000000000000001\t# of the laptop\nkid 0000000000000001"
	revoked, err := ParseRevocations([]byte(text))
	must(t, err)
	cases := []struct {
		id   ID
		kid  KID
		want bool
	}{{ID{15: 1}, KID{}, true}, {ID{}, KID{7: 1}, true}, {ID{}, KID{7: 2}, true}, {ID{15: 2}, KID{7: 3}, false}, {}}
	for _, c := range cases {
		if got := revoked.Revoked(c.id, c.kid); got != c.want {
			t.Errorf("Revoked(%v, %v) = %v", c.id, c.kid, got)
		}
	}
	const sorted = "kid 0000000000000001\nkid 0000000000000002\ncapability 00000000000000000000000000000001\n"
	if got := string(revoked.Marshal()); got != sorted+revoked.sum()+"\n" || revoked.Len() != 3 {
		t.Errorf("Marshal = %q of %d, want %q and its sum", got, revoked.Len(), sorted)
	}
	for _, bad := range []string{"kid", "kid 01", "kid 000000000000000A", "capability 0000000000000001", "KID 0000000000000001", "0000000000000001",
		"kid 0000000000000001 0000000000000002", "kid=0000000000000001", "capability:00000000000000000000000000000001"} {
		if _, err := ParseRevocations([]byte("# one\n" + bad + "\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("ParseRevocations(%q): %v, want an error that names line 2", bad, err)
		}
	}
	var none *Revocations
	if none.Len() != 0 || none.Marshal() != nil {
		t.Error("nil revocations revoke something")
	}
}

// TestRevocationsSum changes each bit of a list that was written here: it is refused, or revokes what it did.
func TestRevocationsSum(t *testing.T) {
	text, err := AppendRevocation(nil, "capability 00000000000000000000000000000001  # 2030-01-02T03:04:05Z stolen")
	must(t, err)
	text, err = AppendRevocation(text, "kid 0000000000000002")
	must(t, err)
	whole, err := ParseRevocations(text)
	must(t, err)
	if lines := strings.Split(string(text), "\n"); len(lines) != 4 || lines[2] != whole.sum() || whole.Len() != 2 {
		t.Fatalf("%q", text)
	}
	refused := 0
	for at := range text {
		for bit := range 8 {
			text[at] ^= 1 << bit
			other, err := ParseRevocations(text)
			if err == nil && !bytes.Equal(other.Marshal(), whole.Marshal()) {
				t.Errorf("bit %d of byte %d makes another list: %q", bit, at, text)
			}
			if err != nil {
				refused++
			}
			text[at] ^= 1 << bit
		}
	}
	if refused == 0 {
		t.Error("no flip was refused")
	}
	if _, err := AppendRevocation(append(bytes.Clone(text), "kid 0000000000000003\n"...), "kid 0000000000000004"); err == nil ||
		!strings.Contains(err.Error(), "behind the sum nothing follows") {
		t.Errorf("a line behind the sum: %v", err)
	}
	if _, err := ParseRevocations(bytes.Replace(text, []byte("kid 0000000000000002\n"), nil, 1)); err == nil || !strings.Contains(err.Error(), "take the line of the sum out") {
		t.Errorf("a line is missing: %v", err)
	}
	// What people write by hand has no sum unless they want one.
	byHand, err := AppendRevocation([]byte("# ours\nkid 0000000000000002"), "kid 0000000000000003")
	if err != nil || string(byHand) != "# ours\nkid 0000000000000002\nkid 0000000000000003\n" {
		t.Errorf("%q: %v", byHand, err)
	}
	if _, err := AppendRevocation(text, "kid 3"); err == nil {
		t.Error("a line that says nothing is added")
	}
}

func FuzzParseRevocations(f *testing.F) {
	f.Add([]byte("kid 0000000000000002\ncapability 00000000000000000000000000000001 # x\n"))
	f.Add([]byte("# \n\r\n kid"))
	f.Fuzz(func(t *testing.T, text []byte) {
		revoked, err := ParseRevocations(text)
		if err != nil {
			return
		}
		again, err := ParseRevocations(revoked.Marshal())
		if err != nil || !bytes.Equal(again.Marshal(), revoked.Marshal()) || again.Len() != revoked.Len() {
			t.Fatalf("%q is not read back as it was written: %v", text, err)
		}
	})
}
