package merkle

import (
	"errors"
	"slices"
	"testing"
)

// mutations yields proofs that differ from this one: every bit flipped, every hash dropped,
// doubled and swapped with its neighbour, one added at either end.
func mutations(proof []Hash) func(yield func(string, []Hash) bool) {
	return func(yield func(string, []Hash) bool) {
		for i := range proof {
			for bit := range 8 * HashSize {
				mutant := slices.Clone(proof)
				mutant[i][bit/8] ^= 1 << (bit % 8)
				if !yield("a flipped bit", mutant) {
					return
				}
			}
			if !yield("a dropped hash", slices.Delete(slices.Clone(proof), i, i+1)) ||
				!yield("a doubled hash", slices.Insert(slices.Clone(proof), i, proof[i])) {
				return
			}
			if i > 0 {
				mutant := slices.Clone(proof)
				mutant[i-1], mutant[i] = mutant[i], mutant[i-1]
				if !yield("swapped hashes", mutant) {
					return
				}
			}
		}
		_ = yield("a hash added behind", append(slices.Clone(proof), Hash{})) &&
			yield("a hash added in front", append([]Hash{{}}, proof...))
	}
}

func TestMutatedInclusionIsRefused(t *testing.T) {
	for _, k := range kinds {
		leaves := testLeaves(k, 40)
		p := testProver(k, leaves, len(leaves))
		for _, c := range []struct{ size, index uint64 }{{1, 0}, {2, 1}, {3, 2}, {7, 6}, {8, 3}, {13, 12}, {33, 32}, {40, 5}} {
			proof, err := p.InclusionProof(c.size, c.index)
			if err != nil {
				t.Fatal(err)
			}
			root, err := p.RootAt(c.size)
			if err != nil {
				t.Fatal(err)
			}
			refused := func(why string, leaf Hash, index, size uint64, proof []Hash, root Hash) {
				if err := VerifyInclusion(k, leaf, index, size, proof, root); !errors.Is(err, ErrProof) {
					t.Errorf("%v: leaf %d in %d with %s: %v", k, c.index, c.size, why, err)
				}
			}
			leaf := leaves[c.index]
			for why, mutant := range mutations(proof) {
				refused(why, leaf, c.index, c.size, mutant, root)
			}
			for bit := range 8 * HashSize {
				flipped := Hash{}
				flipped[bit/8] = 1 << (bit % 8)
				refused("a bit flipped in the leaf", xor(leaf, flipped), c.index, c.size, proof, root)
				refused("a bit flipped in the root", leaf, c.index, c.size, proof, xor(root, flipped))
			}
			for index := range c.size + 2 {
				if index != c.index {
					refused("another index", leaf, index, c.size, proof, root)
				}
			}
			refused("no size", leaf, c.index, 0, proof, root)
		}
	}
}

func TestMutatedConsistencyIsRefused(t *testing.T) {
	for _, k := range kinds {
		leaves := testLeaves(k, 40)
		p := testProver(k, leaves, len(leaves))
		for _, c := range []struct{ size1, size2 uint64 }{{0, 0}, {0, 5}, {5, 5}, {1, 2}, {3, 7}, {4, 7}, {6, 8}, {13, 33}, {32, 33}, {31, 40}} {
			proof, err := p.ConsistencyProof(c.size1, c.size2)
			if err != nil {
				t.Fatal(err)
			}
			root1, err1 := p.RootAt(c.size1)
			root2, err2 := p.RootAt(c.size2)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			refused := func(why string, size1 uint64, root1 Hash, size2 uint64, root2 Hash, proof []Hash) {
				if err := VerifyConsistency(k, size1, root1, size2, root2, proof); !errors.Is(err, ErrProof) {
					t.Errorf("%v: %d with %d with %s: %v", k, c.size1, c.size2, why, err)
				}
			}
			for why, mutant := range mutations(proof) {
				refused(why, c.size1, root1, c.size2, root2, mutant)
			}
			for bit := range 8 * HashSize {
				flipped := Hash{}
				flipped[bit/8] = 1 << (bit % 8)
				refused("a bit flipped in the first root", c.size1, xor(root1, flipped), c.size2, root2, proof)
				// From the empty tree nothing is learnt about the second root.
				if c.size1 > 0 || c.size2 == 0 {
					refused("a bit flipped in the second root", c.size1, root1, c.size2, xor(root2, flipped), proof)
				}
			}
			refused("the sizes the other way round", c.size2+1, root2, c.size1, root1, proof)
		}
	}
}

func xor(a, b Hash) Hash {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

func TestVerifyRefusesUnknownKinds(t *testing.T) {
	for _, k := range []HashKind{0, 3, 255} {
		if err := VerifyInclusion(k, Hash{}, 0, 1, nil, Hash{}); !errors.Is(err, ErrProof) {
			t.Errorf("kind %d: inclusion: %v", uint8(k), err)
		}
		if err := VerifyConsistency(k, 1, Hash{}, 1, Hash{}, nil); !errors.Is(err, ErrProof) {
			t.Errorf("kind %d: consistency: %v", uint8(k), err)
		}
	}
}
