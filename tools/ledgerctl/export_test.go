package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// tileFolder reads an exported directory for package tlog, which nobody here wrote.
type tileFolder struct {
	dir  string
	tree tlog.Tree
}

func (f *tileFolder) Height() int                     { return 8 }
func (f *tileFolder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f *tileFolder) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		b, err := os.ReadFile(filepath.Join(f.dir, "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		data = append(data, b)
	}
	return data, nil
}

// tlogchecks DIR KEYFILE proves every record of an exported directory, and every
// smaller tree, by package tlog alone.
func tlogchecks(ts *testscript.TestScript, _ bool, args []string) {
	f := &tileFolder{dir: ts.MkAbs(args[0])}
	verifier, err := note.NewVerifier(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	opened, err := note.Open([]byte(ts.ReadFile(args[0]+"/checkpoint")), note.VerifierList(verifier))
	ts.Check(err)
	var root string
	var origin string
	_, err = fmt.Sscanf(opened.Text, "%s\n%d\n%s\n", &origin, &f.tree.N, &root)
	ts.Check(err)
	f.tree.Hash, err = tlog.ParseHash(root)
	ts.Check(err)
	hashes := tlog.TileHashReader(f.tree, f)
	for i := range f.tree.N {
		proof, err := tlog.ProveRecord(f.tree.N, i, hashes)
		ts.Check(err)
		ts.Check(tlog.CheckRecord(proof, f.tree.N, f.tree.Hash, i, tlog.RecordHash(f.record(ts, i))))
		older, err := tlog.TreeHash(i+1, hashes)
		ts.Check(err)
		tree, err := tlog.ProveTree(f.tree.N, i+1, hashes)
		ts.Check(err)
		ts.Check(tlog.CheckTree(tree, f.tree.N, f.tree.Hash, i+1, older))
	}
}

// record reads record i from its bundle.
func (f *tileFolder) record(ts *testscript.TestScript, i int64) []byte {
	tile := tlog.Tile{H: 8, N: i >> 8, W: int(min(f.tree.N-i>>8<<8, 256))}
	b, err := os.ReadFile(filepath.Join(f.dir, "tile", "entries", strings.TrimPrefix(tile.Path(), "tile/8/0/")))
	ts.Check(err)
	for range i & 255 {
		b = b[2+binary.BigEndian.Uint16(b):]
	}
	return b[2 : 2+binary.BigEndian.Uint16(b)]
}
