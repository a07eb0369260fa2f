package sidecartest

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar"
)

// TestLeavingSyncBesideATakeOver: a sidecar that leaves sync while another takes the ledger over does not serve, though
// its head was stored: whoever took over before that has put a fence and taken the ledger for one of which nothing is missing.
func TestLeavingSyncBesideATakeOver(t *testing.T) {
	objects, armed := new(fakes3.Store), new(atomic.Bool)
	var fence func() error
	way := newWay(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && path.Base(r.URL.Path) == "head" && armed.Swap(false) {
			if err := fence(); err != nil {
				t.Error(err)
			}
		}
		objects.ServeHTTP(w, r)
	}), 0, 0)
	home := filepath.Join(ShortDir(t), "home")
	credentials := filepath.Join(t.TempDir(), "credentials")
	text := fmt.Sprintf("aws_access_key_id = %s\naws_secret_access_key = %s\n", fakes3.GatewayKeyID, fakes3.GatewaySecret)
	if err := os.WriteFile(credentials, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(mode string) func(c *sidecar.Config) {
		return func(c *sidecar.Config) {
			c.Home, c.Archive.URL, c.Archive.Credentials, c.Archive.Mode = home, way.place(), credentials, mode
		}
	}
	t.Run("sync", func(t *testing.T) {
		_, token := startSidecar(t, in("sync"))
		mintOver(t, home, token, 1, 3)
	})
	id, signer := *idOf(t, home), homeKey(t, home)
	fence = func() error {
		r, err := archive.OpenReader(t.Context(), newWay(t, objects, 0, 0).bucket(t), id, nil)
		if err == nil {
			_, err = r.TakeOver(t.Context(), signer, [16]byte{})
		}
		if err == nil && !r.Head().Sync {
			err = errors.New("it has been seen that sync is left: this is not the race that was meant")
		}
		return err
	}
	armed.Store(true)
	leaving := sidecar.Defaults(sidecar.Macronode)
	in("async")(leaving)
	leaving.HTTPS.Addr, leaving.Log.Level = "127.0.0.1:0", "error"
	s, err := sidecar.Start(t.Context(), leaving)
	if err == nil {
		err = errors.Join(errors.New("it has started"), s.Close(context.Background()))
	}
	if armed.Load() || !strings.Contains(err.Error(), "another sidecar has taken this ledger over") {
		t.Errorf("the one that leaves sync: %v", err)
	}
}

// homeKey returns what signs for the ledger in a home.
func homeKey(t *testing.T, home string) note.Signer {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(filepath.Join(home, "node.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(line)))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := merkle.NewSigner(verifier.Name(), key.(ed25519.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
