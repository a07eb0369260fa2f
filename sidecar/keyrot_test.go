package sidecar

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred/capability"
)

// TestRotOfKeys flips one bit of every byte of every file with keys of a home, or all eight where
// BITROT_STRIDE is 1. The start says which file and what to do, or everything is what it was: the keyring,
// the node key and what readers are told of it, the certificate and its key. A token is what it was, is
// made again, or grants nothing.
func TestRotOfKeys(t *testing.T) {
	c := macronodeConfig(t)
	h, good := mustStartHome(t, c)
	goodToken, err := os.ReadFile(h.path(TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{keyringFile, nodeKeyFile, vkeyFile, certFile, certKeyFile, TokenFile} {
		t.Run(name, func(t *testing.T) {
			found := rotOf(t, h, c, name, good, goodToken)
			if name != vkeyFile && name != TokenFile && found["refused"] == 0 {
				t.Error("no flip was refused: the test has tested nothing")
			}
		})
	}
	if _, err := h.identity(c, testLogID, merkle.Blake3); err != nil {
		t.Errorf("with every file as it was: %v", err)
	}
}

// rotOf flips bits of a file, one at a time, judges what a start makes of each, and counts it.
func rotOf(t *testing.T, h *home, c *Config, name string, good *Identity, goodToken []byte) (found map[string]int) {
	t.Helper()
	bits := 1
	if simSetting(t, "BITROT_STRIDE", 0) == 1 {
		bits = 8
	}
	path := h.path(name)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(b []byte) {
		if err := os.WriteFile(path, b, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	found = map[string]int{}
	for at := range whole {
		for n := range bits {
			bit := (at + n) % 8
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << bit
			put(damaged)
			id, err := h.identity(c, testLogID, merkle.Blake3)
			what, wrong := judgeKeys(h, name, id, good, goodToken, err)
			if found[what]++; wrong != nil {
				t.Errorf("bit %d of byte %d of %s: %v", bit, at, name, wrong)
			}
		}
	}
	put(whole)
	t.Logf("%s: %d bytes, %d flips: %s", name, len(whole), len(whole)*bits, counts(found))
	return found
}

// judgeKeys says what came of damage to a file with keys, and what is wrong with that.
func judgeKeys(h *home, name string, id, good *Identity, goodToken []byte, err error) (what string, wrong error) {
	if err != nil {
		said := err.Error()
		advised := strings.Contains(said, "restore") || strings.Contains(said, "Restore")
		if !strings.Contains(said, name) || !advised {
			return "refused", fmt.Errorf("the message names no file, or not what to do: %w", err)
		}
		return "refused", nil
	}
	vkey, err := os.ReadFile(h.path(vkeyFile))
	if err != nil {
		return "harmless", err
	}
	switch {
	case !bytes.Equal(id.Keyring.Marshal(), good.Keyring.Marshal()):
		return "silent", errors.New("another keyring")
	case !id.NodeKey.Equal(good.NodeKey) || id.VerifyKey != good.VerifyKey || string(vkey) != good.VerifyKey+"\n":
		return "silent", errors.New("another node key, or another verifier key is told")
	case !bytes.Equal(id.Revocations.Marshal(), good.Revocations.Marshal()):
		return "silent", errors.New("another list of revocations")
	case !slices.EqualFunc(id.Certificate.Certificate, good.Certificate.Certificate, bytes.Equal):
		return "silent", errors.New("another certificate")
	}
	text, err := os.ReadFile(h.path(TokenFile))
	if err != nil || name != TokenFile || bytes.Equal(text, goodToken) {
		return "harmless", err
	}
	token, err := capability.ParseToken(strings.TrimSuffix(string(text), "\n"))
	if err == nil {
		_, err = capability.Verify(token, id.Keyring, nil)
	}
	switch {
	case err != nil:
		return "grants nothing", nil
	case !isFor(text, testLogID):
		return "silent", errors.New("a token for another log")
	}
	return "made again", nil
}

func counts(found map[string]int) string {
	var list []string
	for _, what := range slices.Sorted(maps.Keys(found)) {
		list = append(list, fmt.Sprintf("%d %s", found[what], what))
	}
	return strings.Join(list, ", ")
}

// TestAnotherNodeKey: a node key that is not the one that readers know is refused, the verifier key is
// left as it was, and the way to another key is the one that the message names.
func TestAnotherNodeKey(t *testing.T) {
	c := macronodeConfig(t)
	h, good := mustStartHome(t, c)
	other, err := newNodeKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.path(nodeKeyFile), other, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, logID := range [][16]byte{testLogID, {9}} { // the same epoch, another
		_, err := h.identity(c, logID, merkle.Blake3)
		if err == nil || !strings.Contains(err.Error(), nodeKeyFile) || !strings.Contains(err.Error(), "remove "+vkeyFile+" and "+stableFile) {
			t.Errorf("log %x: %v", logID, err)
		}
		if b, err := os.ReadFile(h.path(vkeyFile)); err != nil || string(b) != good.VerifyKey+"\n" {
			t.Errorf("the verifier key is %q now: %v", b, err)
		}
	}
	if err := os.Remove(h.path(vkeyFile)); err != nil {
		t.Fatal(err)
	}
	id, err := h.identity(c, testLogID, merkle.Blake3)
	if err != nil || id.VerifyKey == good.VerifyKey {
		t.Fatalf("a change of keys that is meant: %v", err)
	}
	// The same key under another name is another line.
	c.Name = "renamed"
	renamed, err := h.identity(c, testLogID, merkle.Blake3)
	b, err2 := os.ReadFile(h.path(vkeyFile))
	if err := errors.Join(err, err2); err != nil || string(b) != renamed.VerifyKey+"\n" || renamed.VerifyKey == id.VerifyKey {
		t.Errorf("renamed: %q: %v", b, err)
	}
}

// TestRotOfOtherSigners is TestRotOfKeys for a certificate whose signer is not in its file, for what is remembered of it,
// and for a list of revocations that was written here. A new certificate, with another key or the same one, is taken.
func TestRotOfOtherSigners(t *testing.T) {
	c := macronodeConfig(t)
	h, _ := mustStartHome(t, c)
	signer := authorityNamed(t, "root")
	leaf, key := signer.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "ledger.example"}}, time.Hour)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err == nil {
		err = errors.Join(
			os.WriteFile(h.path(certFile), pemOf(leaf), 0o644),
			os.WriteFile(h.path(certKeyFile), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
			Revoke(h.path(revocationsFile), "kid 0000000000000002"), Revoke(h.path(revocationsFile), "kid 0000000000000003  # lost"))
	}
	if err != nil {
		t.Fatal(err)
	}
	good, err := h.identity(c, testLogID, merkle.Blake3)
	if err != nil {
		t.Fatal(err)
	}
	goodToken, err := os.ReadFile(h.path(TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{certFile, revocationsFile} {
		if found := rotOf(t, h, c, name, good, goodToken); found["refused"] == 0 {
			t.Errorf("no flip of %s was refused: the test has tested nothing", name)
		}
	}
	if found := rotOf(t, h, c, seenFile, good, goodToken); found["refused"] > 0 {
		t.Errorf("damage of what is remembered of a certificate is held against the certificate")
	}
	renewed, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: leaf.Subject, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter.Add(time.Hour),
	}, signer.cert, leaf.PublicKey, signer.key)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again
		if err := os.WriteFile(h.path(certFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: renewed}), 0o644); err != nil {
			t.Fatal(err)
		}
		if id, err := h.identity(c, testLogID, merkle.Blake3); err != nil || !bytes.Equal(id.Certificate.Certificate[0], renewed) {
			t.Errorf("renewed: %v", err)
		}
	}
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func authorityNamed(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, time.Hour)
	return a
}

// TestChainOfTheCertificate: a signature whose signer is in the file is checked; one whose signer is not
// cannot be.
func TestChainOfTheCertificate(t *testing.T) {
	signer := authorityNamed(t, "root")
	leaf, key := signer.sign(&x509.Certificate{Subject: pkix.Name{CommonName: selfSignedName}}, time.Hour)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, tt := range map[string]struct {
		chain [][]byte
		wrong bool
	}{
		"a leaf without its signer": {[][]byte{pemOf(leaf)}, false},
		"a chain":                   {[][]byte{pemOf(leaf), pemOf(signer.cert)}, false},
		"a chain with another signer of that name": {[][]byte{pemOf(leaf), pemOf(authorityNamed(t, "root").cert)}, true},
		"a chain with another signer":              {[][]byte{pemOf(leaf), pemOf(authorityNamed(t, "other").cert)}, false},
	} {
		_, err := checkedPair(bytes.Join(tt.chain, nil), keyPEM)
		if tt.wrong != (err != nil) || tt.wrong && !strings.Contains(err.Error(), "signature") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
