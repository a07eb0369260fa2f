package sidecartest

import (
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// An append with receipts proves what is new and what was there before, and nothing
// of what was rejected.
func TestAppendWithReceipts(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		p := startProven(t, kind, 5)
		b := new(client.Batch)
		for _, f := range []wire.Fields{
			{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(3)},                          // is entry 3
			{Kind: wire.KindMint, Account: "b", Amount: wire.AmountOf(7), Nonce: nonceOf(100)},                        // new
			{Kind: wire.KindBurn, Account: "nobody", Amount: wire.AmountOf(1), Nonce: nonceOf(101)},                   // rejected
			{Kind: wire.KindTransfer, Account: "b", Counterparty: "a", Amount: wire.AmountOf(2), Nonce: nonceOf(102)}, // new
		} {
			if err := b.Add(&f); err != nil {
				t.Fatal(err)
			}
		}
		result, receipts, err := p.client.AppendWithReceipts(t.Context(), b)
		if err != nil || result.Accepted != 2 || len(receipts) != 4 {
			t.Fatalf("%v: %+v, %d receipts: %v", kind, result, len(receipts), err)
		}
		for i, seq := range []uint64{3, 6, 0, 7} {
			r := receipts[i]
			if (r == nil) != (seq == 0) || r != nil && r.Seq != seq {
				t.Errorf("%v: the receipt of entry %d of the batch is %+v", kind, i, r)
				continue
			}
			if r == nil {
				continue
			}
			signed, err := r.Verify(r.Record, p.key)
			if err != nil || signed.Size < result.Size {
				t.Errorf("%v: receipt of %d under size %d: %v", kind, seq, signed.Size, err)
			}
		}
		b.DryRun = true
		if _, _, err := p.client.AppendWithReceipts(t.Context(), b); err == nil {
			t.Errorf("%v: a dry run was proven", kind)
		}
	}
}
