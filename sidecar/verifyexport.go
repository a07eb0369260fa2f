package sidecar

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Export is an exported ledger to verify.
type Export struct {
	Path       string        // of a file of JSON Lines, or of a tlog-tiles directory
	Checkpoint []byte        // signed; of a directory it is its own
	Key        note.Verifier // of the checkpoint
}

// VerifyExport holds an exported ledger against its own bytes and against the signed
// checkpoint, by the rules of audit.VerifyRecords. What is wrong with it is a
// *VerifyFinding; other errors say that it could not be told.
func VerifyExport(ctx context.Context, e Export, progress func(done, size uint64)) (VerifyReport, error) {
	info, err := os.Stat(e.Path)
	if err != nil {
		return VerifyReport{}, fmt.Errorf("verify the export: %w", err)
	}
	if info.IsDir() {
		if e.Checkpoint, err = os.ReadFile(filepath.Join(e.Path, "checkpoint")); err != nil {
			return VerifyReport{}, &VerifyFinding{Err: fmt.Errorf("verify the export %s: %w", e.Path, err)}
		}
	}
	signed, err := merkle.OpenCheckpoint(e.Checkpoint, e.Key)
	if err != nil {
		return VerifyReport{}, &VerifyFinding{Err: fmt.Errorf("verify the export %s: %w", e.Path, err)}
	}
	_, _, kind, err := merkle.ParseOrigin(signed.Origin)
	if err != nil {
		return VerifyReport{}, fmt.Errorf("verify the export %s: %w", e.Path, err)
	}
	records := audit.Records{Kind: kind}
	if info.IsDir() {
		tiles := exportedTiles{dir: e.Path, size: signed.Size}
		records.All, records.Record, records.Leaf = tiles.all(), tiles.record, tiles.leaf
	} else {
		file, err := os.Open(e.Path)
		if err != nil {
			return VerifyReport{}, fmt.Errorf("verify the export: %w", err)
		}
		defer func() { _ = file.Close() }()
		lines := exportedLines{file: file, size: signed.Size}
		records.All, records.Record = lines.all(), lines.record
	}
	report, err := audit.VerifyRecords(ctx, &records, func(done uint64) {
		if progress != nil {
			progress(done, signed.Size)
		}
	})
	if errors.Is(err, errEpochLine) {
		return report, fmt.Errorf("verify the export %s: %w", e.Path, errEpochLine)
	}
	if err == nil && (report.Size != signed.Size || report.Root != signed.Root) {
		err = &VerifyFinding{First: min(1, report.Size), Last: report.Size, Err: fmt.Errorf("they are %d and give root %v; signed is root %v of %d", report.Size, report.Root, signed.Root, signed.Size)}
	}
	if err != nil {
		err = fmt.Errorf("verify the export %s: %w", e.Path, err)
	}
	return report, err
}

// exportedLines is an export as JSON Lines. It keeps 8 bytes in memory for each entry.
type exportedLines struct {
	file    *os.File
	size    uint64 // entries behind it are newer than the checkpoint, and not read
	offsets []int64
}

