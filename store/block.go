package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// Sizes that the log's blocks are made of. Entry sizes are FORMATS' own bounds.
const (
	stampBytes    = 24
	entryMinBytes = 80
	entryMaxBytes = 2048
	// blockLeaves is how many leaves of the tree a block may span at most; no block crosses a
	// multiple of it.
	blockLeaves    = 256
	blockRawMax    = blockLeaves * (entryMaxBytes + stampBytes)
	blockVersion   = 1
	blockHeaderLen = 20
	blockRootLen   = 32
	groupLen       = 24

	flagS2   = 1 << 0
	flagLast = 1 << 1 // the block ends its commit and carries the root
)

// Group is an atomic request inside a commit.
type Group struct {
	First  uint64   // sequence number of its first record
	Count  uint32   // its records, all in the same commit
	IdemID [16]byte // zero: none was given
}

// blockHeader is the fixed part of a block, decoded.
type blockHeader struct {
	first  uint64 // sequence number of the first record: the key
	count  int    // 1..256
	groups int
	rawLen int // length of the records, uncompressed
	s2     bool
	last   bool
	timeMs int64
	root   [32]byte // only when last
}

// lastSeq returns the sequence number of the block's last record.
func (h *blockHeader) lastSeq() uint64 { return h.first + uint64(h.count) - 1 }

// len returns the length of everything before the payload.
func (h *blockHeader) len() int {
	n := blockHeaderLen + h.groups*groupLen
	if h.last {
		n += blockRootLen
	}
	return n
}

// encode writes header, root and group table to the front of b, which has at least h.len() bytes.
func (h *blockHeader) encode(b []byte, groups []Group) {
	flags := byte(0)
	if h.s2 {
		flags |= flagS2
	}
	if h.last {
		flags |= flagLast
	}
	b[0] = blockVersion
	b[1] = flags
	binary.LittleEndian.PutUint16(b[2:], uint16(h.count))
	binary.LittleEndian.PutUint16(b[4:], uint16(h.groups))
	binary.LittleEndian.PutUint16(b[6:], 0)
	binary.LittleEndian.PutUint32(b[8:], uint32(h.rawLen))
	binary.LittleEndian.PutUint64(b[12:], uint64(h.timeMs))
	b = b[blockHeaderLen:]
	if h.last {
		copy(b, h.root[:])
		b = b[blockRootLen:]
	}
	for _, g := range groups {
		binary.LittleEndian.PutUint16(b, uint16(g.First-h.first))
		binary.LittleEndian.PutUint16(b[2:], 0)
		binary.LittleEndian.PutUint32(b[4:], g.Count)
		copy(b[8:groupLen], g.IdemID[:])
		b = b[groupLen:]
	}
}

// blockKey returns the key of the block whose first record is seq.
func blockKey(seq uint64) (key [8]byte) {
	binary.BigEndian.PutUint64(key[:], seq)
	return key
}

// decodeBlockHeader checks the header of the block at key and that its length and the table behind
// it lie within value. It trusts nothing.
func decodeBlockHeader(key, value []byte) (blockHeader, error) {
	if len(key) != 8 {
		return blockHeader{}, fmt.Errorf("decode log block at key %x: the key is not 8 bytes long", key)
	}
	h := blockHeader{first: binary.BigEndian.Uint64(key)}
	if err := h.decode(value); err != nil {
		return blockHeader{}, fmt.Errorf("decode log block at key %x (sequence number %d): %w", key, h.first, err)
	}
	return h, nil
}

