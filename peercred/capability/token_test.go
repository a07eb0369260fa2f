package capability

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"gopkg.in/macaroon.v2"
)

func TestVerify(t *testing.T) {
	token := mintWords(t, "kind = Transfer", "expires = 2030-01-01T00:00:00Z")
	rights := verified(t, token)
	id, kid := rights.Stamp()
	info, err := Inspect(token)
	must(t, err)
	if id != info.CapabilityID || kid != info.KID || kid != testKey.KID {
		t.Errorf("stamp %x %x, the token says %v %v", id, kid, info.CapabilityID, info.KID)
	}
	if unix, ends := rights.ExpiresUnix(); !ends || unix != 1893456000 {
		t.Errorf("ExpiresUnix = %d, %v", unix, ends)
	}
	if !slices.Equal(info.Allows, rights.Words()) {
		t.Errorf("Inspect allows %q, Verify %q", info.Allows, rights.Words())
	}
	if len(info.Caveats) != 3 || info.Caveats[1].String() != "kind = Transfer" {
		t.Errorf("caveats %v", info.Caveats)
	}
	if _, ends := verified(t, mintWords(t)).ExpiresUnix(); ends {
		t.Error("a token without expires ends")
	}
}

func TestTokenText(t *testing.T) {
	token := mintWords(t, "uid = 1000")
	text := token.Text()
	for _, good := range []string{text, text + "\n", "  " + text + "\r\n"} {
		parsed, err := ParseToken(good)
		if err != nil || !bytes.Equal(parsed.Bytes(), token.Bytes()) {
			t.Errorf("ParseToken(token with white space around): %v", err)
		}
	}
	bad := []struct{ name, text, reason string }{
		{"empty", "", ReasonUnauth},
		{"white space", " \n", ReasonUnauth},
		{"prefix alone", "rl1_", ReasonUnauth},
		{"no prefix", text[4:], ReasonCapInvalid},
		{"another prefix", "rl2_" + text[4:], ReasonCapInvalid},
		{"line end inside", text[:20] + "\n" + text[20:], ReasonCapInvalid},
		{"padding", text + "=", ReasonCapInvalid},
		{"standard alphabet", text[:20] + "+" + text[21:], ReasonCapInvalid},
		{"cut", text[:len(text)-4], ReasonCapInvalid},
		{"longer", text + "AAAA", ReasonCapInvalid},
		{"huge", "rl1_" + strings.Repeat("A", 1<<20), ReasonCapInvalid},
	}
	for _, c := range bad {
		_, err := ParseToken(c.text)
		if err == nil || ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want the reason %s", c.name, err, c.reason)
		}
	}
}

// TestEveryBitOfATokenCounts flips each bit and cuts at each length.
func TestEveryBitOfATokenCounts(t *testing.T) {
	good := mintWords(t, "op = read", "account = a*,b", "amount <= 7", "uid = 1,2").Bytes()
	ring := testRing(t, testKey)
	for bit := range len(good) * 8 {
		changed := slices.Clone(good)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := verifyBytes(changed, ring, nil); ReasonOf(err) != ReasonCapInvalid || err == nil {
			t.Errorf("bit %d of byte %d flipped: %v", bit%8, bit/8, err)
		}
	}
	for length := range good {
		want := ReasonCapInvalid
		if length == 0 {
			want = ReasonUnauth
		}
		if _, err := verifyBytes(good[:length], ring, nil); err == nil || ReasonOf(err) != want {
			t.Errorf("cut to %d bytes: %v, want the reason %s", length, err, want)
		}
	}
}

func TestCaveatsCannotMoveOrGo(t *testing.T) {
	var m macaroon.Macaroon
	must(t, m.UnmarshalBinary(mintWords(t, "op = read", "uid = 1", "amount <= 7").Bytes()))
	good := m.Caveats()
	// The binary form is rebuilt by hand: the library offers no way to forge.
	rebuild := func(order ...int) []byte {
		packet := func(field byte, data []byte) []byte {
			return append(binary.AppendUvarint([]byte{field}, uint64(len(data))), data...)
		}
		encoded := append(append([]byte{2}, packet(2, m.Id())...), 0)
		for _, i := range order {
			encoded = append(append(encoded, packet(2, good[i].Id)...), 0)
		}
		return append(append(encoded, 0), packet(6, m.Signature())...)
	}
	ring := testRing(t, testKey)
	if _, err := verifyBytes(rebuild(0, 1, 2, 3), ring, nil); err != nil {
		t.Fatalf("the rebuilt token itself: %v", err)
	}
	for _, order := range [][]int{{}, {0}, {0, 1}, {0, 1, 2}, {1, 2, 3}, {0, 2, 3}, {0, 1, 3, 2}, {1, 0, 2, 3}, {3, 2, 1, 0}, {0, 1, 2, 3, 3}} {
		if _, err := verifyBytes(rebuild(order...), ring, nil); err == nil || ReasonOf(err) != ReasonCapInvalid {
			t.Errorf("caveats in the order %v: %v", order, err)
		}
	}
}

