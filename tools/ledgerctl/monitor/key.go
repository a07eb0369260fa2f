package monitor

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// Key verifies the checkpoints of a ledger in all its epochs: in each it has another log id and so
// another origin, and the same name, hash and key.
type Key struct {
	First  note.Verifier // that of the line; named by the origin of that epoch
	Name   string
	Hash   merkle.HashKind
	Public []byte // Ed25519
}

// ParseKey reads a verifier key, the line in HOME/node.vkey.
func ParseKey(line string) (k Key, err error) {
	if k.First, err = note.NewVerifier(line); err != nil {
		return Key{}, err
	}
	if k.Name, _, k.Hash, err = merkle.ParseOrigin(k.First.Name()); err != nil {
		return Key{}, err
	}
	parts := strings.SplitN(line, "+", 3) // name, hash, and base64, which may have a plus in it
	algorithmAndKey, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(parts) != 3 || len(algorithmAndKey) < 2 {
		return Key{}, errors.New("it is not a verifier key")
	}
	k.Public = algorithmAndKey[1:]
	return k, nil
}

// Open returns the checkpoint in a note that the ledger signed, in whatever epoch.
func (k *Key) Open(signed []byte) (merkle.Checkpoint, error) {
	line, _, _ := bytes.Cut(signed, []byte("\n"))
	verifier, err := k.Verifier(string(line))
	if err != nil {
		return merkle.Checkpoint{}, err
	}
	return merkle.OpenCheckpoint(signed, verifier)
}

// Verifier returns the verifier of an origin of this ledger. For an origin of another one it returns
// that of the first epoch, which says what is wrong with a note.
func (k *Key) Verifier(origin string) (note.Verifier, error) {
	if origin == k.First.Name() {
		return k.First, nil
	}
	name, _, kind, err := merkle.ParseOrigin(origin)
	if err != nil || name != k.Name || kind != k.Hash {
		return k.First, nil
	}
	epoch, err := merkle.NewVerifier(origin, k.Public)
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", origin, err)
	}
	return epoch, nil
}
