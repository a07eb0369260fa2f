package merkle

import "fmt"

const (
	// TileWidth is the number of nodes in a complete tile.
	TileWidth = 1 << tileHeight
	// TileLevels is the number of tile levels that a tree of MaxSize leaves has; the lowest
	// is tile level 1.
	TileLevels = 7
	// tileHeight is the number of tree levels between two tile levels.
	tileHeight = 8
)

// Tile is a row to store: the first len(Data)/HashSize nodes of tile (Level, Index), at most
// TileWidth. A later row with the same Level and Index holds them and more, and replaces it.
type Tile struct {
	Level uint8
	Index uint64
	Data  []byte
}

// Tiles is the right edge of the tile levels: for each the tile that is being filled, and the
// one before it. The writer feeds it with the roots of complete blocks (Frontier.AppendBlocks)
// and takes the rows to store from it. It belongs to the writer's goroutine; other goroutines
// read a View.
type Tiles struct {
	kind   HashKind
	levels [TileLevels]tileEdge
	// complete are the tiles completed since the last Take.
	complete []Tile
}

// tileEdge is the right edge of one tile level. Its nodes are only ever appended within a
// capacity of TileWidth, never overwritten, so that a View may share them.
type tileEdge struct {
	index    uint64 // of the tile that nodes fills
	nodes    []Hash // fewer than TileWidth
	previous []Hash // the complete tile index-1, where it was completed here
	changed  bool   // nodes has some that no Take has returned
}

// NewTiles returns the tiles of the empty tree.
func NewTiles(k HashKind) Tiles { return Tiles{kind: k} }

// RestoreTiles returns the tiles of a tree of size leaves from what was stored at that size or
// later. It fails where read fails or returns a tile with fewer nodes than that tree has.
func RestoreTiles(k HashKind, size uint64, read func(level uint8, index uint64) ([]byte, error)) (Tiles, error) {
	if !k.Valid() || size > MaxSize {
		return Tiles{}, fmt.Errorf("restore tiles: no tree of %d leaves with %v", size, k)
	}
	t := NewTiles(k)
	for i := range t.levels {
		level := uint8(i + 1)
		count := size >> (tileHeight * level)
		edge := &t.levels[i]
		edge.index = count / TileWidth
		width := int(count % TileWidth)
		if width == 0 {
			continue
		}
		data, err := read(level, edge.index)
		if err != nil {
			return Tiles{}, fmt.Errorf("restore tiles: read tile (%d,%d): %w", level, edge.index, err)
		}
		nodes, err := tileNodes(data)
		if err != nil {
			return Tiles{}, fmt.Errorf("restore tiles: tile (%d,%d): %w", level, edge.index, err)
		}
		if len(nodes) < width {
			return Tiles{}, fmt.Errorf("restore tiles: tile (%d,%d) has %d nodes, size %d needs %d",
				level, edge.index, len(nodes), size, width)
		}
		edge.nodes = append(make([]Hash, 0, TileWidth), nodes[:width]...)
	}
	return t, nil
}

// tileNodes reads the data of a tile.
func tileNodes(data []byte) ([]Hash, error) {
	if len(data)%HashSize != 0 || len(data) > TileWidth*HashSize {
		return nil, fmt.Errorf("%d bytes are not up to %d hashes", len(data), TileWidth)
	}
	nodes := make([]Hash, len(data)/HashSize)
	for i := range nodes {
		nodes[i] = Hash(data[i*HashSize:])
	}
	return nodes, nil
}

func tileData(nodes []Hash) []byte {
	data := make([]byte, 0, len(nodes)*HashSize)
	for i := range nodes {
		data = append(data, nodes[i][:]...)
	}
	return data
}

// Blocks returns the number of complete blocks that t has been fed with.
func (t *Tiles) Blocks() uint64 {
	return t.levels[0].index*TileWidth + uint64(len(t.levels[0].nodes))
}

// AddAll adds the roots of the next complete blocks, in order.
func (t *Tiles) AddAll(blocks []Hash) {
	for i := range blocks {
		t.add(0, blocks[i])
	}
}

// add adds node to the tile level at t.levels[i] and, where that completes a tile, the tile's
// root to the level above. The highest level of a tree of MaxSize leaves completes none.
func (t *Tiles) add(i int, node Hash) {
	edge := &t.levels[i]
	if edge.nodes == nil {
		edge.nodes = make([]Hash, 0, TileWidth)
	}
	edge.nodes = append(edge.nodes, node)
	edge.changed = true
	if len(edge.nodes) < TileWidth {
		return
	}
	complete := edge.nodes
	t.complete = append(t.complete, Tile{Level: uint8(i + 1), Index: edge.index, Data: tileData(complete)})
	*edge = tileEdge{index: edge.index + 1, previous: complete}
	t.add(i+1, t.kind.fold(complete))
}

// Take returns the rows that have changed since the last Take, and forgets that they have. The
// caller owns them; until they are stored, it keeps them. They may be stored in any order
// among themselves, but not after those of a later Take.
func (t *Tiles) Take() []Tile {
	rows := t.complete
	t.complete = nil
	for i := range t.levels {
		if edge := &t.levels[i]; edge.changed {
			rows = append(rows, Tile{Level: uint8(i + 1), Index: edge.index, Data: tileData(edge.nodes)})
			edge.changed = false
		}
	}
	return rows
}

// View is what Tiles held at some moment, for other goroutines to read: at each level the tile
// being filled and, where it was completed since Tiles was made, the one before it.
type View struct{ levels [TileLevels]tileEdge }

// View returns a view of t as it is now. It copies no nodes.
func (t *Tiles) View() View { return View{levels: t.levels} }

// Tile returns the data of tile (level, index) if the view holds it, and nil otherwise: then
// it is stored, or else the tree has no such tile.
func (v *View) Tile(level uint8, index uint64) []byte {
	if level == 0 || level > TileLevels {
		return nil
	}
	edge := &v.levels[level-1]
	switch {
	case index == edge.index && len(edge.nodes) > 0:
		return tileData(edge.nodes)
	case index+1 == edge.index && edge.previous != nil:
		return tileData(edge.previous)
	}
	return nil
}

// fold returns the root of the complete subtree over nodes, 1, 2, 4, … or TileWidth of them.
func (k HashKind) fold(nodes []Hash) Hash {
	if len(nodes) == 1 {
		return nodes[0]
	}
	var row [TileWidth / 2]Hash
	for n := len(nodes) / 2; n > 0; n /= 2 {
		k.nodes(row[:n], nodes[:2*n])
		nodes = row[:n]
	}
	return row[0]
}
