package merkle

import (
	"crypto/ed25519"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// VerifierKey returns the line that lets others verify the checkpoints of origin: the vkey of
// C2SP signed-note, which note.NewVerifier reads.
func VerifierKey(origin string, key ed25519.PublicKey) (string, error) {
	if err := checkOrigin(origin); err != nil {
		return "", fmt.Errorf("write verifier key: %w", err)
	}
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return "", fmt.Errorf("write verifier key: %w", err)
	}
	return vkey, nil
}

// NewVerifier returns the verifier of the checkpoints of origin.
func NewVerifier(origin string, key ed25519.PublicKey) (note.Verifier, error) {
	vkey, err := VerifierKey(origin, key)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("make verifier: %w", err)
	}
	return verifier, nil
}

// NewSigner returns the signer of the checkpoints of origin.
func NewSigner(origin string, key ed25519.PrivateKey) (note.Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("make signer: a private key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	verifier, err := NewVerifier(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	return &signer{name: origin, keyHash: verifier.KeyHash(), sign: func(message []byte) []byte {
		return ed25519.Sign(key, message)
	}}, nil
}

// signer is a note.Signer for a key that has never been text. The key is in the closure and
// not in a field, where printing the signer would print it.
type signer struct {
	name    string
	keyHash uint32
	sign    func(message []byte) []byte
}

func (s *signer) Name() string                        { return s.name }
func (s *signer) KeyHash() uint32                     { return s.keyHash }
func (s *signer) Sign(message []byte) ([]byte, error) { return s.sign(message), nil }
