package fleet

import (
	"fmt"
	"slices"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// Tree is the tree of roots of one line: its leaves, in their order.
type Tree struct {
	Hash   merkle.HashKind
	Leaves []*Leaf
	hashes []merkle.Hash
}

// NewTree makes the tree over leaves in any order. It fails where two are of one log under one key.
func NewTree(hash merkle.HashKind, leaves []*Leaf) (*Tree, error) {
	t := &Tree{Hash: hash, Leaves: slices.Clone(leaves)}
	for _, leaf := range t.Leaves {
		b, err := leaf.Marshal()
		if err != nil {
			return nil, err
		}
		t.hashes = append(t.hashes, hash.Leaf(b))
	}
	order := make([]int, len(leaves))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareLeaves(leaves[a], leaves[b]) })
	hashes := t.hashes
	t.hashes = make([]merkle.Hash, len(hashes))
	for at, from := range order {
		t.Leaves[at], t.hashes[at] = leaves[from], hashes[from]
		if at > 0 && compareLeaves(t.Leaves[at-1], t.Leaves[at]) == 0 {
			return nil, fmt.Errorf("make the tree of roots: %s is in it twice", t.Leaves[at].Origin)
		}
	}
	return t, nil
}

func (t *Tree) prover() *merkle.Prover {
	return &merkle.Prover{
		Kind: t.Hash,
		Leaves: func(block uint64, width int) ([]merkle.Hash, error) {
			return t.hashes[block*merkle.BlockLeaves:][:width], nil
		},
		Tile: func(uint8, uint64) ([]byte, error) { return nil, nil },
	}
}

// Root returns the root of the tree.
func (t *Tree) Root() (merkle.Hash, error) { return t.prover().RootAt(uint64(len(t.Leaves))) }

// Path returns the proof that a leaf is in the tree.
func (t *Tree) Path(index uint64) ([]merkle.Hash, error) {
	return t.prover().InclusionProof(uint64(len(t.Leaves)), index)
}
