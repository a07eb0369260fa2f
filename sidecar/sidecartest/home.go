package sidecartest

import (
	"testing"

	"github.com/rustyonions/ron-ledger/store"
)

// CheckHome audits the ledger in a home whose sidecar has stopped: it is opened
// as it lies there and held against CheckLedger.
func CheckHome(t testing.TB, home string) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: home})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckLedger(s); err != nil {
		t.Errorf("audit of %s: %v", home, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
