package clienttest_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/clienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLedgerOfATest(t *testing.T) {
	ledger := clienttest.Run(t)
	ledger.Mint(t, "shop/till", "EUR", wire.AmountOf(100))
	if got := ledger.Balance(t, "shop/till", "EUR"); got != wire.AmountOf(100) {
		t.Errorf("balance %v", got)
	}
	if got := ledger.Balance(t, "shop/till", ""); !got.IsZero() {
		t.Errorf("balance of another asset %v", got)
	}
	before := ledger.Dial(t).Welcome().LogID
	if err := ledger.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := ledger.Dial(t).Welcome().LogID; after == before {
		t.Error("after a restart it claims to be the same ledger")
	}
}

func TestLedgerIsConfigured(t *testing.T) {
	ledger := clienttest.Run(t, func(c *sidecar.Config) { c.Limits.MaxEntriesPerRequest = 1 })
	var b client.Batch
	for range 2 {
		if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: client.NewNonce()}); err != nil {
			t.Fatal(err)
		}
	}
	var refused *client.ReasonError
	if _, err := ledger.Dial(t).Append(t.Context(), &b); !errors.As(err, &refused) || refused.Reason != wire.ReasonTooLarge {
		t.Errorf("two entries at once: %v", err)
	}
}
