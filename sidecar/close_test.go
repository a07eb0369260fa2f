package sidecar

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// TestCloseBeyondItsDeadline has no time to stop, again and again: the store stays open for the committer, which is at
// its last checkpoint, and nothing that was answered is missing at the next start.
func TestCloseBeyondItsDeadline(t *testing.T) {
	home, err := os.MkdirTemp("", "rl") // a socket has to have a short name
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(home) }()
	config := Defaults(Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = filepath.Join(home, "home"), "127.0.0.1:0", "error"
	late := 0
	for round := range uint64(20) {
		s, err := Start(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if size := s.Status().Size; size != round {
			t.Errorf("round %d begins with %d entries", round, size)
		}
		c, err := client.Dial(t.Context(), client.Options{Socket: s.Socket(), TokenFile: filepath.Join(config.Home, TokenFile)})
		if err != nil {
			t.Fatal(err)
		}
		var batch client.Batch
		if err := batch.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: client.NewNonce()}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Append(t.Context(), &batch); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Close(over); err == nil {
			continue // it was quick
		}
		late++
		if err := s.committer.Close(t.Context()); err != nil { // which goes on to its end
			t.Fatal(err)
		}
		if err := s.store.Close(); err != nil {
			continue // it was the rest that had no time, and everything is closed
		}
		if err := s.home.close(); err != nil {
			t.Fatal(err)
		}
	}
	if late == 0 {
		t.Error("every stop was in time: nothing was tested")
	}
}
