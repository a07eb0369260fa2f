// Package clienttest takes a test of an application and hands it a ledger of its own:
// a micronode in the process of the test, with a socket, a token that allows
// everything, and nothing of it left behind on disk.
//
//	func TestShop(t *testing.T) {
//		ledger := clienttest.Run(t)
//		shop := NewShop(ledger.Dial(t))
//		…
//		if got := ledger.Balance(t, "shop/till", ""); got != wire.AmountOf(250) { … }
//	}
//
// It is the sidecar that runs in production, without its disk: the same rules, the
// same answers, the same errors. A ledger takes some 50 ms to start.
package clienttest
