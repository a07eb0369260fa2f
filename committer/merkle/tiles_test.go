package merkle

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// tileStore keeps rows as the state database does: the newest row of a key wins.
type tileStore map[tileKey][]byte

func (s tileStore) put(rows []Tile) {
	for _, row := range rows {
		s[tileKey{row.Level, row.Index}] = row.Data
	}
}

func (s tileStore) read(level uint8, index uint64) ([]byte, error) {
	return s[tileKey{level, index}], nil
}

// referenceTiles are the rows of a tree over these blocks, straight from the definition.
func referenceTiles(k HashKind, blocks []Hash) tileStore {
	store := make(tileStore)
	for level := uint8(1); len(blocks) > 0; level++ {
		var above []Hash
		for i := 0; i*TileWidth < len(blocks); i++ {
			nodes := blocks[i*TileWidth : min((i+1)*TileWidth, len(blocks))]
			var data []byte
			for _, node := range nodes {
				data = append(data, node[:]...)
			}
			store[tileKey{level, uint64(i)}] = data
			if len(nodes) == TileWidth {
				above = append(above, referenceRoot(k, nodes))
			}
		}
		blocks = above
	}
	return store
}

func equalTiles(got, want tileStore) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d tiles, want %d", len(got), len(want))
	}
	for key, data := range want {
		if !bytes.Equal(got[key], data) {
			return fmt.Errorf("tile (%d,%d) has %d bytes, want %d, or others", key.level, key.index, len(got[key]), len(data))
		}
	}
	return nil
}

// TestTilesAgainstDefinition feeds drawn numbers of blocks, takes rows and restores in between,
// and holds what is stored against the definition, across the edges of tiles of two levels.
func TestTilesAgainstDefinition(t *testing.T) {
	blocks := testLeaves(SHA256, 3*TileWidth*TileWidth/2)
	rapid.Check(t, func(t *rapid.T) {
		tiles, store := NewTiles(SHA256), make(tileStore)
		fed := 0
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			n := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 2000)).Draw(t, "blocks")
			tiles.AddAll(blocks[fed : fed+n])
			fed += n
			if tiles.Blocks() != uint64(fed) {
				t.Fatalf("%d blocks, want %d", tiles.Blocks(), fed)
			}
			if !rapid.Bool().Draw(t, "take") {
				continue
			}
			store.put(tiles.Take())
			if err := equalTiles(store, referenceTiles(SHA256, blocks[:fed])); err != nil {
				t.Fatalf("after %d blocks: %v", fed, err)
			}
			if again := tiles.Take(); len(again) != 0 {
				t.Fatalf("%d rows changed with no block added", len(again))
			}
			if rapid.Bool().Draw(t, "restore") {
				var err error
				size := uint64(fed)*BlockLeaves + rapid.Uint64Range(0, BlockLeaves-1).Draw(t, "rest")
				if tiles, err = RestoreTiles(SHA256, size, store.read); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestTilesOfThreeLevels fills a tile of the second level, so that the third has a node.
func TestTilesOfThreeLevels(t *testing.T) {
	const count = TileWidth*TileWidth + 5*TileWidth + 7
	for _, k := range kinds {
		blocks := testLeaves(k, count)
		tiles, store := NewTiles(k), make(tileStore)
		tiles.AddAll(blocks)
		view := tiles.View()
		store.put(tiles.Take())
		if err := equalTiles(store, referenceTiles(k, blocks)); err != nil {
			t.Fatalf("%v: %v", k, err)
		}
		for _, key := range []tileKey{{1, 261}, {1, 260}, {2, 1}, {2, 0}, {3, 0}} {
			if !bytes.Equal(view.Tile(key.level, key.index), store[key]) {
				t.Errorf("%v: tile %v of the view is not the one stored", k, key)
			}
		}
		for _, key := range []tileKey{{0, 0}, {1, 0}, {1, 262}, {3, 1}, {4, 0}, {8, 0}, {255, 0}} {
			if data := view.Tile(key.level, key.index); data != nil {
				t.Errorf("%v: the view has tile %v", k, key)
			}
		}
		// Roots and consistency at whole blocks need tiles and no leaf.
		p := Prover{Kind: k, Tile: store.read, Leaves: func(uint64, int) ([]Hash, error) {
			return nil, errors.New("the leaves of a complete block are asked for")
		}}
		roots := prefixRoots(k, blocks)
		if root := referenceRoot(k, blocks); roots[count] != root {
			t.Fatalf("%v: root over all blocks is %v, want %v", k, roots[count], root)
		}
		for _, n := range []int{1, 255, 256, 257, 511, 65535, 65536, 65537, 66000, count} {
			size := uint64(n) * BlockLeaves
			if got, err := p.RootAt(size); err != nil || got != roots[n] {
				t.Fatalf("%v: root at size %d: %v, %v", k, size, got, err)
			}
			proof, err := p.ConsistencyProof(size, count*BlockLeaves)
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyConsistency(k, size, roots[n], count*BlockLeaves, roots[count], proof); err != nil {
				t.Fatalf("%v: %v", k, err)
			}
		}
	}
}

// TestViewStaysAsItWas reads a view while the tiles that it was taken from go on.
func TestViewStaysAsItWas(t *testing.T) {
	blocks := testLeaves(SHA256, 700)
	tiles := NewTiles(SHA256)
	tiles.AddAll(blocks[:300])
	view, want := tiles.View(), referenceTiles(SHA256, blocks[:300])
	done := make(chan struct{})
	go func() {
		defer close(done)
		tiles.AddAll(blocks[300:])
		tiles.Take()
	}()
	for range 50 {
		for key, data := range want {
			if !bytes.Equal(view.Tile(key.level, key.index), data) {
				t.Errorf("tile %v changed", key)
			}
		}
	}
	<-done
}

func TestRestoreTilesRefuses(t *testing.T) {
	blocks := testLeaves(SHA256, 300)
	full := referenceTiles(SHA256, blocks)
	fault := errors.New("fault")
	for _, c := range []struct {
		name string
		kind HashKind
		size uint64
		read func(level uint8, index uint64) ([]byte, error)
	}{
		{"no kind", 0, 1, full.read},
		{"a size above the bound", SHA256, 1 << 63, full.read},
		{"a missing tile", SHA256, 256, tileStore{}.read},
		{"a tile that is too short", SHA256, 301 * 256, full.read},
		{"a read that fails", SHA256, 256, func(uint8, uint64) ([]byte, error) { return nil, fault }},
		{"half a hash", SHA256, 256, func(uint8, uint64) ([]byte, error) { return make([]byte, 48), nil }},
		{"a tile that is too long", SHA256, 256, func(uint8, uint64) ([]byte, error) { return make([]byte, 257*32), nil }},
	} {
		if _, err := RestoreTiles(c.kind, c.size, c.read); err == nil {
			t.Errorf("%s: restored", c.name)
		}
	}
	// What was stored later serves an earlier size.
	tiles, err := RestoreTiles(SHA256, 290*256+17, full.read)
	if err != nil {
		t.Fatal(err)
	}
	tiles.AddAll(blocks[290:])
	store := make(tileStore)
	store.put(tiles.Take())
	if !bytes.Equal(store[tileKey{1, 1}], full[tileKey{1, 1}]) {
		t.Error("the tile went on differently after a restore to an earlier size")
	}
}
