package sidecar

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
)

// caBytesMax bounds the file of tls.client_ca.
const caBytesMax = 1 << 20

// clientCA says who has to show a certificate over HTTPS. The zero clientCA asks nobody.
type clientCA struct {
	pool *x509.CertPool // nil: nobody is asked
	all  bool           // for every path; otherwise for /metrics alone
}

// loadClientCA reads the certificates of those who sign client certificates.
func loadClientCA(c *TLSConfig) (clientCA, error) {
	if c.ClientCA == "" {
		return clientCA{}, nil
	}
	text, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return clientCA{}, fmt.Errorf("read tls.client_ca: %w", err)
	}
	pool := x509.NewCertPool()
	if len(text) > caBytesMax || !pool.AppendCertsFromPEM(text) {
		return clientCA{}, fmt.Errorf("read tls.client_ca: %s holds no certificate in PEM", c.ClientCA)
	}
	return clientCA{pool: pool, all: c.ClientPaths == clientPathsAll}, nil
}

// configure lets the handshake ask for a certificate. Where /roots is open to all, it has
// to let in who has none; one that is shown and does not hold ends it in any case.
func (c clientCA) configure(config *tls.Config) {
	if c.pool == nil {
		return
	}
	config.ClientCAs, config.ClientAuth = c.pool, tls.VerifyClientCertIfGiven
	if c.all {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
}

// admits reports whether a request may read a path. A session that is resumed has the
// certificate of the one that it resumes.
func (c clientCA) admits(r *http.Request, path string) bool {
	return c.pool == nil || path == "/roots" && !c.all || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}
