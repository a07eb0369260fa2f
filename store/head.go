package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// HeadSlot is what the head file says about the log's end.
type HeadSlot struct {
	Known bool     // false: the file is missing or neither slot is whole, so loss cannot be told
	Count uint64   // how many times a slot was written; the newer slot has the higher one
	Seq   uint64   // size of the log after a commit that was durable
	Root  [32]byte // root at that size
}

const (
	headName     = "head"
	headMagic    = "RLGHEAD1"
	headSlotSize = 64
	// The slots lie in different pages, so that no torn write can reach both.
	headSlotStride = 4096
	headFileSize   = headSlotStride + headSlotSize
)

// headFile is the open head file. It is written by one goroutine and may be synced by another.
type headFile struct {
	f     vfs.File
	path  string
	count uint64
	buf   [headSlotSize]byte
}

func encodeHeadSlot(b *[headSlotSize]byte, count, seq uint64, root *[32]byte) {
	copy(b[:8], headMagic)
	binary.LittleEndian.PutUint64(b[8:], seq)
	copy(b[16:48], root[:])
	binary.LittleEndian.PutUint64(b[48:], count)
	clear(b[56:60])
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

func decodeHeadSlot(b []byte) HeadSlot {
	if len(b) < headSlotSize || string(b[:8]) != headMagic ||
		crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]) {
		return HeadSlot{}
	}
	h := HeadSlot{
		Known: true,
		Seq:   binary.LittleEndian.Uint64(b[8:]),
		Count: binary.LittleEndian.Uint64(b[48:]),
	}
	copy(h.Root[:], b[16:48])
	return h
}

// createHead writes a head file that holds what is known, which for a new ledger is that the log is
// empty. The file gets its full length here, so that a full disk cannot keep a slot from being
// written later. It is known in both slots: the writes of different slots are not ordered on the
// disk, and a crash may lose the first one where it tears the second.
func createHead(fsys vfs.FS, dir string, known HeadSlot) error {
	if err := writeFileAtomically(fsys, dir, headName, encodeHead(known)); err != nil {
		return fmt.Errorf("create head file in %s: %w", dir, err)
	}
	return nil
}

// encodeHead returns a head file with what is known in both slots, or in none where nothing is.
func encodeHead(known HeadSlot) []byte {
	b := make([]byte, headFileSize)
	if known.Known {
		var slot [headSlotSize]byte
		encodeHeadSlot(&slot, known.Count, known.Seq, &known.Root)
		copy(b, slot[:])
		copy(b[headSlotStride:], slot[:])
	}
	return b
}

// readHead returns the newer whole slot; it is not Known when there is none. whole says that the
// file has its full length.
func readHead(fsys vfs.FS, dir string) (newest HeadSlot, whole bool, err error) {
	path := fsys.PathJoin(dir, headName)
	b, err := readSmallFile(fsys, path, headFileSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return HeadSlot{}, false, fmt.Errorf("read head file %s: %w", path, err)
	}
	return newerHeadSlot(b), len(b) == headFileSize, nil
}

// openHead opens the head file for writing behind newest, its newer slot.
func openHead(fsys vfs.FS, dir string, newest HeadSlot) (*headFile, error) {
	path := fsys.PathJoin(dir, headName)
	f, err := fsys.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open head file %s: %w", path, err)
	}
	return &headFile{f: f, path: path, count: newest.Count}, nil
}

func newerHeadSlot(b []byte) HeadSlot {
	first := decodeHeadSlot(b)
	second := decodeHeadSlot(b[min(len(b), headSlotStride):])
	if second.Known && (!first.Known || second.Count > first.Count) {
		return second
	}
	return first
}

// write puts (seq, root) into the slot that does not hold the newest one. It is not synced.
func (h *headFile) write(seq uint64, root *[32]byte) error {
	h.count++
	encodeHeadSlot(&h.buf, h.count, seq, root)
	n, err := h.f.WriteAt(h.buf[:], int64(h.count%2*headSlotStride))
	if err == nil && n != headSlotSize {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write head file %s: %w", h.path, err)
	}
	return nil
}

func (h *headFile) sync() error {
	if err := h.f.SyncData(); err != nil {
		return fmt.Errorf("sync head file %s: %w", h.path, err)
	}
	return nil
}

func (h *headFile) close() error {
	return errors.Join(h.sync(), h.f.Close())
}

// ReadHead returns what the head file in a directory says, without opening the ledger there: a
// running one can be asked too.
func ReadHead(dir string) (HeadSlot, error) {
	newest, _, err := readHead(vfs.Default, dir)
	return newest, err
}
