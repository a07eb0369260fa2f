package sidecar

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// secretBytesMax bounds a file with keys.
const secretBytesMax = 64 << 10

// identity loads the keys of the ledger with that log id, and makes what is
// missing and can be made: the token of this uid, the certificate, the verifier
// key. A file that others could read or change is an error with the command that
// helps.
func (h *home) identity(c *Config, logID [16]byte, hash merkle.HashKind) (*Identity, error) {
	id := new(Identity)
	var err error
	if h.durable {
		err = h.loadKeys(c, id)
	} else {
		err = id.makeKeys(c)
	}
	if err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	if err := h.loadRevocations(c, id); err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	origin := merkle.Origin(c.Name, logID, hash)
	if id.VerifyKey, err = merkle.VerifierKey(origin, id.NodeKey.Public().(ed25519.PublicKey)); err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	if id.signer, err = merkle.NewSigner(origin, id.NodeKey); err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	if err := h.token(c, id, logID); err != nil {
		return nil, fmt.Errorf("make the token of this uid: %w", err)
	}
	if h.durable {
		if err := h.tellVerifyKey(id.VerifyKey); err != nil {
			return nil, err
		}
	}
	return id, h.certificate(c, id)
}

// loadKeys reads what openHome has made or found.
func (h *home) loadKeys(c *Config, id *Identity) error {
	ring, err := LoadKeyring(c.inHome(c.Keys.Keyring, keyringFile))
	if err != nil {
		return err
	}
	text, err := peercred.ReadPrivate(h.path(nodeKeyFile), secretBytesMax)
	if err != nil {
		return missing(err, "restore it from a backup: with another one nobody can check that it is the same ledger")
	}
	id.Keyring = ring
	id.NodeKey, err = parseNodeKey(text)
	return err
}

// makeKeys makes the keys of a micronode in memory, but for a keyring that is
// configured.
func (id *Identity) makeKeys(c *Config) (err error) {
	if c.Keys.Keyring != "" {
		id.Keyring, err = LoadKeyring(c.Keys.Keyring)
	} else {
		id.Keyring, err = newKeyring()
	}
	if err != nil {
		return err
	}
	if _, id.NodeKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return fmt.Errorf("make node key: %w", err)
	}
	return nil
}

// missing adds advice to the error of a file that is not there.
func missing(err error, advice string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return err
}

const revocationsFile = "revocations"

func (h *home) loadRevocations(c *Config, id *Identity) error {
	path := c.Keys.Revocations
	if path == "" {
		path = h.path(revocationsFile)
		if _, err := os.Lstat(path); !h.durable || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	text, err := peercred.ReadPrivate(path, revocationBytesMax)
	if err != nil {
		return missing(err, "keys.revocations names it: make an empty one where nothing is revoked")
	}
	if id.Revocations, err = capability.ParseRevocations(text); err != nil {
		return fmt.Errorf("%s: %w: mend the line, or restore the file", path, err)
	}
	return nil
}

// token sees to it that this uid has a token for this log: in the home, or, where
// the keys live in memory, in the identity. A token in the home that is for this
// log is left as it is: somebody may have narrowed or revoked it on purpose.
func (h *home) token(c *Config, id *Identity, logID [16]byte) error {
	if !h.durable {
		if c.Keys.Keyring != "" {
			return nil
		}
		var err error
		id.OwnToken, err = mintOwn(id.Keyring, logID)
		return err
	}
	path := h.path(TokenFile)
	text, err := peercred.ReadPrivate(path, secretBytesMax)
	switch {
	case err == nil && isFor(text, logID):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, err := id.Keyring.Minting(); err != nil {
		return nil // a keyring that only verifies is a choice: tokens are made elsewhere
	}
	own, err := mintOwn(id.Keyring, logID)
	if err != nil {
		return err
	}
	return writeFile(path, []byte(own.Text()+"\n"), 0o600)
}

// isFor reports whether the token in a file is bound to that log.
func isFor(text []byte, logID [16]byte) bool {
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	token, err := capability.ParseToken(string(text))
	if err != nil {
		return false
	}
	info, err := capability.Inspect(token)
	return err == nil && slices.Contains(info.Caveats, capability.CaveatLog(logID))
}

// mintOwn makes the token of this uid: everything but to reverse.
func mintOwn(ring *capability.Keyring, logID [16]byte) (capability.Token, error) {
	key, err := ring.Minting()
	if err != nil {
		return capability.Token{}, err
	}
	ops, err1 := capability.CaveatOp(capability.OpAppend | capability.OpRead | capability.OpAdmin)
	kinds, err2 := capability.CaveatKind(uint8(wire.KindCredit), uint8(wire.KindDebit), uint8(wire.KindTransfer), uint8(wire.KindMint),
		uint8(wire.KindBurn), uint8(wire.KindHold), uint8(wire.KindRelease), uint8(wire.KindCapture))
	uid, err3 := capability.CaveatUID(uint32(os.Geteuid()))
	if err := errors.Join(err1, err2, err3); err != nil {
		return capability.Token{}, err
	}
	return capability.Mint(key, capability.CaveatLog(logID), ops, kinds, uid)
}

// certificate loads the configured pair, or the one in the home, or makes one.
func (h *home) certificate(c *Config, id *Identity) (err error) {
	id.certFile, id.keyFile = c.HTTPS.CertFile, c.HTTPS.KeyFile
	if id.certFile == "" {
		host, _, err := splitAddr(c.HTTPS.Addr)
		if err != nil {
			return err
		}
		if !h.durable {
			certPEM, keyPEM, err := selfSigned(host, time.Now())
			if err != nil {
				return err
			}
			id.Certificate, err = tls.X509KeyPair(certPEM, keyPEM)
			return err
		}
		id.certFile, id.keyFile = h.path(certFile), h.path(certKeyFile)
		if err := h.makeCertificate(host, id); err != nil {
			return err
		}
		if err := peercred.CheckPrivate(id.keyFile); err != nil {
			return fmt.Errorf("load certificate: %w", err)
		}
	}
	if h.durable {
		id.seen.path = h.path(seenFile)
	}
	id.Certificate, err = loadCertificate(id.certFile, id.keyFile, id.seen)
	return err
}

// makeCertificate makes the pair of the home where it is missing. The key comes
// first: a certificate whose key is missing was never served.
func (h *home) makeCertificate(host string, id *Identity) error {
	_, certErr := os.Lstat(id.certFile)
	if certErr == nil {
		return nil
	}
	certPEM, keyPEM, err := selfSigned(host, time.Now())
	if err != nil {
		return err
	}
	if err := writeFile(id.keyFile, keyPEM, 0o600); err != nil {
		return err
	}
	return writeFile(id.certFile, certPEM, 0o644)
}
