package merkle

import (
	"errors"
	"fmt"
)

// ErrProof is what the errors of VerifyInclusion and VerifyConsistency wrap: the proof does
// not show what it is said to show.
var ErrProof = errors.New("proof does not hold")

// VerifyInclusion checks that leaf is leaf number index of the tree of size leaves that has
// this root, by the algorithm of RFC 9162 §2.1.3.2.
func VerifyInclusion(k HashKind, leaf Hash, index, size uint64, proof []Hash, root Hash) error {
	if !k.Valid() {
		return fmt.Errorf("verify inclusion: no such %v: %w", k, ErrProof)
	}
	if index >= size {
		return fmt.Errorf("verify inclusion: leaf %d is not in a tree of %d: %w", index, size, ErrProof)
	}
	at, last := index, size-1
	computed := leaf
	for i := range proof {
		if last == 0 {
			return fmt.Errorf("verify inclusion of leaf %d in %d: %d hashes are too many: %w", index, size, len(proof), ErrProof)
		}
		if at&1 == 1 || at == last {
			computed = k.Node(&proof[i], &computed)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			computed = k.Node(&computed, &proof[i])
		}
		at, last = at>>1, last>>1
	}
	if last != 0 {
		return fmt.Errorf("verify inclusion of leaf %d in %d: %d hashes are too few: %w", index, size, len(proof), ErrProof)
	}
	if computed != root {
		return fmt.Errorf("verify inclusion of leaf %d in %d: it leads to another root: %w", index, size, ErrProof)
	}
	return nil
}

// VerifyConsistency checks that the tree of size1 leaves with root1 is a prefix of the tree of
// size2 leaves with root2, by the algorithm of RFC 9162 §2.1.4.2. The empty tree is a prefix
// of every tree: with size1 = 0 nothing is learnt about root2.
func VerifyConsistency(k HashKind, size1 uint64, root1 Hash, size2 uint64, root2 Hash, proof []Hash) error {
	fail := func(why string) error {
		return fmt.Errorf("verify consistency of %d with %d: %s: %w", size1, size2, why, ErrProof)
	}
	switch {
	case !k.Valid():
		return fail("no such " + k.String())
	case size1 > size2:
		return fail("the first size is larger")
	case size1 == 0 && root1 != k.Empty(), size2 == 0 && root2 != k.Empty():
		return fail("the root at size 0 is not that of the empty tree")
	case size1 == size2 && root1 != root2:
		return fail("two roots at one size")
	case size1 == 0 || size1 == size2:
		if len(proof) != 0 {
			return fail("there is nothing to prove, but the proof is not empty")
		}
		return nil
	}

	at, last := size1-1, size2-1
	for at&1 == 1 {
		at, last = at>>1, last>>1
	}
	// Where the old tree is one complete subtree, its root is the start and not in the proof.
	start := root1
	if size1&(size1-1) != 0 {
		if len(proof) == 0 {
			return fail("the proof is empty")
		}
		start, proof = proof[0], proof[1:]
	}
	computed1, computed2 := start, start
	for i := range proof {
		if last == 0 {
			return fail("too many hashes")
		}
		if at&1 == 1 || at == last {
			computed1 = k.Node(&proof[i], &computed1)
			computed2 = k.Node(&proof[i], &computed2)
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			computed2 = k.Node(&computed2, &proof[i])
		}
		at, last = at>>1, last>>1
	}
	switch {
	case last != 0:
		return fail("too few hashes")
	case computed1 != root1:
		return fail("it leads to another first root")
	case computed2 != root2:
		return fail("it leads to another second root")
	}
	return nil
}
