package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// permissions are all that a publisher needs: docs/DEPLOY.md has them.
var permissions = []string{subject, "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.LEDGER", "$JS.API.STREAM.MSG.GET.LEDGER"}

// TestSecured has the sidecar connect over TLS, with a client certificate and credentials that may do nothing but publish
// and ask where the stream is; and refuses a server that it is not told to trust.
func TestSecured(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue("server", x509.ExtKeyUsageServerAuth)
	ca.issue("client", x509.ExtKeyUsageClientAuth)
	newAuthority(t, filepath.Join(dir, "other"))
	a := newAccount(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	a.credentials("publisher", file("publisher.creds"), permissions)
	a.credentials("admin", file("admin.creds"), nil)
	s := startServer(t, a.config(), fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", file("server.crt"), file("server.key"), file("ca.crt")))
	s.options = []nats.Option{nats.UserCredentials(file("admin.creds")), nats.RootCAs(file("ca.crt")), nats.ClientCert(file("client.crt"), file("client.key"))}
	s.makeStream(subject)
	env := func(ca string) []string {
		return []string{
			"RON_LEDGER_STREAM_NATS_URL=" + strings.Replace(s.url(), "nats://", "tls://", 1), "RON_LEDGER_STREAM_NATS_CREDENTIALS=" + file("publisher.creds"), "RON_LEDGER_STREAM_NATS_CA_FILE=" + ca,
			"RON_LEDGER_STREAM_NATS_CERT_FILE=" + file("client.crt"), "RON_LEDGER_STREAM_NATS_KEY_FILE=" + file("client.key"),
		}
	}
	l := newLedger(t, s, env(file("ca.crt"))...)
	l.start()
	c := l.dial()
	if _, err := c.AppendRetry(t.Context(), batch(t, 5, 0)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	l.caughtUp()
	l.agrees(s.messages(subject))
	said, err := os.ReadFile(l.log)
	if err != nil || strings.Contains(string(said), "SEED") || strings.Contains(string(said), "eyJ") {
		t.Errorf("the log tells a secret: %v\n%s", err, said)
	}

	distrustful := newLedger(t, s, env(filepath.Join(dir, "other", "ca.crt"))...)
	distrustful.start()
	c = distrustful.dial()
	defer func() { _ = c.Close() }()
	until(t, "the server to be refused", func() bool { return strings.Contains(distrustful.status(c).Stream.Error, "certificate") })
}

// account is one of a NATS operator of our own.
type account struct {
	t                      *testing.T
	operator, key          nkeys.KeyPair
	operatorJWT, jwt, name string
	system, systemJWT      string // a server with an operator wants an account of its own
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{t: t}
	var err1, err2 error
	a.operator, err1 = nkeys.CreateOperator()
	a.key, err2 = nkeys.CreateAccount()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	operatorID, _ := a.operator.PublicKey()
	a.name, _ = a.key.PublicKey()
	system, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	a.system, _ = system.PublicKey()
	if a.systemJWT, err = jwt.NewAccountClaims(a.system).Encode(a.operator); err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewAccountClaims(a.name)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	a.operatorJWT, err1 = jwt.NewOperatorClaims(operatorID).Encode(a.operator)
	a.jwt, err2 = claims.Encode(a.operator)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return a
}

func (a *account) config() string {
	return fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %[2]s: %[5]s }", a.operatorJWT, a.system, a.name, a.jwt, a.systemJWT)
}

// credentials writes those of a user who may publish to some subjects, or do everything.
func (a *account) credentials(name, path string, publish []string) {
	a.t.Helper()
	user, err := nkeys.CreateUser()
	if err != nil {
		a.t.Fatal(err)
	}
	id, _ := user.PublicKey()
	claims := jwt.NewUserClaims(id)
	claims.Name = name
	if publish != nil {
		claims.Permissions.Pub.Allow, claims.Permissions.Sub.Allow = publish, jwt.StringList{"_INBOX.>"}
	}
	token, err := claims.Encode(a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	seed, _ := user.Seed()
	text, err := jwt.FormatUserConfig(token, seed)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// authority issues certificates into a folder.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, dir: dir}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.sign(template, "ca")
	return a
}

func (a *authority) issue(name string, usage x509.ExtKeyUsage) {
	a.t.Helper()
	a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}, name)
}

// sign writes NAME.crt and NAME.key.
func (a *authority) sign(template *x509.Certificate, name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(a.dir, path), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}
