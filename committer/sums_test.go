package committer

import (
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// An asset can have balances while nothing of it was ever minted: legs may pass money
// through it. Its sum has to be there again after a restart, or a request that is taken
// back takes the sum with it, and what a balance adds to is counted nowhere.
func TestSumOfAnAssetThatOnlyLegsMoved(t *testing.T) {
	b := newBench(t, Options{})
	asset, _ := wire.ParseAsset("NIL")
	leg := func(kind wire.Kind, account string, amount uint64) wire.Fields {
		return wire.Fields{Kind: kind, Account: account, Asset: asset, Amount: wire.AmountOf(amount)}
	}
	atomic := func(entries ...wire.Fields) *Request {
		r := b.request(entries...)
		r.Atomic = true
		return b.do(r)
	}
	if r := atomic(leg(wire.KindCredit, "a", 5), leg(wire.KindDebit, "a", 5)); r.Accepted != 2 {
		t.Fatalf("legs in balance: %+v", r.Results)
	}
	b.restart()
	if r := atomic(leg(wire.KindCredit, "a", 1), leg(wire.KindDebit, "a", 2)); r.Accepted != 0 {
		t.Fatalf("legs out of balance: %+v", r)
	}
	minted := mint("a", 10)
	minted.Asset = asset
	if r := b.append(minted); r.Accepted != 1 {
		t.Fatalf("mint: %+v", r.Results)
	}
	if got := b.balance("a", "NIL"); got != "10/0" {
		t.Fatal(got)
	}
}
