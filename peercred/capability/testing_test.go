package capability

import (
	"testing"

	"gopkg.in/macaroon.v2"
)

// The fixed surroundings of the tests: one key, one log.
var (
	testLog = [16]byte{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}
	testKey = Key{KID: KID{1, 2, 3, 4, 5, 6, 7, 8}, Created: 1000, State: KeyActive, secret: hide([]byte("a root key of thirty-two bytes!!"))}
)

func testRing(t testing.TB, keys ...Key) *Keyring {
	t.Helper()
	ring := new(Keyring)
	for _, key := range keys {
		must(t, ring.Add(key))
	}
	return ring
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// caveatsOf parses words.
func caveatsOf(t testing.TB, words ...string) []Caveat {
	t.Helper()
	caveats := make([]Caveat, len(words))
	for i, w := range words {
		c, err := ParseCaveat(w)
		must(t, err)
		caveats[i] = c
	}
	return caveats
}

// mintWords mints under testKey, for testLog.
func mintWords(t testing.TB, words ...string) Token {
	t.Helper()
	token, err := Mint(testKey, append([]Caveat{CaveatLog(testLog)}, caveatsOf(t, words...)...)...)
	must(t, err)
	return token
}

func verified(t testing.TB, token Token) *Rights {
	t.Helper()
	rights, err := Verify(token, testRing(t, testKey), nil)
	must(t, err)
	return rights
}

// appended does what a hostile holder can do: it appends any bytes as a caveat, with a
// correct MAC.
func appended(t testing.TB, token Token, caveats ...[]byte) []byte {
	t.Helper()
	var m macaroon.Macaroon
	must(t, m.UnmarshalBinary(token.Bytes()))
	for _, c := range caveats {
		must(t, m.AddFirstPartyCaveat(c))
	}
	encoded, err := m.MarshalBinary()
	must(t, err)
	return encoded
}

// rawToken is a macaroon under testKey with any identifier, location and caveats.
func rawToken(t testing.TB, identifier []byte, location string, caveats ...[]byte) []byte {
	t.Helper()
	m, err := macaroon.New(testKey.secret(), identifier, location, macaroon.V2)
	must(t, err)
	for _, c := range caveats {
		must(t, m.AddFirstPartyCaveat(c))
	}
	encoded, err := m.MarshalBinary()
	must(t, err)
	return encoded
}

// verifyBytes is what the session does with the bytes of a HELLO.
func verifyBytes(encoded []byte, ring *Keyring, revoked *Revocations) (*Rights, error) {
	token, err := TokenFromBytes(encoded)
	if err != nil {
		return nil, err
	}
	return Verify(token, ring, revoked)
}
