package store

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// ErrNotFound means that the store does not hold what was asked for: not yet durable, never
// written, or pruned.
var ErrNotFound = errors.New("not found")

// ErrClosed is returned by a store that was closed.
var ErrClosed = errors.New("the store is closed")

// ErrReadOnly is returned by writes to a store that was opened with ReadOnly.
var ErrReadOnly = errors.New("the store was opened to be read only")

// Record is one record of the log.
type Record struct {
	Seq    uint64
	Bytes  []byte // entry and stamp
	TimeMs int64  // of its commit, Unix milliseconds
}

// decodedBlock is a block of the log in memory, immutable once it is in the cache.
type decodedBlock struct {
	header  blockHeader
	records []byte
	ends    []uint32
}

func (b *decodedBlock) record(seq uint64) []byte {
	i := int(seq - b.header.first)
	start := uint32(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.records[start:b.ends[i]]
}

// cachedBlocks bounds the blocks kept decoded; each is at most blockRawMax bytes, of 200-byte
// entries some 57 KB.
const cachedBlocks = 8

// blockCache keeps the blocks that were read last, the newest first.
type blockCache struct {
	mu     sync.Mutex
	blocks []*decodedBlock
}

func (c *blockCache) get(seq uint64) *decodedBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range c.blocks {
		if seq >= b.header.first && seq <= b.header.lastSeq() {
			copy(c.blocks[1:i+1], c.blocks[:i])
			c.blocks[0] = b
			return b
		}
	}
	return nil
}

func (c *blockCache) put(b *decodedBlock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.blocks) < cachedBlocks {
		c.blocks = append(c.blocks, nil)
	}
	copy(c.blocks[1:], c.blocks)
	c.blocks[0] = b
}

// dropBefore forgets the blocks with a record before seq.
func (c *blockCache) dropBefore(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks = slices.DeleteFunc(c.blocks, func(b *decodedBlock) bool { return b.header.first < seq })
}

// Record appends the record seq to dst and returns the result. ErrNotFound when seq is not durable
// or was pruned. Safe for concurrent use.
func (s *Store) Record(seq uint64, dst []byte) ([]byte, error) {
	if t := s.durable(); seq == 0 || seq < t.First || seq > t.Size {
		return dst, fmt.Errorf("read record %d: %w", seq, ErrNotFound)
	}
	b := s.blocks.get(seq)
	if b == nil {
		var err error
		if b, err = s.readBlock(seq); err != nil {
			if seq < s.durable().First { // pruned meanwhile
				err = ErrNotFound
			}
			return dst, fmt.Errorf("read record %d: %w", seq, err)
		}
		s.blocks.put(b)
	}
	return append(dst, b.record(seq)...), nil
}

// readBlock reads and decodes the block that holds seq.
func (s *Store) readBlock(seq uint64) (b *decodedBlock, err error) {
	it, err := s.log.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !seekBlock(it, seq) {
		return nil, errors.Join(it.Error(), ErrNotFound)
	}
	h, value, err := headerAt(it)
	if err != nil {
		return nil, err
	}
	if seq < h.first || seq > h.lastSeq() {
		return nil, fmt.Errorf("the block at %d holds %d records and the next is not it: there is a gap", h.first, h.count)
	}
	b = &decodedBlock{header: h}
	b.records = make([]byte, 0, h.rawLen)
	b.ends = make([]uint32, 0, h.count)
	b.records, b.ends, err = h.appendRecords(b.records, b.ends, value)
	return b, err
}

// Records yields the durable records from..to in order, both included and clamped to what is kept.
// Bytes hold until the next step. An error ends the iteration.
func (s *Store) Records(from, to uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		tail := s.durable()
		from, to := max(from, tail.First, 1), min(to, tail.Size)
		if from > to {
			return
		}
		end := blockKey(to + 1)
		it, err := s.log.NewIter(&pebble.IterOptions{UpperBound: end[:]})
		if err != nil {
			yield(Record{}, fmt.Errorf("read records from %d: %w", from, err))
			return
		}
		defer it.Close()
		seekBlock(it, from)
		if err := yieldRecords(it, from, to, yield); err != nil {
			yield(Record{}, fmt.Errorf("read records from %d: %w", from, err))
		}
	}
}

func yieldRecords(it *pebble.Iterator, from, to uint64, yield func(Record, error) bool) error {
	var b decodedBlock
	for from <= to {
		if !it.Valid() {
			return errors.Join(it.Error(), fmt.Errorf("record %d: %w", from, ErrNotFound))
		}
		h, value, err := headerAt(it)
		if err != nil {
			return err
		}
		if from < h.first || from > h.lastSeq() {
			return fmt.Errorf("record %d is missing: the next block starts at %d", from, h.first)
		}
		b.header = h
		poison(b.records)
		if b.records, b.ends, err = h.appendRecords(b.records[:0], b.ends[:0], value); err != nil {
			return err
		}
		for ; from <= min(to, h.lastSeq()); from++ {
			if !yield(Record{Seq: from, Bytes: b.record(from), TimeMs: h.timeMs}, nil) {
				return nil
			}
		}
		it.Next()
	}
	return nil
}
