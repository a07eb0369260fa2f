package merkle

import (
	"fmt"
	"math/bits"
	"slices"
)

// Prover makes proofs and roots of any size that the log has had, from leaf hashes and tiles.
// It is as safe for concurrent use as its functions are.
type Prover struct {
	Kind HashKind

	// Leaves returns the hashes of the first width leaves of a block: the leaves
	// block·BlockLeaves … block·BlockLeaves+width-1, with width at most BlockLeaves.
	Leaves func(block uint64, width int) ([]Hash, error)

	// Tile returns the data of a tile, or the first nodes of it, or nothing. What is missing
	// is computed from the level below, down to the leaves: the proof is the same, and
	// slower.
	Tile func(level uint8, index uint64) ([]byte, error)
}

// InclusionProof returns the proof that leaf index is in the tree of the first size leaves:
// PATH(index, D[size]) of RFC 9162 §2.1.3.1, from the leaf's sibling upwards.
func (p *Prover) InclusionProof(size, index uint64) ([]Hash, error) {
	if index >= size {
		return nil, fmt.Errorf("prove inclusion: leaf %d is not in a tree of %d", index, size)
	}
	w, err := p.walk(size)
	if err != nil {
		return nil, fmt.Errorf("prove inclusion: %w", err)
	}
	return w.inclusion(index)
}

// InclusionOf returns that proof with the root of the tree, for less than both cost apart.
func (p *Prover) InclusionOf(size, index uint64) (root Hash, proof []Hash, err error) {
	if index >= size {
		return Hash{}, nil, fmt.Errorf("prove inclusion: leaf %d is not in a tree of %d", index, size)
	}
	w, err := p.walk(size)
	if err != nil {
		return Hash{}, nil, fmt.Errorf("prove inclusion: %w", err)
	}
	if proof, err = w.inclusion(index); err == nil {
		root, err = w.root(size)
	}
	return root, proof, err
}

func (w *walk) inclusion(index uint64) ([]Hash, error) {
	size := w.size
	var err error
	proof := make([]Hash, 0, bits.Len64(size))
	for from, n := uint64(0), size; n > 1; {
		var sibling Hash
		if left := largestBelow(n); index-from < left {
			sibling, err = w.subtree(from+left, n-left)
			n = left
		} else {
			sibling, err = w.subtree(from, left)
			from, n = from+left, n-left
		}
		if err != nil {
			return nil, fmt.Errorf("prove inclusion of leaf %d in %d: %w", index, size, err)
		}
		proof = append(proof, sibling)
	}
	slices.Reverse(proof)
	return proof, nil
}

// ConsistencyProof returns the proof that the tree of the first size1 leaves is a prefix of
// the one of size2: PROOF(size1, D[size2]) of RFC 9162 §2.1.4.1. It is empty where size1 is 0
// or equal to size2.
func (p *Prover) ConsistencyProof(size1, size2 uint64) ([]Hash, error) {
	if size1 > size2 {
		return nil, fmt.Errorf("prove consistency: size %d is after size %d", size1, size2)
	}
	w, err := p.walk(size2)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	return w.consistency(size1)
}

// ConsistencyOf returns that proof with the roots of both trees, for less than the three cost
// apart.
func (p *Prover) ConsistencyOf(size1, size2 uint64) (root1, root2 Hash, proof []Hash, err error) {
	if size1 > size2 {
		return root1, root2, nil, fmt.Errorf("prove consistency: size %d is after size %d", size1, size2)
	}
	w, err := p.walk(size2)
	if err != nil {
		return root1, root2, nil, fmt.Errorf("prove consistency: %w", err)
	}
	if proof, err = w.consistency(size1); err == nil {
		root1, err = w.root(size1)
	}
	if err == nil {
		root2, err = w.root(size2)
	}
	return root1, root2, proof, err
}

func (w *walk) consistency(size1 uint64) ([]Hash, error) {
	size2 := w.size
	if size1 == 0 || size1 == size2 {
		return nil, nil
	}
	var err error
	proof := make([]Hash, 0, bits.Len64(size2)+1)
	from, n := uint64(0), size2
	for from+n != size1 {
		var sibling Hash
		if left := largestBelow(n); size1-from <= left {
			sibling, err = w.subtree(from+left, n-left)
			n = left
		} else {
			sibling, err = w.subtree(from, left)
			from, n = from+left, n-left
		}
		if err != nil {
			return nil, fmt.Errorf("prove consistency of %d with %d: %w", size1, size2, err)
		}
		proof = append(proof, sibling)
	}
	// The verifier knows the last subtree already where it is the whole of the old tree.
	if from != 0 {
		last, err := w.subtree(from, n)
		if err != nil {
			return nil, fmt.Errorf("prove consistency of %d with %d: %w", size1, size2, err)
		}
		proof = append(proof, last)
	}
	slices.Reverse(proof)
	return proof, nil
}

// RootAt returns the root of the tree of the first size leaves.
func (p *Prover) RootAt(size uint64) (Hash, error) {
	f, err := p.FrontierAt(size)
	if err != nil {
		return Hash{}, err
	}
	return f.Root(), nil
}

