package merkle

import "crypto/sha256"

// The prefixes of RFC 9162 §2.1.1, which keep leaves and nodes apart.
const (
	sha256LeafPrefix = 0x00
	sha256NodePrefix = 0x01
)

// MaxRecordSize is the largest record in bytes: an entry of 2048 and its stamp of 24.
const MaxRecordSize = 2048 + 24

// smallRecordSize bounds the records that are hashed from the small buffer: clearing the
// large one costs more than the difference between most records' lengths.
const smallRecordSize = 383

// sha256Leaf is SHA-256(0x00 ‖ record). Sum256 wants its input in one piece, and a hash.Hash
// would be an allocation, so the record is copied behind its prefix, on the stack.
func sha256Leaf(record []byte) Hash {
	if len(record) <= smallRecordSize {
		var buf [1 + smallRecordSize]byte
		buf[0] = sha256LeafPrefix
		return sha256.Sum256(buf[:1+copy(buf[1:], record)])
	}
	return sha256LargeLeaf(record)
}

// sha256LargeLeaf is sha256Leaf with a frame that fits every record; what is longer than a
// record moves to the heap.
func sha256LargeLeaf(record []byte) Hash {
	var stack [1 + MaxRecordSize]byte
	stack[0] = sha256LeafPrefix
	return sha256.Sum256(append(stack[:1], record...))
}

// sha256Node is SHA-256(0x01 ‖ left ‖ right).
func sha256Node(left, right *Hash) Hash {
	var buf [1 + 2*HashSize]byte
	buf[0] = sha256NodePrefix
	copy(buf[1:], left[:])
	copy(buf[1+HashSize:], right[:])
	return sha256.Sum256(buf[:])
}
