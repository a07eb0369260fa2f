package sidecar

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// newNodeKey makes an Ed25519 key as PEM, PKCS #8.
func newNodeKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make node key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseNodeKey reads what newNodeKey writes. Its errors do not quote the file.
func parseNodeKey(text []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, errors.New("read node.key: it is not one PEM block PRIVATE KEY: the file is damaged, restore it from a backup")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("read node.key: it does not decode: the file is damaged, restore it from a backup")
	}
	node, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("read node.key: it is not an Ed25519 key: restore it from a backup")
	}
	return node, nil
}

// tellVerifyKey writes the key for remote readers. A verifier key of the home that belongs to another node
// key is an error: every byte of node.key may rot into another valid key, and what that one signs nobody
// could check. A verifier key carries a hash of itself, so one that cannot be read is damaged, is nobody's
// evidence, and is written again. Another name on the same key is another name, or another epoch.
func (h *home) tellVerifyKey(line string) error {
	path := h.path(vkeyFile)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the verifier key: %w", err)
	}
	if string(before) == line+"\n" {
		return nil
	}
	known := strings.TrimSpace(string(before))
	if _, err := note.NewVerifier(known); err == nil && keyIn(known) != keyIn(line) {
		return fmt.Errorf("load keys: %s is not the key that %s names, by which readers check this ledger: it is damaged or another's. "+
			"Restore it from a backup; where another key is meant, remove %s and %s, and tell the readers the new verifier key",
			h.path(nodeKeyFile), path, vkeyFile, stableFile)
	}
	return writeFile(path, []byte(line+"\n"), 0o644)
}

// keyIn is the key of a verifier key, name+hash+key.
func keyIn(line string) string {
	_, behind, _ := strings.Cut(line, "+")
	_, key, _ := strings.Cut(behind, "+")
	return key
}