// FrontierAt returns the frontier of the tree of the first size leaves.
func (p *Prover) FrontierAt(size uint64) (Frontier, error) {
	w, err := p.walk(size)
	if err != nil {
		return Frontier{}, fmt.Errorf("compute root: %w", err)
	}
	f, err := w.frontier(0, size)
	if err != nil {
		return Frontier{}, fmt.Errorf("compute root at size %d: %w", size, err)
	}
	return f, nil
}

// walk reads the tree of one size, and so those of all sizes before it, for one proof and its
// roots. What it has read it does not read again: that is the block at the end, the block of
// the leaf or of the old size, and a tile a level for each.
type walk struct {
	*Prover
	size   uint64
	tiles  map[tileKey][]Hash
	blocks [2]walkBlock
	next   int // of blocks, to be replaced
}

// walkBlock is a block that was read; leaves is nil where none was.
type walkBlock struct {
	index  uint64
	leaves []Hash
}

// root returns the root of the first size leaves, at most those of the walk.
func (w *walk) root(size uint64) (Hash, error) {
	f, err := w.frontier(0, size)
	if err != nil {
		return Hash{}, fmt.Errorf("compute root at size %d: %w", size, err)
	}
	return f.Root(), nil
}

type tileKey struct {
	level uint8
	index uint64
}

func (p *Prover) walk(size uint64) (*walk, error) {
	if !p.Kind.Valid() || size > MaxSize {
		return nil, fmt.Errorf("no tree of %d leaves with %v", size, p.Kind)
	}
	return &walk{Prover: p, size: size, tiles: make(map[tileKey][]Hash)}, nil
}

// subtree returns the root over the n leaves at from, which is a multiple of a power of two
// not below n.
func (w *walk) subtree(from, n uint64) (Hash, error) {
	f, err := w.frontier(from, n)
	if err != nil {
		return Hash{}, err
	}
	return f.Root(), nil
}

// frontier returns the frontier over the n leaves at from, aligned as for subtree.
func (w *walk) frontier(from, n uint64) (Frontier, error) {
	f := Frontier{kind: w.Kind, size: n}
	for level := range levelsOf(n) {
		node, err := w.node(level, from>>level)
		if err != nil {
			return Frontier{}, err
		}
		f.nodes[level] = node
		from += 1 << level
	}
	return f, nil
}

// node returns the complete subtree of 1<<level leaves at position: out of a block, out of the
// nearest tile at or below its level, or from its children where that tile is too short.
func (w *walk) node(level int, position uint64) (Hash, error) {
	if level < blockLevel {
		leaves, err := w.readBlock(position >> (blockLevel - level))
		if err != nil {
			return Hash{}, err
		}
		first := position << level % BlockLeaves
		return w.Kind.fold(leaves[first : first+1<<level]), nil
	}
	span := uint64(1) << (level % tileHeight)
	tile, err := w.readTile(uint8(level/tileHeight), position*span/TileWidth)
	if err != nil {
		return Hash{}, err
	}
	first := position * span % TileWidth
	if first+span <= uint64(len(tile)) {
		return w.Kind.fold(tile[first : first+span]), nil
	}
	if level == blockLevel {
		leaves, err := w.readBlock(position)
		if err != nil {
			return Hash{}, err
		}
		return w.Kind.fold(leaves), nil
	}
	left, err := w.node(level-1, 2*position)
	if err != nil {
		return Hash{}, err
	}
	right, err := w.node(level-1, 2*position+1)
	if err != nil {
		return Hash{}, err
	}
	return w.Kind.Node(&left, &right), nil
}

// readBlock returns the leaves that the tree has in block.
func (w *walk) readBlock(block uint64) ([]Hash, error) {
	for i := range w.blocks {
		if b := &w.blocks[i]; b.leaves != nil && b.index == block {
			return b.leaves, nil
		}
	}
	width := int(min(w.size-block*BlockLeaves, BlockLeaves))
	leaves, err := w.Leaves(block, width)
	if err != nil {
		return nil, fmt.Errorf("read leaves of block %d: %w", block, err)
	}
	if len(leaves) != width {
		return nil, fmt.Errorf("read leaves of block %d: got %d, want %d", block, len(leaves), width)
	}
	w.blocks[w.next] = walkBlock{block, leaves}
	w.next = 1 - w.next
	return leaves, nil
}

func (w *walk) readTile(level uint8, index uint64) ([]Hash, error) {
	key := tileKey{level, index}
	if nodes, ok := w.tiles[key]; ok {
		return nodes, nil
	}
	data, err := w.Tile(level, index)
	if err != nil {
		return nil, fmt.Errorf("read tile (%d,%d): %w", level, index, err)
	}
	nodes, err := tileNodes(data)
	if err != nil {
		return nil, fmt.Errorf("read tile (%d,%d): %w", level, index, err)
	}
	w.tiles[key] = nodes
	return nodes, nil
}

// largestBelow returns the largest power of two below n, which is at least 2.
func largestBelow(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }
