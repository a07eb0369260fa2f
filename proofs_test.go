package ronledger_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// exampleReceipt is the receipt of docs/PROOFS.md: that of entry 2 in a SHA-256 ledger
// of three.
func exampleReceipt(t *testing.T) (text []byte, key string) {
	t.Helper()
	var records [][]byte
	var leaves []merkle.Hash
	frontier := merkle.NewFrontier(merkle.SHA256)
	for i, f := range []wire.Fields{
		{Kind: wire.KindMint, Account: "bank", Amount: wire.AmountOf(1000)},
		{Kind: wire.KindTransfer, Account: "bank", Counterparty: "acct/a", Amount: wire.AmountOf(30)},
		{Kind: wire.KindTransfer, Account: "acct/a", Counterparty: "acct/b", Amount: wire.AmountOf(5)},
	} {
		f.Nonce, f.Timestamp, f.Asset = wire.Nonce{15: byte(i + 1)}, 1728794183123, wire.Asset{'E', 'U', 'R'}
		b, fault := wire.AppendEntry(nil, &f)
		if !fault.OK() {
			t.Fatal(fault)
		}
		records = append(records, (&wire.Stamp{KeyID: [8]byte{7}}).Append(b))
		leaves = append(leaves, merkle.SHA256.Leaf(records[i]))
		frontier.Add(leaves[i])
	}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	origin := merkle.Origin("example", merkle.LogID{1}, merkle.SHA256)
	signer, err := merkle.NewSigner(origin, private)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = merkle.VerifierKey(origin, private.Public().(ed25519.PublicKey)); err != nil {
		t.Fatal(err)
	}
	signed, err := merkle.Checkpoint{Origin: origin, Size: 3, Root: frontier.Root()}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	prover := merkle.Prover{
		Kind:   merkle.SHA256,
		Leaves: func(_ uint64, width int) ([]merkle.Hash, error) { return leaves[:width], nil },
		Tile:   func(uint8, uint64) ([]byte, error) { return nil, nil },
	}
	proof, err := prover.InclusionProof(3, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := merkle.Receipt{Extra: records[1], Index: 1, Proof: proof, Checkpoint: signed}
	if text, err = r.Marshal(); err != nil {
		t.Fatal(err)
	}
	return text, key
}

// TestProofsExample holds the worked example of docs/PROOFS.md: the receipt that it shows is one, and the key opens it.
// TestDocsBlocks follows it by hand.
func TestProofsExample(t *testing.T) {
	document := read(t, "docs/PROOFS.md")
	want, key := exampleReceipt(t)
	if !strings.Contains(document, "```text example.receipt\n"+string(want)+"```\n") {
		t.Errorf("docs/PROOFS.md shows another receipt than\n%s", want)
	}
	if !strings.Contains(document, key) {
		t.Errorf("docs/PROOFS.md does not show the key %s", key)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := merkle.ParseReceipt(want)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(r.Extra, verifier); err != nil {
		t.Error(err)
	}
}
