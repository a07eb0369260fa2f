package sidecartest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/sidecar"
)

// TestRotOfASnapshot flips a bit of every byte of a small snapshot, or all eight where BITROT_STRIDE is 1, and cuts it
// there: with the key of the ledger it is refused, or it is the same snapshot.
func TestRotOfASnapshot(t *testing.T) {
	bits := 1
	if setting(t, "BITROT_STRIDE", 0) == 1 {
		bits = 8
	}
	home := filepath.Join(ShortDir(t), "home")
	mintIn(t, home, "", 1, 20)
	var file bytes.Buffer
	if _, err := sidecar.SnapshotHome(home, &file); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(filepath.Join(home, "node.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(line)))
	if err != nil {
		t.Fatal(err)
	}
	good := file.Bytes()
	want, err := sidecar.CheckSnapshot(bytes.NewReader(good), key)
	if err != nil || want.Size != 20 {
		t.Fatalf("%+v: %v", want, err)
	}
	refused, same := 0, 0
	for at := range good {
		for n := range bits {
			bad := bytes.Clone(good)
			bad[at] ^= 1 << ((at + n) % 8)
			switch m, err := sidecar.CheckSnapshot(bytes.NewReader(bad), key); {
			case err != nil:
				refused++
			case *m != *want:
				t.Errorf("with bit %d of byte %d it is another snapshot: %+v", (at+n)%8, at, m)
			default:
				same++
			}
		}
		if _, err := sidecar.CheckSnapshot(bytes.NewReader(good[:at]), key); err == nil {
			t.Errorf("cut at %d it is taken", at)
		}
	}
	t.Logf("%d bytes, %d flips: %d refused, %d the same snapshot", len(good), refused+same, refused, same)
	if refused == 0 {
		t.Error("no flip was refused: the test has tested nothing")
	}
}
