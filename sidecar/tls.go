package sidecar

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// certificatePoll is how often the certificate's files are looked at. Watching
	// them breaks when Kubernetes swaps the symbolic link above them.
	certificatePoll = 30 * time.Second
	// selfSignedFor is how long a certificate of our own making is valid. It is
	// trusted because its reader was handed it, not for its dates.
	selfSignedFor = 10 * 365 * 24 * time.Hour
	// selfSignedBefore is how long before it was made it is valid, for clocks that are behind.
	selfSignedBefore = time.Hour
	selfSignedName   = "ron-ledger"
)

// certificates holds the certificate that new TLS connections get. Where it comes
// from files, it is read again when they change; a pair that cannot be read or does
// not fit leaves the one before in place.
type certificates struct {
	current           atomic.Pointer[tls.Certificate]
	certFile, keyFile string // empty: the certificate never changes
	seen              certWitness
	certPEM, keyPEM   []byte // what current was read from
	nudge             chan struct{}
	log               *zap.Logger
}

func newCertificates(identity *Identity, log *zap.Logger) *certificates {
	c := &certificates{certFile: identity.certFile, keyFile: identity.keyFile, seen: identity.seen, nudge: make(chan struct{}, 1), log: log}
	c.current.Store(&identity.Certificate)
	return c
}

// config is TLS 1.3 and nothing else: Go then chooses among its three suites, and
// resumption works with tickets.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// notAfter is when the certificate ends.
func (c *certificates) notAfter() time.Time {
	if leaf := c.current.Load().Leaf; leaf != nil {
		return leaf.NotAfter
	}
	return time.Time{}
}

// watch reloads the pair every interval, and when Reload asks for it, until ctx ends.
func (c *certificates) watch(ctx context.Context, interval time.Duration) {
	if c.certFile == "" {
		return
	}
	poll(ctx, interval, c.nudge, func() {
		if err := c.reload(); err != nil {
			c.log.Warn("the certificate was not replaced: the one before stays", zap.Error(err))
		}
	})
}

// reload reads the pair again. It changes nothing on error.
func (c *certificates) reload() error {
	certPEM, keyPEM, err := readPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	if bytes.Equal(certPEM, c.certPEM) && bytes.Equal(keyPEM, c.keyPEM) {
		return nil
	}
	pair, err := checkedPair(certPEM, keyPEM)
	if err == nil {
		err = c.seen.check(&pair)
	}
	if err != nil {
		return fmt.Errorf("read certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	first := c.certPEM == nil && bytes.Equal(pair.Certificate[0], c.current.Load().Certificate[0])
	c.certPEM, c.keyPEM = certPEM, keyPEM
	if first {
		return nil // what the start has read
	}
	c.current.Store(&pair)
	c.log.Info("the certificate was replaced", zap.Time("not_after", pair.Leaf.NotAfter))
	return nil
}

// readPair reads a certificate and its key. A mounted secret may be a symbolic
// link, and its group may read it; others may not.
func readPair(certFile, keyFile string) (certPEM, keyPEM []byte, err error) {
	if certPEM, err = os.ReadFile(certFile); err != nil {
		return nil, nil, fmt.Errorf("read the certificate: %w", err)
	}
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read the key of the certificate: %w", err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return nil, nil, fmt.Errorf("read the key of the certificate: mode %04o of %s lets others in: chmod 0600 %q", info.Mode().Perm(), keyFile, keyFile)
	}
	if keyPEM, err = os.ReadFile(keyFile); err != nil {
		return nil, nil, fmt.Errorf("read the key of the certificate: %w", err)
	}
	return certPEM, keyPEM, nil
}

// loadCertificate reads a pair for the first time.
func loadCertificate(certFile, keyFile string, seen certWitness) (tls.Certificate, error) {
	certPEM, keyPEM, err := readPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := checkedPair(certPEM, keyPEM)
	if err == nil {
		err = seen.check(&pair)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read certificate %s with key %s: %w: restore both from where they were made, "+
			"or, in the home, remove both for new ones, which readers then have to be handed", certFile, keyFile, err)
	}
	return pair, nil
}

// checkedPair decodes a certificate with its key, which have to fit, and checks what signatures can be
// checked here: those that the file has the signer of, and that of a certificate of our own making; certWitness
// sees to the others. What fails was damaged, and no reader would take it.
func checkedPair(certPEM, keyPEM []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	chain, err := parseChain(&pair)
	if err != nil {
		return tls.Certificate{}, err
	}
	for i, c := range chain {
		signer := c
		if signedByNext(chain, i) {
			signer = chain[i+1]
		}
		if signedElsewhere(chain, i) {
			continue // its signer is elsewhere
		}
		if err := signer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
			return tls.Certificate{}, fmt.Errorf("the signature on the certificate of %q is not right, so it is damaged: %w", c.Subject.CommonName, err)
		}
	}
	return pair, nil
}

// parseChain returns the certificates of a pair, the leaf first.
func parseChain(pair *tls.Certificate) (chain []*x509.Certificate, err error) {
	chain = make([]*x509.Certificate, len(pair.Certificate))
	for i, der := range pair.Certificate {
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

func signedByNext(chain []*x509.Certificate, i int) bool {
	return i+1 < len(chain) && bytes.Equal(chain[i].RawIssuer, chain[i+1].RawSubject)
}

// signedElsewhere reports whether the signer of a certificate is not in its chain.
func signedElsewhere(chain []*x509.Certificate, i int) bool {
	c := chain[i]
	return !signedByNext(chain, i) && !bytes.Equal(c.RawIssuer, c.RawSubject) && !ourOwn(c)
}

// ourOwn tells a certificate of selfSigned by any two of three marks, one of which may be damaged.
func ourOwn(c *x509.Certificate) bool {
	marks := 0
	for _, has := range []bool{
		c.Subject.CommonName == selfSignedName, c.Issuer.CommonName == selfSignedName,
		c.NotAfter.Sub(c.NotBefore) == selfSignedFor+selfSignedBefore,
	} {
		if has {
			marks++
		}
	}
	return marks > 1
}

// selfSigned makes a certificate and its key, both PEM, for localhost, the two
// loopback addresses and host.
func selfSigned(host string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: selfSignedName},
		NotBefore: now.Add(-selfSignedBefore), NotAfter: now.Add(selfSignedFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	switch ip := net.ParseIP(host); {
	case host == "" || host == "localhost":
	case ip == nil:
		template.DNSNames = append(template.DNSNames, host)
	case !ip.IsUnspecified() && !ip.IsLoopback():
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}
