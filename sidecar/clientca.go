package sidecar

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// caBytesMax bounds the file of tls.client_ca.
const caBytesMax = 1 << 20

// clientCA says who has to show a certificate over HTTPS, and who signs it. The file is
// read again when it changes; one that cannot be read leaves those before in force. The
// zero clientCA asks nobody.
type clientCA struct {
	file    string // empty: nobody is asked
	all     bool   // for every path; otherwise for /metrics alone
	current atomic.Pointer[authorities]
	nudge   chan struct{}
	log     *zap.Logger
}

// authorities are those who sign client certificates. They never change: a reload makes
// new ones.
type authorities struct {
	text []byte // what they were read from
	pool *x509.CertPool
	raw  map[string]bool // what is in the pool
}

// loadClientCA reads the file for the first time.
func loadClientCA(c *TLSConfig, log *zap.Logger) (*clientCA, error) {
	ca := &clientCA{file: c.ClientCA, all: c.ClientPaths == clientPathsAll, nudge: make(chan struct{}, 1), log: log}
	if ca.file == "" {
		return ca, nil
	}
	read, err := readAuthorities(ca.file)
	if err != nil {
		return nil, err
	}
	ca.current.Store(read)
	return ca, nil
}

func readAuthorities(file string) (*authorities, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read tls.client_ca: %w", err)
	}
	if len(text) > caBytesMax {
		return nil, fmt.Errorf("read tls.client_ca: %s is longer than %d bytes", file, caBytesMax)
	}
	read := &authorities{text: text, pool: x509.NewCertPool(), raw: map[string]bool{}}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("read tls.client_ca: %s holds a %s: it is for certificates alone", file, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read tls.client_ca: a certificate in %s: %w", file, err)
		}
		read.pool.AddCert(cert)
		read.raw[string(cert.Raw)] = true
	}
	if len(read.raw) == 0 {
		return nil, fmt.Errorf("read tls.client_ca: %s holds no certificate in PEM", file)
	}
	return read, nil
}

// configure lets the handshake ask for a certificate. Where /roots is open to all, it has
// to let in who has none; one that is shown and does not hold ends it in any case.
func (c *clientCA) configure(config *tls.Config) {
	if c.file == "" {
		return
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if c.all {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	each := config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := each.Clone()
		now.ClientCAs = c.current.Load().pool
		return now, nil
	}
}

// admits reports whether a request may read a path. A session that is resumed has the
// certificate of the one that it resumes. A connection that was made before an authority
// was taken out of the file is refused at its next request.
func (c *clientCA) admits(r *http.Request, path string) bool {
	if c.file == "" || path == "/roots" && !c.all {
		return true
	}
	now := c.current.Load()
	return r.TLS != nil && slices.ContainsFunc(r.TLS.VerifiedChains, func(chain []*x509.Certificate) bool {
		return len(chain) > 0 && now.raw[string(chain[len(chain)-1].Raw)]
	})
}

// watch reloads the file every interval, and when Reload asks for it, until ctx ends.
func (c *clientCA) watch(ctx context.Context, interval time.Duration) {
	if c.file == "" {
		return
	}
	poll(ctx, interval, c.nudge, func() {
		if err := c.reload(); err != nil {
			c.log.Warn("the authorities of client certificates were not replaced: those before stay", zap.Error(err))
		}
	})
}

// reload reads the file again. It changes nothing on error.
func (c *clientCA) reload() error {
	next, err := readAuthorities(c.file)
	if err != nil {
		return err
	}
	if !bytes.Equal(next.text, c.current.Load().text) {
		c.current.Store(next)
		c.log.Info("the authorities of client certificates were replaced", zap.Int("certificates", len(next.raw)))
	}
	return nil
}