func TestHostileTokens(t *testing.T) {
	plain := mintWords(t)
	grants := func(bits uint16) []byte { return ident{kid: testKey.KID, grants: bits}.encode() }
	logCaveat := CaveatLog(testLog).appendTo(nil)
	v1 := func() []byte {
		m, err := macaroon.New(testKey.secret(), []byte("identifier"), "", macaroon.V1)
		must(t, err)
		encoded, err := m.MarshalBinary()
		must(t, err)
		return encoded
	}
	asJSON := func() []byte {
		var m macaroon.Macaroon
		must(t, m.UnmarshalBinary(plain.Bytes()))
		encoded, err := m.MarshalJSON()
		must(t, err)
		return encoded
	}
	thirdParty := func() []byte {
		var m macaroon.Macaroon
		must(t, m.UnmarshalBinary(plain.Bytes()))
		must(t, m.AddThirdPartyCaveat([]byte("their key"), []byte("their caveat"), "https://example.org"))
		encoded, err := m.MarshalBinary()
		must(t, err)
		return encoded
	}
	longVarint := func() []byte {
		encoded := plain.Bytes()
		// Byte 2 is the length of the identifier, one byte: write it in two.
		return slices.Concat(encoded[:2], []byte{encoded[2] | 0x80, 0}, encoded[3:])
	}
	cases := []struct {
		name    string
		encoded []byte
		text    string // which the error must have
	}{
		{"V1", v1(), "version 2"},
		{"JSON", asJSON(), "version 2"},
		{"third-party caveat", thirdParty(), "third-party"},
		{"a location", rawToken(t, grants(0), "https://example.org", logCaveat), "location"},
		{"trailing byte", append(plain.Bytes(), 0), "trailing"},
		{"long varint", longVarint(), "shortest"},
		{"33 caveats", appended(t, plain, slices.Repeat([][]byte{logCaveat}, 32)...), "at most 32"},
		{"4097 bytes", append(plain.Bytes(), make([]byte, 4097-len(plain.Bytes()))...), "larger than 4096"},
		{"1 MiB", bytes.Repeat([]byte{2}, 1<<20), "larger than 4096"},
		{"empty identifier", rawToken(t, nil, "", logCaveat), "identifier"},
		{"short identifier", rawToken(t, grants(0)[:26], "", logCaveat), "identifier"},
		{"long identifier", rawToken(t, append(grants(0), 0), "", logCaveat), "identifier"},
		{"identifier version 2", rawToken(t, append([]byte{2}, grants(0)[1:]...), "", logCaveat), "identifier"},
		{"unknown grant", rawToken(t, grants(1<<5), "", logCaveat), "grants"},
		{"governance appended", appended(t, plain, CaveatGovernance().appendTo(nil)), "not granted"},
		{"unknown key", rawToken(t, ident{kid: KID{9}}.encode(), "", logCaveat), "not in the keyring"},
	}
	ring := testRing(t, testKey)
	for _, c := range cases {
		_, err := verifyBytes(c.encoded, ring, nil)
		if err == nil || ReasonOf(err) != ReasonCapInvalid || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want cap_invalid with %q", c.name, err, c.text)
		}
	}
}

