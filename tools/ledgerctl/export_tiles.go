package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// tileHeight is that of C2SP tlog-tiles: 256 hashes a tile.
const tileHeight = 8

// exportTiles writes a directory of C2SP tlog-tiles (https://c2sp.org/tlog-tiles): the
// tiles, the bundles of entries, each a big-endian u16 length and a record, and last
// the checkpoint. It keeps 64 bytes in memory for each entry.
func (a *app) exportTiles(ctx context.Context, c *client.Client, dir string) (signed merkle.Checkpoint, err error) {
	text, signed, err := newestCheckpoint(ctx, c)
	if err != nil {
		return signed, err
	}
	_, _, kind, err := merkle.ParseOrigin(signed.Origin)
	if err != nil {
		return signed, err
	}
	if kind != merkle.SHA256 {
		return signed, usagef("this ledger has %v: tlog-tiles are for ledgers with %v, which is chosen when a ledger is made", kind, merkle.SHA256)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return signed, fmt.Errorf("make --out, which must not be there yet: %w", err)
	}
	e := tileExport{dir: dir}
	if signed.Size > 0 {
		count, stop := a.scanning("export", signed.Size)
		defer stop()
		for row, err := range c.Entries(ctx, 1, signed.Size) {
			if err == nil {
				count()
				err = e.add(row.Record)
			}
			if err != nil {
				return signed, err
			}
		}
	}
	if err := e.finish(&signed); err != nil {
		return signed, err
	}
	return signed, e.write("checkpoint", text)
}

// tileExport is the tree and the bundle under way.
type tileExport struct {
	dir    string
	size   int64
	hashes storedHashes
	bundle []byte
}

// storedHashes are the hashes of a tree in the order of package tlog.
type storedHashes []tlog.Hash

// ReadHashes returns the hashes with those indexes.
func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = s[index]
	}
	return found, nil
}

func (e *tileExport) add(record []byte) error {
	added, err := tlog.StoredHashes(e.size, record, e.hashes)
	if err != nil {
		return fmt.Errorf("hash entry %d: %w", e.size+1, err)
	}
	e.hashes = append(e.hashes, added...)
	e.bundle = binary.BigEndian.AppendUint16(e.bundle, uint16(len(record)))
	e.bundle = append(e.bundle, record...)
	if e.size++; e.size%(1<<tileHeight) == 0 {
		return e.writeBundle(1 << tileHeight)
	}
	return nil
}

// finish writes the last bundle and all tiles, if the tree is the one that is signed.
func (e *tileExport) finish(signed *merkle.Checkpoint) error {
	root, err := tlog.TreeHash(e.size, e.hashes)
	if err != nil {
		return fmt.Errorf("compute the root: %w", err)
	}
	if uint64(e.size) != signed.Size || merkle.Hash(root) != signed.Root {
		return refutedError{fmt.Errorf("the %d entries give root %v, root %v at size %d is signed", e.size, merkle.Hash(root), signed.Root, signed.Size)}
	}
	if rest := e.size % (1 << tileHeight); rest != 0 {
		if err := e.writeBundle(int(rest)); err != nil {
			return err
		}
	}
	for _, tile := range tlog.NewTiles(tileHeight, 0, e.size) {
		data, err := tlog.ReadTileData(tile, e.hashes)
		if err != nil {
			return fmt.Errorf("make tile: %w", err)
		}
		// Package tlog names the height as well, C2SP does not.
		if err := e.write("tile/"+strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight)), data); err != nil {
			return err
		}
	}
	return nil
}

// writeBundle writes the records of one tile of leaves.
func (e *tileExport) writeBundle(width int) error {
	tile := tlog.Tile{H: tileHeight, L: 0, N: (e.size - 1) >> tileHeight, W: width}
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/0/", tileHeight))
	err := e.write(path, e.bundle)
	e.bundle = e.bundle[:0]
	return err
}

func (e *tileExport) write(name string, data []byte) error {
	path := filepath.Join(e.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
