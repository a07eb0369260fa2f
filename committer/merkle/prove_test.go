package merkle

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// testProver returns a prover over leaves, with the tiles that a writer would have stored at
// the size stored, which may be any number of leaves behind.
func testProver(k HashKind, leaves []Hash, stored int) *Prover {
	f, tiles, store := NewFrontier(k), NewTiles(k), make(tileStore)
	tiles.AddAll(f.AppendBlocks(nil, leaves[:stored]))
	store.put(tiles.Take())
	return &Prover{Kind: k, Tile: store.read, Leaves: func(block uint64, width int) ([]Hash, error) {
		from := int(block) * BlockLeaves
		return leaves[from : from+width], nil
	}}
}

// logHasher gives the library's verifiers the hash of a ledger.
type logHasher struct{ HashKind }

func (h logHasher) EmptyRoot() []byte        { e := h.Empty(); return e[:] }
func (h logHasher) HashLeaf(r []byte) []byte { l := h.Leaf(r); return l[:] }
func (h logHasher) Size() int                { return HashSize }
func (h logHasher) HashChildren(l, r []byte) []byte {
	n := referenceNode(h.HashKind, Hash(l), Hash(r))
	return n[:]
}

func byteSlices(hashes []Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// TestInclusionOfAllPairs proves every leaf in every tree of up to 300 leaves, which has a
// block and its edge in it, and has the library verify each proof beside our verifier.
func TestInclusionOfAllPairs(t *testing.T) {
	leaves := testLeaves(SHA256, 300)
	p, roots := testProver(SHA256, leaves, len(leaves)), prefixRoots(SHA256, leaves)
	for size := 1; size <= len(leaves); size++ {
		root := roots[size]
		for index := range size {
			got, err := p.InclusionProof(uint64(size), uint64(index))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyInclusion(SHA256, leaves[index], uint64(index), uint64(size), got, root); err != nil {
				t.Fatal(err)
			}
			err = proof.VerifyInclusion(logHasher{SHA256}, uint64(index), uint64(size), leaves[index][:], byteSlices(got), root[:])
			if err != nil {
				t.Fatalf("the library refuses the proof of leaf %d in %d: %v", index, size, err)
			}
		}
	}
}

// TestConsistencyOfAllPairs does the same for every pair of sizes.
func TestConsistencyOfAllPairs(t *testing.T) {
	leaves := testLeaves(SHA256, 300)
	p, roots := testProver(SHA256, leaves, len(leaves)), prefixRoots(SHA256, leaves)
	for size2 := range len(leaves) + 1 {
		for size1 := range size2 + 1 {
			root1, root2 := roots[size1], roots[size2]
			got, err := p.ConsistencyProof(uint64(size1), uint64(size2))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(SHA256, uint64(size1), root1, uint64(size2), root2, got); err != nil {
				t.Fatal(err)
			}
			err = proof.VerifyConsistency(logHasher{SHA256}, uint64(size1), uint64(size2), byteSlices(got), root1[:], root2[:])
			if err != nil {
				t.Fatalf("the library refuses the proof of %d in %d: %v", size1, size2, err)
			}
		}
	}
}

// prefixRoots returns the roots at the sizes 0 … len(leaves), by the frontier, which other tests
// hold against the definition.
func prefixRoots(k HashKind, leaves []Hash) []Hash {
	f := NewFrontier(k)
	roots := []Hash{f.Root()}
	for _, leaf := range leaves {
		f.Add(leaf)
		roots = append(roots, f.Root())
	}
	return roots
}

// TestProofsAgainstTlog wants the very hashes that golang.org/x/mod/sumdb/tlog proves with.
func TestProofsAgainstTlog(t *testing.T) {
	leaves := testLeaves(SHA256, 66000)
	p := testProver(SHA256, leaves, len(leaves))
	var stored tlogHashes
	for n, leaf := range leaves {
		stored.add(t, n, leaf)
	}
	rapid.Check(t, func(t *rapid.T) {
		size := drawSize(t, "size", len(leaves))
		index := rapid.IntRange(0, size-1).Draw(t, "index")
		got, err := p.InclusionProof(uint64(size), uint64(index))
		if err != nil {
			t.Fatal(err)
		}
		want, err := tlog.ProveRecord(int64(size), int64(index), &stored)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(hashesOf(want)) {
			t.Fatalf("inclusion of %d in %d: %v, want %v", index, size, got, want)
		}
		got, err = p.ConsistencyProof(uint64(index+1), uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		wantTree, err := tlog.ProveTree(int64(size), int64(index+1), &stored)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(hashesOf(wantTree)) {
			t.Fatalf("consistency of %d with %d: %v, want %v", index+1, size, got, wantTree)
		}
	})
}

func hashesOf(in []tlog.Hash) []Hash {
	var out []Hash
	for _, h := range in {
		out = append(out, Hash(h))
	}
	return out
}

// drawSize draws sizes of 1 up to limit, half of them next to the edges of blocks and tiles.
func drawSize(t *rapid.T, label string, limit int) int {
	edge := rapid.Custom(func(t *rapid.T) int {
		base := rapid.SampledFrom([]int{1, 256, 512, 1024, 32768, 65280, 65536, 65792}).Draw(t, "edge")
		return min(max(base+rapid.IntRange(-2, 2).Draw(t, "offset"), 1), limit)
	})
	return rapid.OneOf(edge, rapid.IntRange(1, limit)).Draw(t, label)
}

// TestProofsWithTilesBehind wants the same proofs whatever part of the tiles is stored, for
// both hashes, and wants them to verify.
func TestProofsWithTilesBehind(t *testing.T) {
	const limit = 66000
	for _, k := range kinds {
		leaves := testLeaves(k, limit)
		whole := testProver(k, leaves, limit)
		rapid.Check(t, func(t *rapid.T) {
			size2 := drawSize(t, "size2", limit)
			size1 := drawSize(t, "size1", size2)
			index := rapid.IntRange(0, size2-1).Draw(t, "index")
			behind := testProver(k, leaves[:size2], rapid.IntRange(0, size2).Draw(t, "stored"))
			root1, root2 := mustRoot(t, behind, size1), mustRoot(t, whole, size2)

			inclusion, err := behind.InclusionProof(uint64(size2), uint64(index))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyInclusion(k, leaves[index], uint64(index), uint64(size2), inclusion, root2); err != nil {
				t.Fatal(err)
			}
			consistency, err := behind.ConsistencyProof(uint64(size1), uint64(size2))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(k, uint64(size1), root1, uint64(size2), root2, consistency); err != nil {
				t.Fatal(err)
			}
			err = errors.Join(
				proof.VerifyInclusion(logHasher{k}, uint64(index), uint64(size2), leaves[index][:], byteSlices(inclusion), root2[:]),
				proof.VerifyConsistency(logHasher{k}, uint64(size1), uint64(size2), byteSlices(consistency), root1[:], root2[:]))
			if err != nil {
				t.Fatalf("the library refuses a proof: %v", err)
			}
		})
	}
}

func mustRoot(t *rapid.T, p *Prover, size int) Hash {
	root, err := p.RootAt(uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestRootAtEverySize holds the prover's frontiers against those that grew leaf by leaf.
func TestRootAtEverySize(t *testing.T) {
	leaves := testLeaves(Blake3, 65536+600)
	p := testProver(Blake3, leaves, len(leaves))
	f := NewFrontier(Blake3)
	for n := range len(leaves) + 1 {
		if n <= 600 || n >= 65536-5 && n <= 65536+5 || n >= len(leaves)-90 {
			got, err := p.FrontierAt(uint64(n))
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got.Hashes()) != fmt.Sprint(f.Hashes()) || got.Root() != f.Root() || got.Size() != f.Size() {
				t.Fatalf("the frontier at size %d is another", n)
			}
		}
		if n < len(leaves) {
			f.Add(leaves[n])
		}
	}
}

func TestProverRefuses(t *testing.T) {
	leaves := testLeaves(SHA256, 1000)
	fault := errors.New("fault")
	for _, c := range []struct {
		name   string
		change func(p *Prover)
		prove  func(p *Prover) error
	}{
		{"a leaf outside the tree", nil, func(p *Prover) error { _, err := p.InclusionProof(10, 10); return err }},
		{"a leaf of the empty tree", nil, func(p *Prover) error { _, err := p.InclusionProof(0, 0); return err }},
		{"sizes in the wrong order", nil, func(p *Prover) error { _, err := p.ConsistencyProof(11, 10); return err }},
		{"a size above the bound", nil, func(p *Prover) error { _, err := p.RootAt(1 << 63); return err }},
		{"no kind", func(p *Prover) { p.Kind = 0 }, func(p *Prover) error { _, err := p.RootAt(1); return err }},
		{"leaves that cannot be read", func(p *Prover) {
			p.Leaves = func(uint64, int) ([]Hash, error) { return nil, fault }
		}, func(p *Prover) error { _, err := p.InclusionProof(1000, 1); return err }},
		{"too few leaves", func(p *Prover) {
			p.Leaves = func(_ uint64, width int) ([]Hash, error) { return leaves[:width-1], nil }
		}, func(p *Prover) error { _, err := p.ConsistencyProof(3, 1000); return err }},
		{"tiles that cannot be read", func(p *Prover) {
			p.Tile = func(uint8, uint64) ([]byte, error) { return nil, fault }
		}, func(p *Prover) error { _, err := p.RootAt(1000); return err }},
		{"a tile of half a hash", func(p *Prover) {
			p.Tile = func(uint8, uint64) ([]byte, error) { return make([]byte, 16), nil }
		}, func(p *Prover) error { _, err := p.ConsistencyProof(256, 1000); return err }},
	} {
		p := testProver(SHA256, leaves, len(leaves))
		if c.change != nil {
			c.change(p)
		}
		if err := c.prove(p); err == nil {
			t.Errorf("%s: proven", c.name)
		}
	}
}

// What is proven with its roots is what each is apart, and no block is read twice for it.
func TestProofsWithTheirRoots(t *testing.T) {
	leaves := testLeaves(Blake3, 3000)
	p := testProver(Blake3, leaves, 2048)
	read := p.Leaves
	times := map[uint64]int{}
	p.Leaves = func(block uint64, width int) ([]Hash, error) {
		times[block]++
		return read(block, width)
	}
	for _, size := range []uint64{1, 2, 255, 256, 257, 512, 1000, 2047, 2048, 2049, 2300, 3000} {
		want, err := testProver(Blake3, leaves, 2048).RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []uint64{1, 2, 100, 255, 256, 257, 700, 2047, 2048, 2290, 3000} {
			if at > size {
				break
			}
			proof, err := p.InclusionProof(size, at-1)
			if err != nil {
				t.Fatal(err)
			}
			consistency, err := p.ConsistencyProof(at, size)
			if err != nil {
				t.Fatal(err)
			}
			old, err := p.RootAt(at)
			if err != nil {
				t.Fatal(err)
			}
			clear(times)
			root, got, err := p.InclusionOf(size, at-1)
			if err != nil || root != want || !slices.Equal(got, proof) {
				t.Errorf("leaf %d in %d: root %x, proof %x (%v), want %x, %x", at-1, size, root, got, err, want, proof)
			}
			once(t, times, fmt.Sprintf("leaf %d in %d", at-1, size))
			old1, root, got, err := p.ConsistencyOf(at, size)
			if err != nil || old1 != old || root != want || !slices.Equal(got, consistency) {
				t.Errorf("%d with %d: roots %x, %x, proof %x (%v), want %x, %x, %x", at, size, old1, root, got, err, old, want, consistency)
			}
			once(t, times, fmt.Sprintf("%d with %d", at, size))
		}
	}
	if _, _, err := p.InclusionOf(10, 10); err == nil {
		t.Error("a leaf outside the tree was proven")
	}
	if _, _, _, err := p.ConsistencyOf(11, 10); err == nil {
		t.Error("a larger tree was proven to be older")
	}
}

func once(t *testing.T, times map[uint64]int, what string) {
	t.Helper()
	for block, n := range times {
		if n > 1 && block < 8 { // without tiles, beyond 2048, all of a subtree is read
			t.Errorf("%s: block %d is read %d times", what, block, n)
		}
	}
	clear(times)
}

// BenchmarkProof proves in a tree of a million leaves, from hashes in memory.
func BenchmarkProof(b *testing.B) {
	const size = 1_000_000
	for _, k := range kinds {
		leaves := testLeaves(k, size)
		p := testProver(k, leaves, size)
		b.Run(k.String()+"/inclusion", func(b *testing.B) {
			for i := uint64(0); b.Loop(); i++ {
				if _, err := p.InclusionProof(size, i*7919%size); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(k.String()+"/consistency", func(b *testing.B) {
			for i := uint64(0); b.Loop(); i++ {
				if _, err := p.ConsistencyProof(1+i*7919%size, size); err != nil {
					b.Fatal(err)
				}
			}
		})
		proof, err := p.InclusionProof(size, 77)
		if err != nil {
			b.Fatal(err)
		}
		root, err := p.RootAt(size)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(k.String()+"/verify", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := VerifyInclusion(k, leaves[77], 77, size, proof, root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