func TestHostileCaveats(t *testing.T) {
	list := func(typ CaveatType, size, count int) []byte {
		var value []byte
		for i := range count {
			value = append(binary.LittleEndian.AppendUint32(value, uint32(i+1)), make([]byte, size-4)...)
		}
		return Caveat{typ, string(value)}.appendTo(nil)
	}
	of := func(typ CaveatType, value ...byte) []byte { return Caveat{typ, string(value)}.appendTo(nil) }
	cases := []struct {
		name    string
		encoded []byte
	}{
		{"empty", nil},
		{"header cut", []byte{1, 0}},
		{"type 0", of(0, 1)},
		{"type 12", of(12, 1)},
		{"type 255, empty", of(255)},
		{"length too small", append(CaveatLog(testLog).appendTo(nil), 0)},
		{"length too great", []byte{byte(TypeOp), 2, 0, 1}},
		{"length in another order", []byte{byte(TypeOp), 0, 1, 1}},
		{"log of 15 bytes", of(TypeLog, make([]byte, 15)...)},
		{"no op", of(TypeOp, 0)},
		{"unknown op", of(TypeOp, 8)},
		{"op of two bytes", of(TypeOp, 1, 0)},
		{"no kind", of(TypeKind, 0, 0)},
		{"kind 0", of(TypeKind, 1, 0)},
		{"kind 10", of(TypeKind, 0, 4)},
		{"no account", of(TypeAccount)},
		{"account of no bytes", of(TypeAccount, 0)},
		{"account longer than the value", of(TypeAccount, 3, 'a', 'b')},
		{"account with a space", of(TypeAccount, 3, 'a', ' ', 'b')},
		{"account with a * inside", of(TypeAccount, 3, 'a', '*', 'b')},
		{"account of 129 bytes", of(TypeAccount, append([]byte{129}, bytes.Repeat([]byte{'a'}, 129)...)...)},
		{"accounts out of order", of(TypeAccount, 1, 'b', 1, 'a')},
		{"account twice", of(TypeAccount, 1, 'a', 1, 'a')},
		{"no asset", of(TypeAsset)},
		{"asset of 7 bytes", of(TypeAsset, 'E', 'U', 'R', 0, 0, 0, 0)},
		{"asset with lower case", of(TypeAsset, 'e', 'U', 'R', 0, 0, 0, 0, 0)},
		{"asset with a hole", of(TypeAsset, 'E', 0, 'R', 0, 0, 0, 0, 0)},
		{"assets out of order", of(TypeAsset, []byte("USD\x00\x00\x00\x00\x00EUR\x00\x00\x00\x00\x00")...)},
		{"amount of 8 bytes", of(TypeAmount, make([]byte, 8)...)},
		{"no uid", of(TypeUID)},
		{"uid of 3 bytes", of(TypeUID, 1, 2, 3)},
		{"uids out of order", of(TypeUID, 2, 0, 0, 0, 1, 0, 0, 0)},
		{"uid twice", of(TypeUID, 2, 0, 0, 0, 2, 0, 0, 0)},
		{"65 uids", list(TypeUID, 4, 65)},
		{"gid of 5 bytes", of(TypeGID, 1, 2, 3, 4, 5)},
		{"expires of 7 bytes", of(TypeExpires, make([]byte, 7)...)},
		{"expires before 1970", of(TypeExpires, 255, 255, 255, 255, 255, 255, 255, 255)},
		{"not-before after 9999", of(TypeNotBefore, 255, 255, 255, 255, 255, 255, 255, 127)},
		{"governance 0", of(TypeGovernance, 0)},
		{"governance 2", of(TypeGovernance, 2)},
		{"governance empty", of(TypeGovernance)},
	}
	token, ring := mintWords(t), testRing(t, testKey)
	for _, c := range cases {
		_, err := verifyBytes(appended(t, token, c.encoded), ring, nil)
		if err == nil || ReasonOf(err) != ReasonCapInvalid {
			t.Errorf("%s: %v, want cap_invalid", c.name, err)
		}
	}
	if _, err := verifyBytes(appended(t, token, list(TypeUID, 4, 64)), ring, nil); err != nil {
		t.Errorf("64 uids: %v", err)
	}
}

