package fleet

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

const (
	leafMagic  = "ron-ledger fleet"
	leafFixed  = 108
	originsMax = 512
)

// Leaf is what a line says of one ledger.
type Leaf struct {
	merkle.Checkpoint
	Public ed25519.PublicKey
}

// Marshal returns the bytes of a leaf. Its origin has to be one that merkle.ParseOrigin accepts.
func (l *Leaf) Marshal() ([]byte, error) {
	_, id, hash, err := merkle.ParseOrigin(l.Origin)
	if err != nil {
		return nil, fmt.Errorf("write a leaf: %w", err)
	}
	if len(l.Public) != ed25519.PublicKeySize || l.Size > merkle.MaxSize {
		return nil, fmt.Errorf("write a leaf: a key of %d bytes, a tree of %d", len(l.Public), l.Size)
	}
	b := append(make([]byte, 0, leafFixed+len(l.Origin)), leafMagic...)
	b = append(b, id[:]...)
	b = append(b, l.Public...)
	b = binary.LittleEndian.AppendUint64(b, l.Size)
	b = append(b, l.Root[:]...)
	b = append(b, uint8(hash), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(l.Origin)))
	return append(b, l.Origin...), nil
}

// ParseLeaf is the inverse of Marshal: it accepts what that returns and nothing else.
func ParseLeaf(b []byte) (*Leaf, error) {
	if len(b) <= leafFixed || len(b) > leafFixed+originsMax {
		return nil, fmt.Errorf("read a leaf: %d bytes", len(b))
	}
	l := &Leaf{Public: bytes.Clone(b[32:64])}
	l.Origin, l.Size, l.Root = string(b[leafFixed:]), binary.LittleEndian.Uint64(b[64:]), merkle.Hash(b[72:])
	again, err := l.Marshal()
	if err != nil {
		return nil, fmt.Errorf("read a leaf: %w", err)
	}
	if !bytes.Equal(again, b) {
		return nil, errors.New("read a leaf: what it says twice differs, or it is not one")
	}
	return l, nil
}

// key verifies what the ledger signs, in whatever epoch.
func (l *Leaf) key() (*monitor.Key, error) {
	vkey, err := merkle.VerifierKey(l.Origin, l.Public)
	if err != nil {
		return nil, err
	}
	key, err := monitor.ParseKey(vkey)
	return &key, err
}

// compareLeaves orders leaves as they lie in the tree.
func compareLeaves(a, b *Leaf) int {
	_, idA, _, _ := merkle.ParseOrigin(a.Origin) // checked by Marshal
	_, idB, _, _ := merkle.ParseOrigin(b.Origin)
	return cmp.Or(bytes.Compare(idA[:], idB[:]), cmp.Compare(a.Origin, b.Origin), bytes.Compare(a.Public, b.Public))
}
