package sidecar

import (
	"os"
	"testing"
)

// TestHeldTerm: a home reads the term that it was given, and refuses what it was not.
func TestHeldTerm(t *testing.T) {
	h := &home{dir: t.TempDir()}
	if got, err := h.term(); err != nil || got != (heldTerm{term: 1}) {
		t.Fatalf("a new home holds %+v: %v", got, err)
	}
	for _, want := range []heldTerm{
		{term: 1}, {term: 7, sync: true}, {term: 7, sync: true, unused: true}, {term: 18, sync: true, claim: [16]byte{0, 1, 15: 255}},
	} {
		if err := h.holdTerm(want); err != nil {
			t.Fatal(err)
		}
		if got, err := h.term(); err != nil || got != want {
			t.Errorf("it holds %+v instead of %+v: %v", got, want, err)
		}
	}
	for _, text := range []string{
		"", "term 0 sync\n", "term 1 often\n", "term 1 sync", "term 1 sync\nunused", "term 1 sync\nclaim 12\n", "term 1 sync\nunused\nunused\n",
		"term 1 sync\nclaim 000102030405060708090a0b0c0d0e0f10\n", "term 1 sync\nclaim 00000000000000000000000000000000\n",
	} {
		if err := os.WriteFile(h.path(termFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := h.term(); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