func TestKeysAndRevocations(t *testing.T) {
	token := mintWords(t)
	rights := verified(t, token)
	id, kid := rights.Stamp()
	other := GenerateKey(5)
	impostor := GenerateKey(5)
	impostor.KID = testKey.KID
	retired := testRing(t, testKey, other)
	must(t, retired.Retire(testKey.KID))
	removed := testRing(t, testKey, other)
	must(t, removed.Remove(testKey.KID))
	var byID, byKID, others Revocations
	byID.RevokeID(id)
	byKID.RevokeKID(kid)
	others.RevokeID(ID{1})
	others.RevokeKID(other.KID)
	cases := []struct {
		name    string
		ring    *Keyring
		revoked *Revocations
		valid   bool
	}{
		{"active", testRing(t, testKey), nil, true},
		{"active among others", testRing(t, other, testKey), nil, true},
		{"verify-only", retired, nil, true},
		{"removed", removed, nil, false},
		{"nil keyring", nil, nil, false},
		{"empty keyring", new(Keyring), nil, false},
		{"the same KID with another secret", testRing(t, impostor), nil, false},
		{"capability revoked", retired, &byID, false},
		{"key revoked", retired, &byKID, false},
		{"others revoked", retired, &others, true},
	}
	for _, c := range cases {
		_, err := Verify(token, c.ring, c.revoked)
		if (err == nil) != c.valid || err != nil && ReasonOf(err) != ReasonCapInvalid {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if !rights.Revoked(&byID) || !rights.Revoked(&byKID) || rights.Revoked(&others) || rights.Revoked(nil) {
		t.Error("Rights.Revoked disagrees with Verify")
	}
	narrowed, err := token.Narrow(caveatsOf(t, "op = read")...)
	must(t, err)
	if _, err := Verify(narrowed, retired, &byID); err == nil {
		t.Error("narrowing escaped the revocation of the capability")
	}
}

func TestMintRefuses(t *testing.T) {
	verifyOnly := testKey
	verifyOnly.State = KeyVerifyOnly
	long := caveatsOf(t, "account = "+strings.Join([]string{strings.Repeat("a", 128), strings.Repeat("b", 128), strings.Repeat("c", 128)}, ","))
	logCaveat := CaveatLog(testLog)
	cases := []struct {
		name    string
		key     Key
		caveats []Caveat
	}{
		{"no key", Key{}, []Caveat{logCaveat}},
		{"verify-only key", verifyOnly, []Caveat{logCaveat}},
		{"no log", testKey, caveatsOf(t, "op = read")},
		{"zero caveat", testKey, []Caveat{logCaveat, {}}},
		{"33 caveats", testKey, slices.Repeat([]Caveat{logCaveat}, 33)},
		{"too large", testKey, append(slices.Repeat(long, 12), logCaveat)},
	}
	for _, c := range cases {
		if token, err := Mint(c.key, c.caveats...); err == nil || token.Bytes() != nil {
			t.Errorf("%s: minted", c.name)
		}
	}
	if _, err := Mint(testKey, slices.Repeat([]Caveat{logCaveat}, 32)...); err != nil {
		t.Errorf("32 caveats: %v", err)
	}
}

func TestNarrowRefuses(t *testing.T) {
	full := mintWords(t, slices.Repeat([]string{"op = read"}, 31)...)
	cases := []struct {
		name   string
		token  Token
		caveat Caveat
	}{
		{"no token", Token{}, CaveatLog(testLog)},
		{"governance", mintWords(t, "governance = reverse"), CaveatGovernance()},
		{"the 33rd", full, CaveatLog(testLog)},
		{"zero caveat", mintWords(t), Caveat{}},
	}
	for _, c := range cases {
		before := c.token.Bytes()
		if _, err := c.token.Narrow(c.caveat); err == nil {
			t.Errorf("%s: narrowed", c.name)
		}
		if !bytes.Equal(before, c.token.Bytes()) {
			t.Errorf("%s: the token itself has changed", c.name)
		}
	}
}

// FuzzTokenFromBytes: no bytes panic; what is taken is taken to the byte; nothing
// verifies that was not minted here.
func FuzzTokenFromBytes(f *testing.F) {
	// Fixed identifiers: the fuzzer's processes must agree on what was minted.
	var minted [][]byte
	for _, words := range [][]string{{}, {"op = read", "account = a*,b", "uid = 1"}, {"kind = Reverse", "governance = reverse"}} {
		var caveats [][]byte
		for _, c := range caveatsOf(f, words...) {
			caveats = append(caveats, c.appendTo(nil))
		}
		minted = append(minted, rawToken(f, ident{kid: testKey.KID, grants: grantsKnown}.encode(), "", caveats...))
	}
	for _, encoded := range minted {
		f.Add(encoded)
		f.Add(encoded[:len(encoded)-1])
		f.Add(append(slices.Clone(encoded), 0))
	}
	f.Add([]byte{2, 1, 1, 'x', 2, 0, 0, 0, 6, 0})
	ring := testRing(f, testKey)
	f.Fuzz(func(t *testing.T, encoded []byte) {
		token, err := TokenFromBytes(encoded)
		if err != nil {
			if token.Bytes() != nil || ReasonOf(err) == ReasonPolicyDenied {
				t.Fatalf("%x: a token, or a wrong reason, beside %v", encoded, err)
			}
			return
		}
		parsed, err := ParseToken(token.Text())
		if err != nil || !bytes.Equal(parsed.Bytes(), encoded) || len(encoded) > tokenBytesMax {
			t.Fatalf("%x is not what comes back: %v", encoded, err)
		}
		_, inspectErr := Inspect(token)
		_, err = Verify(token, ring, nil)
		genuine := slices.ContainsFunc(minted, func(m []byte) bool { return bytes.Equal(m, encoded) })
		if (err == nil) != genuine || genuine && inspectErr != nil {
			t.Fatalf("%x: genuine %v, Verify says %v, Inspect %v", encoded, genuine, err, inspectErr)
		}
	})
}
