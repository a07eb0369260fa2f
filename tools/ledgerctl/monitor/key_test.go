package monitor_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/liar"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// A key is read whatever its base64 looks like.
func TestKeyHasAPlusInIt(t *testing.T) {
	plus := 0
	for seed := range byte(100) {
		l, err := liar.New(merkle.SHA256, 1, seed)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(l.VKey, "+") > 2 {
			plus++
		}
		k, err := monitor.ParseKey(l.VKey)
		if err != nil || !bytes.Equal(k.Public, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)).Public().(ed25519.PublicKey)) {
			t.Errorf("%s: %x: %v", l.VKey, k.Public, err)
		}
	}
	if plus == 0 {
		t.Error("no key has a plus in its base64")
	}
}

// A key opens the checkpoints of every epoch of its ledger, and of no other ledger.
func TestKeyOpensEpochs(t *testing.T) {
	l, err := liar.New(merkle.SHA256, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	key, err := monitor.ParseKey(l.VKey)
	if err != nil {
		t.Fatal(err)
	}
	for id := range byte(3) {
		if err := l.Epoch(id); err != nil {
			t.Fatal(err)
		}
		if c, err := key.Open(l.Checkpoint()); err != nil || c.Origin != l.Signer.Name() {
			t.Errorf("epoch %d: %+v, %v", id, c, err)
		}
	}
	other, err := liar.New(merkle.SHA256, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Open(other.Checkpoint()); err == nil {
		t.Error("a checkpoint under another key was opened")
	}
}
