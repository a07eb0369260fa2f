package sidecar

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// certWitness remembers the certificates whose signer is not in their file, so that their signature cannot be
// checked: a line of hex digits for each, the SHA-256 of what was signed, that of the signature, and the
// beginning of the SHA-256 of both. A new certificate is new in both; where one alone has changed, bits have.
// A line that is damaged itself says nothing.
type certWitness struct{ path string } // empty: it remembers nothing

// seenFile is the witness of a home.
const seenFile = "tls.seen"

const (
	seenLineBytes = 2*sha256.Size + seenSumBytes
	seenSumBytes  = 8
	seenBytesMax  = 64 << 10
)

// check holds a pair against what was seen, and remembers it.
func (w certWitness) check(pair *tls.Certificate) error {
	if w.path == "" {
		return nil
	}
	chain, err := parseChain(pair)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(w.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var now bytes.Buffer
	for i, c := range chain {
		if !signedElsewhere(chain, i) {
			continue
		}
		line := seenLine(c)
		if err := w.compare(c, line, before); err != nil {
			return err
		}
		fmt.Fprintf(&now, "%x\n", line)
	}
	if bytes.Equal(before, now.Bytes()) || now.Len() > seenBytesMax {
		return nil
	}
	return writeFile(w.path, now.Bytes(), 0o600)
}

func seenLine(c *x509.Certificate) []byte {
	signed, signature := sha256.Sum256(c.RawTBSCertificate), sha256.Sum256(c.Signature)
	line := append(signed[:], signature[:]...)
	sum := sha256.Sum256(line)
	return append(line, sum[:seenSumBytes]...)
}

// compare looks for half of a certificate among the lines.
func (w certWitness) compare(c *x509.Certificate, line, before []byte) error {
	for text := range strings.Lines(string(before)) {
		seen, err := hex.DecodeString(strings.TrimSpace(text))
		if err != nil || len(seen) != seenLineBytes {
			continue
		}
		if sum := sha256.Sum256(seen[:2*sha256.Size]); !bytes.Equal(sum[:seenSumBytes], seen[2*sha256.Size:]) {
			continue
		}
		signed := bytes.Equal(seen[:sha256.Size], line[:sha256.Size])
		signature := bytes.Equal(seen[sha256.Size:2*sha256.Size], line[sha256.Size:2*sha256.Size])
		if signed != signature {
			return fmt.Errorf("the certificate of %q has changed under its signature, or its signature alone has, so it is damaged "+
				"(where that is meant, remove %s)", c.Subject.CommonName, w.path)
		}
	}
	return nil
}
