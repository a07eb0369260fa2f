package ronledger_test

import (
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
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

// TestProofsExample follows the worked example of docs/PROOFS.md: the receipt that it
// shows is one, its commands give the output that it shows, and the key opens it.
func TestProofsExample(t *testing.T) {
	document := read(t, "docs/PROOFS.md")
	block := func(info string) string {
		t.Helper()
		_, rest, found := strings.Cut(document, "```"+info+"\n")
		text, _, closed := strings.Cut(rest, "```\n")
		if !found || !closed {
			t.Fatalf("docs/PROOFS.md has no block %q", info)
		}
		return text
	}
	want, key := exampleReceipt(t)
	if shown := block("text receipt"); shown != string(want) {
		t.Errorf("docs/PROOFS.md shows another receipt than\n%s", want)
	}
	if !strings.Contains(document, key) {
		t.Errorf("docs/PROOFS.md does not show the key %s", key)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "2.receipt"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", "-eu", "-c", block("sh by-hand"))
	command.Dir = dir
	out, err := command.CombinedOutput()
	if shown := block("text output"); err != nil || string(out) != shown {
		t.Errorf("the commands of docs/PROOFS.md give %v\n%s", err, out)
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