func (h *blockHeader) decode(b []byte) error {
	if len(b) < blockHeaderLen {
		return fmt.Errorf("%d bytes are less than a header", len(b))
	}
	if b[0] != blockVersion {
		return fmt.Errorf("unknown block version %d", b[0])
	}
	if b[1]&^(flagS2|flagLast) != 0 || b[6] != 0 || b[7] != 0 {
		return fmt.Errorf("unknown flags %#x or reserved bytes set", b[1])
	}
	h.s2, h.last = b[1]&flagS2 != 0, b[1]&flagLast != 0
	h.count = int(binary.LittleEndian.Uint16(b[2:]))
	h.groups = int(binary.LittleEndian.Uint16(b[4:]))
	h.rawLen = int(binary.LittleEndian.Uint32(b[8:]))
	h.timeMs = int64(binary.LittleEndian.Uint64(b[12:]))
	switch {
	case h.first == 0 || h.count == 0 || h.count > blockLeaves || h.first+uint64(h.count) < h.first:
		return fmt.Errorf("impossible count of %d records", h.count)
	case (h.first-1)/blockLeaves != (h.lastSeq()-1)/blockLeaves:
		return fmt.Errorf("its %d records cross a boundary of %d leaves", h.count, blockLeaves)
	case h.groups > h.count:
		return fmt.Errorf("%d groups are more than its %d records", h.groups, h.count)
	case h.rawLen < h.count*(entryMinBytes+stampBytes) || h.rawLen > h.count*(entryMaxBytes+stampBytes):
		return fmt.Errorf("impossible length of %d bytes for %d records", h.rawLen, h.count)
	case len(b) < h.len():
		return fmt.Errorf("%d bytes are less than header and groups", len(b))
	case !h.s2 && len(b) != h.len()+h.rawLen:
		return fmt.Errorf("payload of %d bytes instead of %d", len(b)-h.len(), h.rawLen)
	}
	if h.last {
		copy(h.root[:], b[blockHeaderLen:])
	}
	return nil
}

// appendGroups appends the block's groups to dst. They begin in the block, in order, and may reach
// over its end into the commit's next blocks.
func (h *blockHeader) appendGroups(dst []Group, value []byte) ([]Group, error) {
	b := value[h.len()-h.groups*groupLen : h.len()]
	next := h.first
	for ; len(b) > 0; b = b[groupLen:] {
		g := Group{
			First: h.first + uint64(binary.LittleEndian.Uint16(b)),
			Count: binary.LittleEndian.Uint32(b[4:]),
		}
		copy(g.IdemID[:], b[8:groupLen])
		if g.First < next || g.First > h.lastSeq() || g.Count == 0 || b[2] != 0 || b[3] != 0 {
			return dst, fmt.Errorf("decode log block %d: impossible group of %d records at %d", h.first, g.Count, g.First)
		}
		next = g.First + uint64(g.Count)
		dst = append(dst, g)
	}
	return dst, nil
}

// appendRecords appends the block's records to dst and the end of each (its offset in the result)
// to ends.
func (h *blockHeader) appendRecords(dst []byte, ends []uint32, value []byte) ([]byte, []uint32, error) {
	payload, start := value[h.len():], len(dst)
	dst, err := h.appendPayload(dst, payload)
	if err == nil {
		ends, err = appendEnds(ends, dst, start, h.count)
	}
	if err != nil {
		return dst[:start], ends, fmt.Errorf("decode log block %d: %w", h.first, err)
	}
	return dst, ends, nil
}

func (h *blockHeader) appendPayload(dst, payload []byte) ([]byte, error) {
	if !h.s2 {
		return append(dst, payload...), nil
	}
	if n, err := s2.DecodedLen(payload); err != nil || n != h.rawLen {
		return dst, fmt.Errorf("compressed payload says %d bytes instead of %d", n, h.rawLen)
	}
	start := len(dst)
	dst = grow(dst, h.rawLen)
	if _, err := s2.Decode(dst[start:], payload); err != nil {
		return dst, fmt.Errorf("decompress: %w", err)
	}
	return dst, nil
}

var errRecordSizes = errors.New("the sizes of the records do not add up")

// appendEnds walks count records that fill records[start:] and appends the end of each.
func appendEnds(ends []uint32, records []byte, start, count int) ([]uint32, error) {
	at := start
	for range count {
		if at+entryMinBytes > len(records) {
			return ends, errRecordSizes
		}
		size := int(binary.LittleEndian.Uint16(records[at:]))
		if !validEntrySize(size) {
			return ends, errRecordSizes
		}
		at += size + stampBytes
		ends = append(ends, uint32(at))
	}
	if at != len(records) {
		return ends, errRecordSizes
	}
	return ends, nil
}

func validEntrySize(size int) bool {
	return size >= entryMinBytes && size <= entryMaxBytes && size%8 == 0
}

// grow returns b longer by n bytes of any content.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(make([]byte, 0, max(2*cap(b), len(b)+n)), b...)
	}
	return b[:len(b)+n]
}
