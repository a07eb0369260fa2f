package merkle

import (
	"fmt"
	"iter"
	"math/bits"
)

// MaxSize is the largest number of leaves that a tree can have. It is the bound of an int64,
// so that every other tool can read the size.
const MaxSize = 1<<63 - 1

// A block is the subtree of BlockLeaves leaves under one node of tree level blockLevel.
const (
	BlockLeaves = 1 << blockLevel
	blockLevel  = 8
)

// Frontier is the right edge of a tree: the hashes of the complete subtrees that its leaves
// make up, one for each bit of its size, which is all that is needed to add leaves and to
// compute the root. It holds no pointers: a copy is a snapshot.
//
// The zero value has no hash kind; NewFrontier and RestoreFrontier make usable ones.
type Frontier struct {
	kind HashKind
	size uint64
	// nodes[l] is the root of the complete subtree of 1<<l leaves that the tree of this size
	// has, and without meaning where bit l of size is zero.
	nodes [63]Hash
}

// NewFrontier returns the frontier of the empty tree.
func NewFrontier(k HashKind) Frontier { return Frontier{kind: k} }

// RestoreFrontier returns the frontier of a tree of size leaves from what Hashes returned. It
// fails where the kind does not exist, the size is above MaxSize, or the number of hashes is
// not that of the bits set in size. Whether the hashes are the right ones only the root tells.
func RestoreFrontier(k HashKind, size uint64, hashes []Hash) (Frontier, error) {
	if !k.Valid() {
		return Frontier{}, fmt.Errorf("restore frontier: no such %v", k)
	}
	if size > MaxSize {
		return Frontier{}, fmt.Errorf("restore frontier: size %d is above %d", size, uint64(MaxSize))
	}
	if want := bits.OnesCount64(size); len(hashes) != want {
		return Frontier{}, fmt.Errorf("restore frontier: %d hashes for size %d, want %d", len(hashes), size, want)
	}
	f := Frontier{kind: k, size: size}
	for level := range levelsOf(size) {
		f.nodes[level] = hashes[0]
		hashes = hashes[1:]
	}
	return f, nil
}

// levelsOf yields the levels of the complete subtrees of a tree of size leaves, largest first.
func levelsOf(size uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for rest := size; rest != 0; {
			level := bits.Len64(rest) - 1
			if !yield(level) {
				return
			}
			rest &^= 1 << level
		}
	}
}

// Kind returns the hash of the tree.
func (f *Frontier) Kind() HashKind { return f.kind }

// Size returns the number of leaves.
func (f *Frontier) Size() uint64 { return f.size }

// Hashes returns the hashes of the complete subtrees, largest first, for RestoreFrontier.
func (f *Frontier) Hashes() []Hash {
	hashes := make([]Hash, 0, bits.OnesCount64(f.size))
	for level := range levelsOf(f.size) {
		hashes = append(hashes, f.nodes[level])
	}
	return hashes
}

// Add adds one leaf. It does not allocate.
func (f *Frontier) Add(leaf Hash) {
	f.carry(leaf, 0)
	f.size++
}

// AddAll adds leaves in order. It does not allocate.
func (f *Frontier) AddAll(leaves []Hash) {
	for len(leaves) > 0 {
		leaves, _, _ = f.addInBlock(leaves)
	}
}

// AppendBlocks adds leaves in order, appends to blocks the root of each block that they
// complete, and returns the extended slice: what Tiles takes. It does not allocate where
// blocks has room for len(leaves)/BlockLeaves+1 more.
func (f *Frontier) AppendBlocks(blocks, leaves []Hash) []Hash {
	for len(leaves) > 0 {
		var root Hash
		var complete bool
		if leaves, root, complete = f.addInBlock(leaves); complete {
			blocks = append(blocks, root)
		}
	}
	return blocks
}

// addInBlock adds the first of leaves, up to the end of the block, and returns the others. Where that
// completes the block it says so and returns its root. It goes up level by level, so that the nodes of one
// are made side by side.
func (f *Frontier) addInBlock(leaves []Hash) (others []Hash, root Hash, complete bool) {
	n := min(len(leaves), int(BlockLeaves-f.size%BlockLeaves))
	if f.size > MaxSize-uint64(n) {
		panic("merkle: add leaf: the tree is full")
	}
	var made [BlockLeaves / 2]Hash
	row, others := leaves[:n], leaves[n:]
	for level := 0; len(row) > 0; level++ {
		if level == blockLevel {
			f.size += uint64(n - 1)
			f.carry(row[0], blockLevel)
			f.size++
			return others, row[0], true
		}
		above := made[:0]
		if f.size>>level&1 == 1 { // a left sibling waits
			above = append(above, f.kind.Node(&f.nodes[level], &row[0]))
			row = row[1:]
		}
		if odd := len(row) % 2; odd == 1 {
			f.nodes[level] = row[len(row)-1]
			row = row[:len(row)-1]
		}
		first := len(above)
		above = above[:first+len(row)/2]
		f.kind.nodes(above[first:], row)
		row = above
	}
	f.size += uint64(n)
	return others, root, false
}

// carry sets h as the newest complete subtree of 1<<level leaves, joined with those of its own
// size as binary addition joins ones. The bits of size below level must be set; the caller
// counts the leaves.
func (f *Frontier) carry(h Hash, level int) {
	if f.size >= MaxSize {
		panic("merkle: add leaf: the tree is full")
	}
	for f.size>>level&1 == 1 {
		h = f.kind.Node(&f.nodes[level], &h)
		level++
	}
	f.nodes[level] = h
}

// Root returns the root of the tree, MTH of RFC 9162 §2.1.1: from the smallest complete subtree
// upwards, each is the right child of the node that joins it with the next larger one. It
// does not allocate.
func (f *Frontier) Root() Hash {
	if f.size == 0 {
		return f.kind.Empty()
	}
	level := bits.TrailingZeros64(f.size)
	root := f.nodes[level]
	for level++; f.size>>level != 0; level++ {
		if f.size>>level&1 == 1 {
			root = f.kind.Node(&f.nodes[level], &root)
		}
	}
	return root
}
