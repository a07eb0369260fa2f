package merkle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// HashSize is the length of a Hash in bytes.
const HashSize = 32

// Hash is the hash of a leaf, of a node, or of a whole tree.
type Hash [HashSize]byte

// String returns h as 64 lower case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText returns what String returns.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads 64 hex digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*HashSize {
		return fmt.Errorf("read hash: %d characters, want %d hex digits", len(text), 2*HashSize)
	}
	var read Hash
	if _, err := hex.Decode(read[:], text); err != nil {
		return fmt.Errorf("read hash: %w", err)
	}
	*h = read
	return nil
}

// HashKind names the hash that a ledger's tree is built with. The zero value names none, and
// hashing with it panics: the kind of a ledger is read and checked before anything is hashed.
type HashKind uint8

// The kinds. The numbers are stored, so they never change.
const (
	Blake3 HashKind = 1
	SHA256 HashKind = 2
)

// String returns the name used in configuration, in origins and on the wire.
func (k HashKind) String() string {
	switch k {
	case Blake3:
		return "blake3"
	case SHA256:
		return "sha256"
	}
	return fmt.Sprintf("hash kind %d", uint8(k))
}

// ParseHashKind is the inverse of String for the kinds that exist.
func ParseHashKind(name string) (HashKind, error) {
	switch name {
	case "blake3":
		return Blake3, nil
	case "sha256":
		return SHA256, nil
	}
	return 0, fmt.Errorf("read hash kind: %q is neither blake3 nor sha256", name)
}

// Valid reports whether k is a kind that exists.
func (k HashKind) Valid() bool { return k == Blake3 || k == SHA256 }

// MarshalText returns the name of k.
func (k HashKind) MarshalText() ([]byte, error) {
	if !k.Valid() {
		return nil, fmt.Errorf("write hash kind: %d is not a kind", uint8(k))
	}
	return []byte(k.String()), nil
}

// UnmarshalText is ParseHashKind.
func (k *HashKind) UnmarshalText(text []byte) error {
	read, err := ParseHashKind(string(text))
	if err != nil {
		return err
	}
	*k = read
	return nil
}

// Leaf returns the hash of the leaf that holds record. It does not allocate for a record of up
// to MaxRecordSize bytes.
func (k HashKind) Leaf(record []byte) Hash {
	switch k {
	case Blake3:
		return blake3Leaf(record)
	case SHA256:
		return sha256Leaf(record)
	}
	panic("merkle: leaf: no such " + k.String())
}

// Node returns the hash of the node above left and right. It does not allocate.
func (k HashKind) Node(left, right *Hash) Hash {
	switch k {
	case Blake3:
		return blake3Node(left, right)
	case SHA256:
		return sha256Node(left, right)
	}
	panic("merkle: node: no such " + k.String())
}

// Empty returns the root of the tree without leaves, the hash of the empty string.
func (k HashKind) Empty() Hash {
	switch k {
	case Blake3:
		return blake3Empty()
	case SHA256:
		return sha256.Sum256(nil)
	}
	panic("merkle: empty tree: no such " + k.String())
}