func (l *exportedLines) all() iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		lines := bufio.NewReaderSize(l.file, 1<<20)
		var record []byte
		for at := int64(0); uint64(len(l.offsets)) < l.size; {
			line, err := lines.ReadSlice('\n')
			if errors.Is(err, io.EOF) && len(line) == 0 {
				return
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(store.Record{}, fmt.Errorf("read line %d: %w", len(l.offsets)+1, err))
				return
			}
			l.offsets = append(l.offsets, at)
			at += int64(len(line))
			r, err := recordOfLine(record[:0], line)
			record = r.Bytes
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// record reads an entry again.
func (l *exportedLines) record(seq uint64, dst []byte) ([]byte, error) {
	at := l.offsets[seq-1]
	line, err := bufio.NewReader(io.NewSectionReader(l.file, at, 1<<20)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return dst, err
	}
	r, err := recordOfLine(dst, line)
	return r.Bytes, err
}

// recordedJSON are the members of a line that the ledger has added.
type recordedJSON struct {
	Seq        uint64    `json:"seq"`
	Kind       string    `json:"kind"`
	Time       time.Time `json:"time"`
	Capability string    `json:"capability"`
	KID        string    `json:"kid"`
}

// errEpochLine says that a line is of a kind that is not read from JSON.
var errEpochLine = errors.New("there is an epoch in the export, which is not read from JSON Lines: verify the home, or an export as tlog-tiles")

// recordOfLine returns the record of which a line was made.
func recordOfLine(dst, line []byte) (store.Record, error) {
	fail := func(err error) (store.Record, error) { return store.Record{Bytes: dst}, err }
	var said recordedJSON
	if err := json.Unmarshal(line, &said); err != nil {
		return fail(fmt.Errorf("read its line: %w", err))
	}
	if said.Kind == wire.KindEpoch.String() {
		return fail(errEpochLine)
	}
	var fields wire.Fields
	if err := wire.ParseJSONEntry(bytes.TrimSpace(line), &fields, wire.JSONDefaults{}); err != nil {
		return fail(fmt.Errorf("read its line: %w", err))
	}
	var stamp wire.Stamp
	if n, err := hex.Decode(stamp.CapabilityID[:], []byte(said.Capability[:min(len(said.Capability), 2*len(stamp.CapabilityID))])); err != nil || len(said.Capability) != 2*n || n != len(stamp.CapabilityID) {
		return fail(errors.New("read its line: capability is not 32 hex digits"))
	}
	if n, err := hex.Decode(stamp.KeyID[:], []byte(said.KID[:min(len(said.KID), 2*len(stamp.KeyID))])); err != nil || len(said.KID) != 2*n || n != len(stamp.KeyID) {
		return fail(errors.New("read its line: kid is not 16 hex digits"))
	}
	b, fault := wire.AppendEntry(dst, &fields)
	if !fault.OK() {
		return fail(fault)
	}
	return store.Record{Seq: said.Seq, TimeMs: said.Time.UnixMilli(), Bytes: stamp.Append(b)}, nil
}

// exportedTiles is an export as C2SP tlog-tiles. It keeps one bundle in memory.
type exportedTiles struct {
	dir    string
	size   uint64
	number uint64 // of the bundle and the tile below, and one more
	bundle [][]byte
	hashes []byte
}

const exportedTile = 256

// load reads the bundle and the tile of leaves with an entry.
func (e *exportedTiles) load(seq uint64) error {
	number := (seq - 1) / exportedTile
	if e.number == number+1 {
		return nil
	}
	tile := tlog.Tile{H: 8, N: int64(number), W: int(min(e.size-number*exportedTile, exportedTile))}
	name := filepath.FromSlash(strings.TrimPrefix(tile.Path(), "tile/8/0/"))
	raw, err := os.ReadFile(filepath.Join(e.dir, "tile", "entries", name))
	if err != nil {
		return err
	}
	if e.hashes, err = os.ReadFile(filepath.Join(e.dir, "tile", "0", name)); err != nil {
		return err
	}
	e.number, e.bundle = number+1, e.bundle[:0]
	for len(raw) > 0 {
		if len(raw) < 2 || len(raw) < 2+int(binary.BigEndian.Uint16(raw)) {
			return fmt.Errorf("the bundle %s ends amid an entry", name)
		}
		n := 2 + int(binary.BigEndian.Uint16(raw))
		e.bundle, raw = append(e.bundle, raw[2:n]), raw[n:]
	}
	if len(e.bundle) != tile.W || len(e.hashes) != tile.W*merkle.HashSize {
		return fmt.Errorf("the bundle %s has %d entries and its tile %d bytes: %d entries are wanted", name, len(e.bundle), len(e.hashes), tile.W)
	}
	return nil
}

func (e *exportedTiles) all() iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		for seq := uint64(1); seq <= e.size; seq++ {
			err := e.load(seq)
			if err != nil {
				yield(store.Record{}, err)
				return
			}
			if !yield(store.Record{Seq: seq, Bytes: e.bundle[(seq-1)%exportedTile]}, nil) {
				return
			}
		}
	}
}

// record reads an entry again, from a bundle of its own.
func (e *exportedTiles) record(seq uint64, dst []byte) ([]byte, error) {
	again := exportedTiles{dir: e.dir, size: e.size}
	if err := again.load(seq); err != nil {
		return dst, err
	}
	return append(dst, again.bundle[(seq-1)%exportedTile]...), nil
}

func (e *exportedTiles) leaf(seq uint64) (merkle.Hash, bool, error) {
	at := (seq - 1) % exportedTile * merkle.HashSize
	return merkle.Hash(e.hashes[at:]), true, nil
}
