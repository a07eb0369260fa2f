package sidecartest

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// proven is a sidecar with entries in it, and what a reader outside makes of them:
// the roots of all sizes, counted from the records by a frontier of its own.
type proven struct {
	t      *testing.T
	client *client.Client
	kind   merkle.HashKind
	key    note.Verifier
	roots  []merkle.Hash // by size
	leaves []merkle.Hash
}

func startProven(t *testing.T, kind merkle.HashKind, entries int) *proven {
	var home string
	_, token := startSidecar(t, func(c *sidecar.Config) {
		c.Accumulator.Hash, c.Checkpoint.IntervalEntries, home = kind.String(), 300, c.Home
	})
	c, err := client.Dial(t.Context(), client.Options{Socket: home + "/ledger.sock", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	key, err := note.NewVerifier(c.Welcome().VerifyKey)
	if err != nil {
		t.Fatal(err)
	}
	p := &proven{t: t, client: c, kind: kind, key: key, roots: []merkle.Hash{kind.Empty()}}
	for done := 0; done < entries; {
		var b client.Batch
		for ; b.Len() < 100 && done < entries; done++ {
			if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(done + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Append(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	frontier := merkle.NewFrontier(kind)
	for row, err := range c.Entries(t.Context(), 1, client.ToHead) {
		if err != nil {
			t.Fatal(err)
		}
		leaf := kind.Leaf(row.Record)
		frontier.Add(leaf)
		p.leaves, p.roots = append(p.leaves, leaf), append(p.roots, frontier.Root())
	}
	return p
}

func nonceOf(n int) (nonce wire.Nonce) {
	binary.BigEndian.PutUint64(nonce[8:], uint64(n))
	return nonce
}

func (p *proven) prove(request *wire.Prove) (*wire.ProveAnswer, []merkle.Hash) {
	p.t.Helper()
	m, err := p.client.Prove(p.t.Context(), request)
	if err != nil {
		p.t.Fatalf("%+v: %v", request, err)
	}
	if merkle.Hash(m.Root) != p.roots[m.Size] {
		p.t.Fatalf("%+v: root %x is not that of size %d", request, m.Root, m.Size)
	}
	proof := make([]merkle.Hash, len(m.Proof))
	for i := range proof {
		proof[i] = m.Proof[i]
	}
	signed, err := merkle.OpenCheckpoint(m.Checkpoint, p.key)
	if err != nil || signed.Root != p.roots[signed.Size] || signed.Size < m.Size {
		p.t.Fatalf("%+v: checkpoint %+v: %v", request, signed, err)
	}
	return m, proof
}

func TestProofsOverTheSocket(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		t.Run(kind.String(), func(t *testing.T) {
			const size = 777
			p := startProven(t, kind, size)
			sizes := []uint64{0, 1, 2, 3, 255, 256, 257, 511, 512, 600, 776, 777}
			for _, n := range sizes {
				for _, from := range sizes {
					if from > n && n > 0 {
						continue
					}
					m, proof := p.prove(&wire.Prove{Consistency: true, From: from, Size: n})
					if err := merkle.VerifyConsistency(kind, from, p.roots[from], m.Size, m.Root, proof); err != nil {
						t.Error(err)
					}
					if from == 0 {
						continue
					}
					m, proof = p.prove(&wire.Prove{From: from, Size: n})
					if err := merkle.VerifyInclusion(kind, kind.Leaf(m.Record), from-1, m.Size, proof, m.Root); err != nil || kind.Leaf(m.Record) != p.leaves[from-1] {
						t.Errorf("inclusion of %d in %d: %v", from, n, err)
					}
				}
			}
			p.receipts(size)
			p.refused()
		})
	}
}

func (p *proven) receipts(size uint64) {
	for _, seq := range []uint64{1, 256, 257, 700, size} {
		r, err := p.client.Receipt(p.t.Context(), seq)
		if err != nil {
			p.t.Fatal(err)
		}
		again, err := p.client.ReceiptOf(p.t.Context(), "a", r.Record.Entry().Nonce())
		if err != nil || again.Seq != seq || r.Seq != seq {
			p.t.Errorf("entry %d by its identity: %v", seq, err)
		}
		text, err := r.Marshal()
		if err != nil {
			p.t.Fatal(err)
		}
		parsed, err := merkle.ParseReceipt(text)
		if err != nil {
			p.t.Fatal(err)
		}
		signed, err := parsed.Verify(r.Record, p.key)
		if err != nil || signed.Size != size {
			p.t.Errorf("receipt of %d at size %d: %v", seq, signed.Size, err)
		}
	}
}

func (p *proven) refused() {
	for name, m := range map[string]*wire.Prove{
		"an entry beyond the end":      {From: 778},
		"a size beyond the end":        {From: 1, Size: 778},
		"consistency beyond the end":   {Consistency: true, From: 1, Size: 1 << 62},
		"an older size beyond the end": {Consistency: true, From: 1 << 63},
		"an identity that is none":     {Account: []byte("a"), Nonce: wire.Nonce{9}},
		"an account that is none":      {Account: []byte("nobody")},
	} {
		_, err := p.client.Prove(p.t.Context(), m)
		var refused *client.ReasonError
		if !errors.As(err, &refused) || refused.Reason != wire.ReasonUnknownRef {
			p.t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.client.Account(p.t.Context(), "a"); err != nil {
		p.t.Errorf("the connection does not go on: %v", err)
	}
}
