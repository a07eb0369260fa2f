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

	"go.uber.org/zap"
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

// pem is what tls.client_ca holds of it.
func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
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

// handshake says how a handshake that fails ends. With TLS 1.3 the client is told only
// when it reads.
func (o *outer) handshake(client *http.Client) string {
	conn, err := tls.Dial("tcp", o.https.addr(), client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err.Error()
	}
	return "it does not fail"
}

// TestHostileHTTPS holds who may read what, and why others may not.
func TestHostileHTTPS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	overwrite(t, file, ours.pem())
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
		{"another authority", metrics, foreign, nil, "/metrics", 0, "tls: unknown certificate authority"},
		{"another authority: roots", metrics, foreign, nil, "/roots", 0, "tls: unknown certificate authority"},
		{"an expired certificate", metrics, expired, nil, "/metrics", 0, "tls: expired certificate"},
		{"a certificate for servers", metrics, server, nil, "/metrics", 0, "tls: bad certificate"},
		{"a certificate without its key", metrics, stolen, nil, "/metrics", 0, "tls: error decrypting message"},
		{"all: missing certificate", all, nil, nil, "/roots", 0, "tls: certificate required"},
		{"all: a good certificate: roots", all, good, nil, "/roots", 200, "roots"},
		{"all: a good certificate: metrics", all, good, nil, "/metrics", 200, "ledger_commits_total"},
		{"all: another authority", all, foreign, nil, "/roots", 0, "tls: unknown certificate authority"},
		{"all: an expired certificate", all, expired, nil, "/roots", 0, "tls: expired certificate"},
		{"all: a certificate for servers", all, server, nil, "/roots", 0, "tls: bad certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := c.at.withCertificate(c.show, c.change)
			if c.status == 0 {
				if why := c.at.handshake(client); !strings.Contains(why, c.says) {
					t.Errorf("the handshake ends with %q, want …%s…", why, c.says)
				}
				return
			}
			status, text := c.at.status(client, c.path)
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
	overwrite(t, file, ours.pem())
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
	overwrite(t, filepath.Join(dir, "key"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	overwrite(t, filepath.Join(dir, "torn"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	overwrite(t, filepath.Join(dir, "long"), strings.Repeat("\n", caBytesMax+1))
	for _, name := range []string{"nosuch", "empty", "key", "torn", "long"} {
		if _, err := loadClientCA(&TLSConfig{ClientCA: filepath.Join(dir, name)}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "tls.client_ca") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestClientCAReloads replaces the file under live connections and sessions that could be
// resumed: what counts is who is in the file now, and a file that cannot be read changes
// nothing.
func TestClientCAReloads(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	overwrite(t, file, first.pem())
	for _, paths := range []string{clientPathsMetrics, clientPathsAll} {
		overwrite(t, file, first.pem())
		o := newOuter(t, func(c *Config) { c.TLS = TLSConfig{ClientCA: file, ClientPaths: paths} })
		resumes := func(c *tls.Config) { c.ClientSessionCache = tls.NewLRUClientSessionCache(4) }
		ofFirst := o.withCertificate(first.client(x509.ExtKeyUsageClientAuth, time.Hour), resumes)
		live := o.withCertificate(first.client(x509.ExtKeyUsageClientAuth, time.Hour), nil)
		ofSecond := o.withCertificate(second.client(x509.ExtKeyUsageClientAuth, time.Hour), resumes)
		expect := func(when string, client *http.Client, want int, again bool) {
			t.Helper()
			status, text := o.status(client, "/metrics")
			if status != want {
				t.Errorf("%s, %s: %d %.100q, want %d", paths, when, status, text, want)
			}
			if again {
				client.CloseIdleConnections()
			}
		}
		expect("the first authority", ofFirst, 200, true)
		expect("on a connection that stays", live, 200, false)
		expect("one that is not in the file", ofSecond, 0, true)

		overwrite(t, file, first.pem()+second.pem())
		if err := o.https.clients.reload(); err != nil {
			t.Fatal(err)
		}
		expect("the first, beside a second", ofFirst, 200, true)
		expect("the second, once it is in the file", ofSecond, 200, true)

		for name, text := range map[string]string{"empty": "", "torn": second.pem()[:100], "a key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
			overwrite(t, file, text)
			if err := o.https.clients.reload(); err == nil {
				t.Errorf("%s is taken", name)
			}
			expect("the file is "+name, ofFirst, 200, true)
		}

		overwrite(t, file, second.pem())
		o.Reload()
		o.until("the file to be read", func() bool { return !o.https.clients.current.Load().raw[string(first.cert.Raw)] })
		expect("the second alone", ofSecond, 200, true)
		expect("on a connection of the first that stays", live, 403, false)
		expect("the first resumes", ofFirst, 0, true)
		o.shut()
	}
}
