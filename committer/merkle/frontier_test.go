package merkle

import (
	"math/bits"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// testLeaves returns n leaf hashes, each of its own.
func testLeaves(k HashKind, n int) []Hash {
	leaves := make([]Hash, n)
	for i := range leaves {
		leaves[i] = k.Leaf([]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)})
	}
	return leaves
}

// referenceRoot is MTH of RFC 9162 §2.1.1, word for word.
func referenceRoot(k HashKind, leaves []Hash) Hash {
	switch n := len(leaves); n {
	case 0:
		return k.Empty()
	case 1:
		return leaves[0]
	default:
		split := 1 << (bits.Len(uint(n-1)) - 1)
		return referenceNode(k, referenceRoot(k, leaves[:split]), referenceRoot(k, leaves[split:]))
	}
}

func TestFrontierRootOfEverySize(t *testing.T) {
	for _, k := range kinds {
		leaves := testLeaves(k, 600)
		f := NewFrontier(k)
		for n := range len(leaves) + 1 {
			if f.Size() != uint64(n) || f.Kind() != k {
				t.Fatalf("%v: size %d, want %d", k, f.Size(), n)
			}
			if got, want := f.Root(), referenceRoot(k, leaves[:n]); got != want {
				t.Fatalf("%v: root at size %d is %v, want %v", k, n, got, want)
			}
			if n < len(leaves) {
				f.Add(leaves[n])
			}
		}
	}
}

// tlogHashes keeps the stored hashes of golang.org/x/mod/sumdb/tlog in memory.
type tlogHashes []tlog.Hash

func (s *tlogHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		hashes[i] = (*s)[x]
	}
	return hashes, nil
}

func (s *tlogHashes) add(t *testing.T, n int, leaf Hash) {
	t.Helper()
	stored, err := tlog.StoredHashesForRecordHash(int64(n), tlog.Hash(leaf), s)
	if err != nil {
		t.Fatal(err)
	}
	*s = append(*s, stored...)
}

// TestFrontierAgainstTlog goes over every size up to 600 and around 65536.
func TestFrontierAgainstTlog(t *testing.T) {
	leaves := testLeaves(SHA256, 65536+300)
	f := NewFrontier(SHA256)
	var stored tlogHashes
	for n, leaf := range leaves {
		f.Add(leaf)
		stored.add(t, n, leaf)
		if size := n + 1; size <= 600 || size >= 65536-300 {
			want, err := tlog.TreeHash(int64(size), &stored)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Root(); got != Hash(want) {
				t.Fatalf("root at size %d is %v, want %v", size, got, Hash(want))
			}
		}
	}
}

// TestFrontierInAnyBatching adds the same leaves in drawn steps by drawn means, with a restore
// between them, and wants the same frontier and the same blocks.
func TestFrontierInAnyBatching(t *testing.T) {
	leaves := testLeaves(Blake3, 1200)
	rapid.Check(t, func(t *rapid.T) {
		f, want := NewFrontier(Blake3), NewFrontier(Blake3)
		var blocks []Hash
		for from := 0; from < len(leaves); {
			n := rapid.IntRange(1, min(700, len(leaves)-from)).Draw(t, "batch")
			batch := leaves[from : from+n]
			from += n
			blocks = f.AppendBlocks(blocks, batch)
			for _, leaf := range batch {
				want.Add(leaf)
			}
			if f.Root() != want.Root() {
				t.Fatalf("root at size %d is %v, want %v", f.Size(), f.Root(), want.Root())
			}
			restored, err := RestoreFrontier(Blake3, f.Size(), f.Hashes())
			if err != nil {
				t.Fatal(err)
			}
			f = restored
		}
		for i, block := range blocks {
			if want := referenceRoot(Blake3, leaves[i*BlockLeaves:(i+1)*BlockLeaves]); block != want {
				t.Fatalf("block %d is %v, want %v", i, block, want)
			}
		}
		if len(blocks) != int(f.Size()/BlockLeaves) {
			t.Fatalf("%d blocks at size %d", len(blocks), f.Size())
		}
	})
}

func TestFrontierCopyIsASnapshot(t *testing.T) {
	leaves := testLeaves(SHA256, 100)
	f := NewFrontier(SHA256)
	f.AddAll(leaves[:63])
	snapshot, root := f, f.Root()
	f.AddAll(leaves[63:])
	if snapshot.Size() != 63 || snapshot.Root() != root {
		t.Fatalf("the copy changed with the original")
	}
}

func TestRestoreFrontierRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   HashKind
		size   uint64
		hashes int
	}{
		{"no kind", 0, 1, 1},
		{"unknown kind", 3, 1, 1},
		{"a hash too few", Blake3, 7, 2},
		{"a hash too many", Blake3, 7, 4},
		{"hashes of the empty tree", Blake3, 0, 1},
		{"a size above the bound", Blake3, 1 << 63, 1},
	} {
		if _, err := RestoreFrontier(c.kind, c.size, make([]Hash, c.hashes)); err == nil {
			t.Errorf("%s: restored", c.name)
		}
	}
	full, err := RestoreFrontier(Blake3, MaxSize, make([]Hash, 63))
	if err != nil {
		t.Fatal(err)
	}
	if !panics(func() { full.Add(Hash{}) }) {
		t.Error("a leaf was added to a full tree")
	}
}

func TestFrontierDoesNotAllocate(t *testing.T) {
	for _, k := range kinds {
		leaves := testLeaves(k, 1024)
		blocks := make([]Hash, 0, 8)
		f := NewFrontier(k)
		for name, step := range map[string]func(){
			"Add":          func() { f.Add(leaves[0]) },
			"AddAll":       func() { f.AddAll(leaves) },
			"AppendBlocks": func() { blocks = f.AppendBlocks(blocks[:0], leaves) },
			"Root":         func() { sink = f.Root() },
		} {
			if n := testing.AllocsPerRun(20, step); n != 0 {
				t.Errorf("%v: %s: %v allocations", k, name, n)
			}
		}
	}
}

func BenchmarkFrontierAdd(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.String(), func(b *testing.B) {
			leaves := testLeaves(k, 1024)
			f := NewFrontier(k)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.Add(leaves[i%len(leaves)])
			}
		})
	}
}

func BenchmarkFrontierRoot(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.String(), func(b *testing.B) {
			f := NewFrontier(k)
			f.AddAll(testLeaves(k, 1<<16-1))
			b.ReportAllocs()
			for b.Loop() {
				sink = f.Root()
			}
		})
	}
}
