package sidecar

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs client certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(template, time.Hour)
	return a
}

// sign makes a certificate, its own where there is no authority yet.
func (a *authority) sign(template *x509.Certificate, ends time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(ends)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) client(usage x509.ExtKeyUsage, ends time.Duration) *tls.Certificate {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}}, ends)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// withCertificate is a client of o that shows one, or none.
func (o *outer) withCertificate(show *tls.Certificate, change func(*tls.Config)) *http.Client {
	client := o.client()
	config := client.Transport.(*http.Transport).TLSClientConfig
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if show == nil {
			return new(tls.Certificate), nil
		}
		return show, nil
	}
	if change != nil {
		change(config)
	}
	return client
}

// status gets a path: the status, and what was said, or why there was no answer.
func (o *outer) status(client *http.Client, path string) (int, string) {
	response, err := client.Get("https://" + o.https.addr() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text)
}

// TestHostileHTTPS holds who may read what, and why others may not.
func TestHostileHTTPS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	overwrite(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw})))
	start := func(ca, paths string) *outer {
		return newOuter(t, func(c *Config) { c.TLS = TLSConfig{ClientCA: ca, ClientPaths: paths} })
	}
	open, metrics, all := start("", clientPathsMetrics), start(file, clientPathsMetrics), start(file, clientPathsAll)
	good := ours.client(x509.ExtKeyUsageClientAuth, time.Hour)
	foreign := others.client(x509.ExtKeyUsageClientAuth, time.Hour)
	expired := ours.client(x509.ExtKeyUsageClientAuth, -time.Hour)
	server := ours.client(x509.ExtKeyUsageServerAuth, time.Hour)
	stolen := &tls.Certificate{Certificate: good.Certificate, PrivateKey: foreign.PrivateKey}
	for _, c := range []struct {
		name   string
		at     *outer
		show   *tls.Certificate
		change func(*tls.Config)
		path   string
		status int
		says   string
	}{
		{"nobody is asked: metrics", open, nil, nil, "/metrics", 200, "ledger_commits_total"},
		{"nobody is asked: roots", open, nil, nil, "/roots", 200, "roots"},
		{"TLS 1.2", open, nil, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, "/roots", 0, "protocol version"},
		{"TLS 1.1", open, nil, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, "/roots", 0, "protocol version"},
		{"missing certificate: metrics", metrics, nil, nil, "/metrics", 403, "needs a client certificate"},
		{"missing certificate: roots are open", metrics, nil, nil, "/roots", 200, "roots"},
		{"a good certificate: metrics", metrics, good, nil, "/metrics", 200, "ledger_commits_total"},
		{"another authority", metrics, foreign, nil, "/metrics", 0, ""},
		{"another authority: roots", metrics, foreign, nil, "/roots", 0, ""},
		{"an expired certificate", metrics, expired, nil, "/metrics", 0, ""},
		{"a certificate for servers", metrics, server, nil, "/metrics", 0, ""},
		{"a certificate without its key", metrics, stolen, nil, "/metrics", 0, ""},
		{"all: missing certificate", all, nil, nil, "/roots", 0, ""},
		{"all: a good certificate: roots", all, good, nil, "/roots", 200, "roots"},
		{"all: a good certificate: metrics", all, good, nil, "/metrics", 200, "ledger_commits_total"},
		{"all: another authority", all, foreign, nil, "/roots", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, text := c.at.status(c.at.withCertificate(c.show, c.change), c.path)
			if status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%d %.200q, want %d …%s…", status, text, c.status, c.says)
			}
		})
	}
}

// TestTLSResumes holds that a second connection resumes the session of the first, and
// that it carries the certificate which that one has shown, and no other.
func TestTLSResumes(t *testing.T) {
	ours := newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	overwrite(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw})))
	o := newOuter(t, func(c *Config) { c.TLS.ClientCA = file })
	for _, show := range []*tls.Certificate{nil, ours.client(x509.ExtKeyUsageClientAuth, time.Hour)} {
		resumed := 0
		client := o.withCertificate(show, func(c *tls.Config) {
			c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			c.VerifyConnection = func(state tls.ConnectionState) error {
				if state.DidResume {
					resumed++
				}
				return nil
			}
		})
		want := 403
		if show != nil {
			want = 200
		}
		for range 3 {
			if status, text := o.status(client, "/metrics"); status != want {
				t.Errorf("%d %.100q, want %d", status, text, want)
			}
			client.CloseIdleConnections()
		}
		if resumed != 2 {
			t.Errorf("%d of 2 connections resumed", resumed)
		}
	}
}

func TestClientCARefuses(t *testing.T) {
	dir := t.TempDir()
	overwrite(t, filepath.Join(dir, "empty"), "")
	for _, name := range []string{"nosuch", "empty"} {
		if _, err := loadClientCA(&TLSConfig{ClientCA: filepath.Join(dir, name)}); err == nil || !strings.Contains(err.Error(), "tls.client_ca") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
