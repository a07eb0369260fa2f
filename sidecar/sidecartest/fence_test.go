package sidecartest

import (
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// TestNothingIsJudgedBehindARejection leaves a transfer that nothing covers behind many other requests on a
// connection, closes it, and sends the transfer again on another one: once that is told that it was rejected, the first
// copy is not booked either when there is money.
func TestNothingIsJudgedBehindARejection(t *testing.T) {
	const before = 80
	s, token := startSidecar(t, func(c *sidecar.Config) {
		c.UDS.MaxInflight = 1 // so that what was read waits in the session
	})
	entry := func(f wire.Fields) []byte {
		b, fault := wire.AppendEntry(nil, &f)
		if !fault.OK() {
			t.Fatal(fault)
		}
		return b
	}
	transfer := wire.Fields{Kind: wire.KindTransfer, Account: "poor", Counterparty: "shop", Amount: wire.AmountOf(5), Nonce: nonceOf(before + 1)}
	sent := HelloFrame(token)
	for i := range before {
		mint := wire.Fields{Kind: wire.KindMint, Account: "bank", Amount: wire.AmountOf(1), Nonce: nonceOf(i + 1)}
		sent = append(sent, AppendFrame(uint64(i+2), 0, 1, entry(mint))...)
	}
	broken := DialRaw(t, s.Socket())
	broken.Send(append(sent, AppendFrame(before+2, 0, 1, entry(transfer))...))
	if err := broken.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), client.Options{Socket: s.Socket(), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	book := func(f wire.Fields) wire.EntryResult {
		t.Helper()
		b := new(client.Batch)
		if err := b.Add(&f); err != nil {
			t.Fatal(err)
		}
		r, err := c.Append(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Results) == 0 { // all accepted
			return wire.EntryResult{}
		}
		return r.Results[0]
	}
	if again := book(transfer); again.Outcome != wire.OutcomeRejected || again.Reason != wire.ReasonInsufficientFunds {
		t.Fatalf("the transfer again: %+v", again)
	}
	book(wire.Fields{Kind: wire.KindMint, Account: "poor", Amount: wire.AmountOf(9), Nonce: nonceOf(before + 2)})
	waitUntil(t, "the broken connection is gone", func() bool { return s.Status().Connections == 1 })
	if row, found, err := c.Find(t.Context(), "poor", transfer.Nonce); err != nil || found {
		t.Errorf("the transfer that was rejected is booked: %+v: %v", row, err)
	}
}
