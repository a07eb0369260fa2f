package sidecartest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// mintIn runs a sidecar in a home for so many more entries, and stops it.
func mintIn(t *testing.T, home, archived string, from, entries int) {
	t.Helper()
	t.Run("life", func(t *testing.T) {
		_, token := startSidecar(t, func(c *sidecar.Config) { c.Home, c.Archive.Dir = home, archived })
		c, err := client.Dial(t.Context(), client.Options{Socket: home + "/ledger.sock", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		b := new(client.Batch)
		for i := range entries {
			f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(from + i)}
			if err := b.Add(&f); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := c.Append(t.Context(), b); err != nil || int(r.Accepted) != entries {
			t.Fatalf("%+v: %v", r, err)
		}
	})
}

// What a restore leaves that is killed amid the writing of a key does not stand in the way of the next one; what is none
// of a restore does.
func TestRestoreBesideHalfAKey(t *testing.T) {
	home := filepath.Join(ShortDir(t), "home")
	mintIn(t, home, "", 1, 3)
	var file bytes.Buffer
	if _, err := sidecar.SnapshotHome(home, &file); err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]bool{".keyring.new": false, ".node.key.new": false, ".letter.new": true, "letter": true} {
		into := filepath.Join(ShortDir(t), "home")
		if err := errors.Join(os.Mkdir(into, 0o700), os.WriteFile(filepath.Join(into, name), []byte("ron-"), 0o600)); err != nil {
			t.Fatal(err)
		}
		_, err := sidecar.RestoreSnapshot(t.Context(), bytes.NewReader(file.Bytes()), &sidecar.RestoreOptions{Home: into})
		if refused != (err != nil) || refused && !strings.Contains(err.Error(), name+" lies there") {
			t.Errorf("beside %s: %v", name, err)
		}
	}
}

// A snapshot that is signed and whole, and whose derived state is not that of its entries, is refused:
// the home is none then.
func TestRestoreVerifiesState(t *testing.T) {
	home := filepath.Join(ShortDir(t), "home")
	mintIn(t, home, "", 1, 300)
	early := filepath.Join(t.TempDir(), "state")
	if err := os.CopyFS(early, os.DirFS(home+"/state")); err != nil {
		t.Fatal(err)
	}
	mintIn(t, home, "", 301, 20)
	mark := func() store.Mark {
		s, err := store.Open(store.Options{Dir: home})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		return s.Mark()
	}()
	if err := errors.Join(os.RemoveAll(home+"/state"), os.CopyFS(home+"/state", os.DirFS(early))); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{Dir: home})
	if err != nil {
		t.Fatal(err)
	}
	// The state of 300 entries says that it is that of 320.
	if err := errors.Join(s.Checkpoint(&store.Checkpoint{Mark: mark}), s.Close()); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := sidecar.SnapshotHome(home, &file); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(ShortDir(t), "home")
	_, err = sidecar.RestoreSnapshot(t.Context(), bytes.NewReader(file.Bytes()), &sidecar.RestoreOptions{Home: restored})
	if finding := new(sidecar.VerifyFinding); !errors.As(err, &finding) {
		t.Errorf("a state that is not of the entries: %v", err)
	}
	if _, err := os.Stat(restored + "/meta"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it became a home: %v", err)
	}
	if left, _ := filepath.Glob(restored + "/.restore"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// Without the check it is taken: it is the check that has found it.
	unverified := &sidecar.RestoreOptions{Home: restored, Unverified: true}
	if _, err := sidecar.RestoreSnapshot(t.Context(), &file, unverified); err != nil {
		t.Error(err)
	}
}
