package sidecar

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestSelfSigned(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for host, extra := range map[string]string{
		"": "", "127.0.0.1": "", "0.0.0.0": "", "localhost": "", "10.1.2.3": "10.1.2.3", "2001:db8::1": "2001:db8::1", "ledger.example": "ledger.example",
	} {
		certPEM, keyPEM, err := selfSigned(host, now)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(pair.Leaf)
		names := []string{"localhost", "127.0.0.1", "::1"}
		if extra != "" {
			names = append(names, extra)
		}
		for _, name := range names {
			if net.ParseIP(name) != nil {
				name = "[" + name + "]"
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now}); err != nil {
				t.Errorf("made for %q: %v", host, err)
			}
		}
		if n := len(pair.Leaf.DNSNames) + len(pair.Leaf.IPAddresses); n != len(names) {
			t.Errorf("made for %q: %d names, want %d", host, n, len(names))
		}
		if block, _ := pem.Decode(keyPEM); block == nil || block.Type != "PRIVATE KEY" {
			t.Error("the key is not PKCS #8")
		}
	}
}

// certificateFiles writes a new pair and returns its first bytes.
func certificateFiles(t *testing.T, certFile, keyFile string) []byte {
	t.Helper()
	certPEM, keyPEM, err := selfSigned("", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, certFile, string(certPEM))
	overwrite(t, keyFile, string(keyPEM))
	block, _ := pem.Decode(certPEM)
	return block.Bytes
}

func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	first := certificateFiles(t, certFile, keyFile)
	pair, err := loadCertificate(certFile, keyFile, certWitness{})
	if err != nil {
		t.Fatal(err)
	}
	c := newCertificates(&Identity{Certificate: pair, certFile: certFile, keyFile: keyFile}, zap.NewNop())
	serves := func(want []byte, when string) {
		t.Helper()
		got, err := c.config().GetCertificate(nil)
		if err != nil || string(got.Certificate[0]) != string(want) {
			t.Errorf("%s another certificate is served (%v)", when, err)
		}
	}
	if err := c.reload(); err != nil {
		t.Error(err)
	}
	serves(first, "without a change")
	before := c.current.Load()
	if err := c.reload(); err != nil || c.current.Load() != before {
		t.Errorf("what has not changed was replaced (%v)", err)
	}
	second := certificateFiles(t, certFile, keyFile)
	if err := c.reload(); err != nil {
		t.Error(err)
	}
	serves(second, "after a change")
	for name, spoil := range map[string]func(){
		"a torn certificate": func() { overwrite(t, certFile, "-----BEGIN") },
		"a key of another": func() {
			certificateFiles(t, filepath.Join(dir, "other"), keyFile)
		},
		"a key that is open": func() {
			certificateFiles(t, certFile, keyFile)
			chmod(t, keyFile, 0o644)
		},
		"no key": func() { _ = os.Remove(keyFile) },
	} {
		spoil()
		if err := c.reload(); err == nil {
			t.Errorf("%s was taken", name)
		}
		serves(second, "with "+name)
		_ = os.Remove(keyFile)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.watch(ctx, time.Millisecond)
	}()
	third := certificateFiles(t, certFile, keyFile)
	for deadline := time.Now().Add(patience); string(c.current.Load().Certificate[0]) != string(third) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	serves(third, "after a poll")
	if c.notAfter().Before(time.Now().Add(selfSignedFor / 2)) {
		t.Errorf("it ends at %v", c.notAfter())
	}
	cancel()
	<-ended
}
