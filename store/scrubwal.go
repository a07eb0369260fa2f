package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// wals reads what is durable up to end and in no table yet. Beyond end it reads nothing, where a write
// may be under way. It returns fs.ErrNotExist where a WAL is gone, upon which its commits are in tables.
func (sc *scrub) wals(list wal.Logs, end uint64, yield func(*Commit, error) bool) error {
	var found error // the first thing that is wrong with one
	for i := 0; i < len(list) && sc.next <= end; i++ {
		err := sc.wal(list[i], end, yield)
		if damage := new(Damage); err != nil && !errors.As(err, &damage) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if found == nil {
			found = err
		}
	}
	if sc.next > end {
		return nil // a WAL that was not needed does not matter
	}
	for i := range list {
		fsys, path := list[i].SegmentLocation(0)
		if _, err := fsys.Stat(path); err != nil {
			return fmt.Errorf("look at %s: %w", path, fromEngine(err))
		}
	}
	if found == nil { // damage can look like the end
		path := sc.fs.PathJoin(sc.store.dir, logDirName)
		if len(list) > 0 {
			_, path = list[len(list)-1].SegmentLocation(0)
		}
		found = fmt.Errorf("%s: it ends at %d, and %d was durable", path, sc.next-1, end)
	}
	return &Damage{Seq: sc.commit.First, Err: fmt.Errorf(
		"%w: what lies in the WAL is in memory still, and a clean stop writes it into a table; a kill loses it", found)}
}

// wal reads one WAL as far as end.
func (sc *scrub) wal(l wal.LogicalLog, end uint64, yield func(*Commit, error) bool) (err error) {
	_, path := l.SegmentLocation(0)
	r := l.OpenForRead()
	defer func() { err = errors.Join(err, r.Close()) }()
	var batch bytes.Buffer
	for sc.next <= end {
		record, offset, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return sc.failedWAL(path, offset, err)
		}
		batch.Reset()
		if _, err := batch.ReadFrom(record); err != nil {
			return sc.failedWAL(path, offset, err)
		}
		rows := batchrepr.Read(batch.Bytes())
		for {
			kind, key, value, ok, err := rows.Next()
			if err != nil {
				return sc.failedWAL(path, offset, err)
			}
			if !ok {
				break
			}
			if kind != pebble.InternalKeyKindSet {
				continue
			}
			if err := sc.block(path, key, value, yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// failedWAL says where in which WAL a read failed.
func (sc *scrub) failedWAL(path string, at wal.Offset, err error) error {
	damaged := pebble.IsCorruptionError(err)
	for _, kind := range []error{record.ErrInvalidChunk, record.ErrZeroedChunk, record.ErrUnexpectedEOF, batchrepr.ErrInvalidBatch} {
		damaged = damaged || errors.Is(err, kind)
	}
	err = fmt.Errorf("%s at byte %d: %w", path, at.Physical, err)
	if damaged {
		return &Damage{Seq: sc.commit.First, Err: err}
	}
	return fromEngine(err)
}

// throttledFS tells each read of a file before it is done. What read says instead is an errThrottle.
type throttledFS struct {
	vfs.FS
	read func(n int) error
}

var errThrottle = errors.New("reading was ended")

// Open opens a file to be read.
func (t *throttledFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := t.FS.Open(name, options...)
	if err != nil {
		return nil, err
	}
	return &throttledFile{File: f, read: t.read}, nil
}

// Unwrap returns nil: nothing is to be done beside it.
func (t *throttledFS) Unwrap() vfs.FS { return nil }

type throttledFile struct {
	vfs.File
	read func(n int) error
}

func (f *throttledFile) ask(n int) error {
	if err := f.read(n); err != nil {
		return fmt.Errorf("%w: %w", errThrottle, err)
	}
	return nil
}

// Read reads up to len(p) bytes.
func (f *throttledFile) Read(p []byte) (int, error) {
	if err := f.ask(len(p)); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// ReadAt reads all of p.
func (f *throttledFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.ask(len(p)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}
