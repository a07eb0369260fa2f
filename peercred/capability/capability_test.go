package capability

import "testing"

func TestMintedTokenVerifies(t *testing.T) {
	ring := new(Keyring)
	if err := ring.Add(GenerateKey(1)); err != nil {
		t.Fatal(err)
	}
	key, err := ring.Minting()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Mint(key, CaveatLog([16]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseToken(tok.Text())
	if err != nil {
		t.Fatal(err)
	}
	rights, err := Verify(parsed, ring, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := rights.Session(1, 1, nil, [16]byte{1}, 0); d != Granted {
		t.Fatal(d)
	}
	t.Log(rights.Words(), tok)
}
