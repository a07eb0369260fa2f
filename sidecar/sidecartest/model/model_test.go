package model

import (
	"slices"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

func nonce(n byte) wire.Nonce { return wire.Nonce{15: n} }

// TestModelByHand holds the model itself against a short story counted by hand.
func TestModelByHand(t *testing.T) {
	l := New()
	steps := []struct {
		request Request
		want    Answer
	}{
		{
			Request{Entries: []wire.Fields{
				{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(10), Nonce: nonce(1)},
				{Kind: wire.KindTransfer, Account: "a", Counterparty: "b", Amount: wire.AmountOf(11), Nonce: nonce(2)},
				{Kind: wire.KindHold, Account: "a", Amount: wire.AmountOf(6), Nonce: nonce(2)},
			}},
			Answer{First: 1, Last: 2, Accepted: 2, Results: []Result{rejected(1, wire.ReasonInsufficientFunds)}},
		},
		{
			Request{Atomic: true, IdemID: [16]byte{1}, Entries: []wire.Fields{
				{Kind: wire.KindCapture, Account: "a", Counterparty: "b", Amount: wire.AmountOf(4), Nonce: nonce(3), Ref: nonce(2)},
				{Kind: wire.KindDebit, Account: "b", Amount: wire.AmountOf(1), Nonce: nonce(1)},
				{Kind: wire.KindCredit, Account: "c", Amount: wire.AmountOf(1), Nonce: nonce(1)},
			}},
			Answer{First: 3, Last: 5, Accepted: 3},
		},
		{
			Request{Atomic: true, IdemID: [16]byte{1}, Entries: []wire.Fields{
				{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(10), Nonce: nonce(1)},
			}},
			refused(0, wire.ReasonConflict),
		},
		{
			Request{Atomic: true, Entries: []wire.Fields{
				{Kind: wire.KindMint, Account: "d", Amount: wire.AmountOf(10), Nonce: nonce(1)},
				{Kind: wire.KindCredit, Account: "c", Amount: wire.AmountOf(1), Nonce: nonce(2)},
			}},
			refused(1, wire.ReasonUnbalanced),
		},
	}
	for i, step := range steps {
		for n, got := range []Answer{l.Try(&step.request), l.Append(&step.request)} {
			if got.First != step.want.First || got.Last != step.want.Last || got.Accepted != step.want.Accepted || !slices.Equal(got.Results, step.want.Results) {
				t.Errorf("step %d, %d: got %+v, want %+v", i, n, got, step.want)
			}
		}
		if err := l.Check(); err != nil {
			t.Error(err)
		}
	}
	var got string
	for _, b := range l.Balances() {
		got += b.Account + " " + b.Available.String() + "/" + b.Held.String() + "; "
	}
	if want := "a 4/2; b 3/0; c 1/0; "; got != want {
		t.Errorf("balances %q, want %q", got, want)
	}
}
