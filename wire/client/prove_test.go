package client

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// A server that lies in a proof is told from one that does not.
func TestReceiptsAreVerified(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		first, second := record(t, 1).Record, record(t, 2).Record
		frontier := merkle.NewFrontier(kind)
		frontier.AddAll([]merkle.Hash{kind.Leaf(first), kind.Leaf(second)})
		origin := merkle.Origin("peer", merkle.LogID{1}, kind)
		private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		signer, err := merkle.NewSigner(origin, private)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := merkle.Checkpoint{Origin: origin, Size: 2, Root: frontier.Root()}.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		key, err := merkle.VerifierKey(origin, private.Public().(ed25519.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		for name, lie := range map[string]func(*wire.ProveAnswer){
			"":                           func(*wire.ProveAnswer) {},
			"another record":             func(a *wire.ProveAnswer) { a.Record = first },
			"a hash":                     func(a *wire.ProveAnswer) { a.Proof[0][4] ^= 1 },
			"a hash too few":             func(a *wire.ProveAnswer) { a.Proof = nil },
			"a hash too many":            func(a *wire.ProveAnswer) { a.Proof = append(a.Proof, [32]byte{}) },
			"the number":                 func(a *wire.ProveAnswer) { a.From, a.Record = 1, first },
			"the number 0":               func(a *wire.ProveAnswer) { a.From = 0 },
			"no checkpoint":              func(a *wire.ProveAnswer) { a.Checkpoint = nil },
			"a bit of the checkpoint":    func(a *wire.ProveAnswer) { a.Checkpoint = append([]byte{'x'}, a.Checkpoint...) },
			"an answer about two trees":  func(a *wire.ProveAnswer) { a.Consistency, a.Record = true, nil },
			"a proof of what is outside": func(a *wire.ProveAnswer) { a.From = 3; a.Size = 3 },
		} {
			p := newPeer(t)
			p.welcome.VerifyKey = key
			p.intercept(func(c *peerConn, f wire.Frame) bool {
				if f.Type != wire.FrameProve {
					return false
				}
				a := wire.ProveAnswer{From: 2, Size: 2, Root: frontier.Root(), Proof: [][32]byte{kind.Leaf(first)}, Record: second, Checkpoint: signed}
				lie(&a)
				c.answer(wire.FrameProveAnswer, 0, f.RequestID, a.Append)
				return true
			})
			c := p.dial(t, nil)
			r, err := c.Receipt(t.Context(), 2)
			if name == "" && (err != nil || r.Seq != 2 || r.Index != 1) {
				t.Errorf("%v: an honest receipt: %v", kind, err)
			}
			if name != "" && !errors.Is(err, ErrProtocol) {
				t.Errorf("%v: %s: %v", kind, name, err)
			}
			e := second.Entry()
			if _, err = c.ReceiptOf(t.Context(), string(e.Account()), e.Nonce()); (err == nil) != (name == "") {
				t.Errorf("%v: %s, by identity: %v", kind, name, err)
			}
		}
	}
}
