package merkle

import (
	"encoding/binary"
	"math/bits"

	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

// The contexts of derive_key keep leaves and nodes apart, in the place of the prefix bytes of
// RFC 9162, and leave a node its single block.
const (
	leafContext = "ron-ledger v1 leaf"
	nodeContext = "ron-ledger v1 node"
)

// The key of a context does not depend on what is hashed, so it is made once.
var (
	leafKey = contextKey(leafContext)
	nodeKey = contextKey(nodeContext)
)

// contextKey is the first half of derive_key, BLAKE3 §2.3: the hash of context in the mode
// DERIVE_KEY_CONTEXT. A context has at most one block.
func contextKey(context string) [8]uint32 {
	var block [guts.BlockSize]byte
	if copy(block[:], context) != len(context) {
		panic("merkle: context longer than a block: " + context)
	}
	out := guts.CompressNode(guts.Node{
		CV:       guts.IV,
		Block:    guts.BytesToWords(block),
		BlockLen: uint32(len(context)),
		Flags:    guts.FlagDeriveKeyContext | guts.FlagChunkStart | guts.FlagChunkEnd | guts.FlagRoot,
	})
	return [8]uint32(out[:8])
}

// blake3Leaf is derive_key(leafContext, record).
func blake3Leaf(record []byte) Hash {
	node := blake3Subtree(record, 0)
	node.Flags |= guts.FlagRoot
	out := guts.CompressNode(node)
	return hashOfWords(&out)
}

// blake3Subtree returns the last node over data, whose first chunk is chunk number counter of
// the record: BLAKE3 §2.1. A record has at most three chunks of 1024 bytes, too few for the
// goroutines that blake3.Hasher starts and for the lanes of guts.CompressBuffer.
func blake3Subtree(data []byte, counter uint64) guts.Node {
	if len(data) <= guts.ChunkSize {
		return guts.CompressChunk(data, &leafKey, counter, guts.FlagDeriveKeyMaterial)
	}
	leftChunks := 1 << (bits.Len(uint(len(data)-1)/guts.ChunkSize) - 1)
	split := leftChunks * guts.ChunkSize
	return guts.ParentNode(
		guts.ChainingValue(blake3Subtree(data[:split], counter)),
		guts.ChainingValue(blake3Subtree(data[split:], counter+uint64(leftChunks))),
		&leafKey, guts.FlagDeriveKeyMaterial)
}

// blake3Node is derive_key(nodeContext, left ‖ right): one block, which is the first, the last
// and the root at once.
func blake3Node(left, right *Hash) Hash {
	node := guts.Node{
		CV:       nodeKey,
		BlockLen: guts.BlockSize,
		Flags:    guts.FlagDeriveKeyMaterial | guts.FlagChunkStart | guts.FlagChunkEnd | guts.FlagRoot,
	}
	for i := range 8 {
		node.Block[i] = binary.LittleEndian.Uint32(left[4*i:])
		node.Block[8+i] = binary.LittleEndian.Uint32(right[4*i:])
	}
	out := guts.CompressNode(node)
	return hashOfWords(&out)
}

func hashOfWords(words *[16]uint32) (h Hash) {
	for i := range 8 {
		binary.LittleEndian.PutUint32(h[4*i:], words[i])
	}
	return h
}

func blake3Empty() Hash { return blake3.Sum256(nil) }
