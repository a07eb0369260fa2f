package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"
)

// Commit is what becomes durable at once.
type Commit struct {
	First   uint64   // sequence number of the first record; 1 for the first commit
	Count   int      // number of records, at least 1
	Records []byte   // the records back to back: entry and 24-byte stamp each
	Ends    []uint32 // end offset of each record in Records; len(Ends) == Count
	Groups  []Group  // in order, not overlapping
	Root    [32]byte // root of the tree of size First+Count-1
	TimeMs  int64    // Unix milliseconds
}

// Last returns the sequence number of the commit's last record: the size of the log behind it.
func (c *Commit) Last() uint64 { return c.First + uint64(c.Count) - 1 }

// ErrFailed is returned by everything that would write the log after a write of it has failed.
var ErrFailed = errors.New("the log has failed before: nothing more is written until it is opened again")

// batchRetainedBytes is the memory that the append batch keeps between commits.
const batchRetainedBytes = 4 << 20

// appender owns what Append reuses from commit to commit.
type appender struct {
	batch      *pebble.Batch
	compressed []byte // scratch for one compressed block
	s2         bool
}

func newAppender(db *pebble.DB, compression string) *appender {
	return &appender{
		batch: db.NewBatch(pebble.WithInitialSizeBytes(64<<10), pebble.WithMaxRetainedSizeBytes(batchRetainedBytes)),
		s2:    compression == CompressionS2,
	}
}

// Append makes c durable: one batch, synced. When it returns nil, c MUST survive any crash. When
// the write or its sync fails, or c does not continue the log, Options.Fatal is called and Append
// does not return; called again all the same, it returns ErrFailed. It keeps nothing of c.
//
// One goroutine at a time may call it; it takes a lock, so that a second one waits and then fails on
// the order.
func (s *Store) Append(c *Commit) error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	if s.closed.Load() {
		return ErrClosed
	}
	if s.readOnly {
		return ErrReadOnly
	}
	if s.failed.thrown.Load() {
		return ErrFailed
	}
	if err := s.checkContinues(c); err != nil {
		s.failed.fatal(fmt.Sprintf("append commit at %d: %v", c.First, err))
	}
	s.appender.encode(c)
	s.commitBatch(c)
	if s.failed.thrown.Load() { // a background failure of the log while this commit was on its way
		return ErrFailed
	}
	s.advance(c)
	if err := s.head.write(c.Last(), &c.Root); err != nil {
		s.failed.fatal(err.Error())
	}
	return nil
}

// commitBatch writes and syncs the batch. Some of Pebble's failures are panics.
func (s *Store) commitBatch(c *Commit) {
	defer func() {
		if cause := recover(); cause != nil && !s.failed.thrown.Load() {
			s.failed.fatal(fmt.Sprintf("append commit at %d: %v", c.First, cause))
		} else if cause != nil {
			panic(cause)
		}
	}()
	if err := s.appender.batch.Commit(pebble.Sync); err != nil {
		s.failed.fatal(fmt.Sprintf("append commit at %d: %v", c.First, err))
	}
	s.appender.batch.Reset()
}

// checkContinues checks that c is well formed and begins where the log ends.
func (s *Store) checkContinues(c *Commit) error {
	if s.tailDamage != nil {
		return s.tailDamage
	}
	if want := s.durable().Size + 1; c.First != want {
		return fmt.Errorf("the log goes on at %d", want)
	}
	if c.Count < 1 || len(c.Ends) != c.Count || int(c.Ends[c.Count-1]) != len(c.Records) {
		return fmt.Errorf("%d records, %d ends and %d bytes do not belong together", c.Count, len(c.Ends), len(c.Records))
	}
	start := 0
	for i, end := range c.Ends {
		size := int(end) - start - stampBytes
		if !validEntrySize(size) || size != int(binary.LittleEndian.Uint16(c.Records[start:])) {
			return fmt.Errorf("record %d is %d bytes long, which is not the size that it states", c.First+uint64(i), size)
		}
		start = int(end)
	}
	return c.checkGroups()
}

// encode puts the commit's blocks into the batch.
func (a *appender) encode(c *Commit) {
	groups := c.Groups
	start, done := 0, 0
	for done < c.Count {
		h := blockHeader{first: c.First + uint64(done), timeMs: c.TimeMs}
		h.count = min(c.Count-done, blockLeaves-int((h.first-1)%blockLeaves))
		if h.last = done+h.count == c.Count; h.last {
			h.root = c.Root
		}
		for h.groups < len(groups) && groups[h.groups].First <= h.lastSeq() {
			h.groups++
		}
		end := int(c.Ends[done+h.count-1])
		a.put(&h, groups[:h.groups], c.Records[start:end])
		groups = groups[h.groups:]
		done += h.count
		start = end
	}
}

// put adds one block to the batch, compressed where that is shorter.
func (a *appender) put(h *blockHeader, groups []Group, records []byte) {
	h.rawLen = len(records)
	raw := records
	if a.s2 {
		if need := s2.MaxEncodedLen(len(records)); cap(a.compressed) < need {
			a.compressed = make([]byte, need)
		}
		if compressed := s2.Encode(a.compressed[:cap(a.compressed)], records); len(compressed) < len(records) {
			h.s2, records = true, compressed
		}
	}
	op := a.batch.SetDeferred(8, h.len()+len(records))
	binary.BigEndian.PutUint64(op.Key, h.first)
	h.encode(op.Value, groups)
	copy(op.Value[h.len():], records)
	if invariants {
		checkBlock(op.Key, op.Value, raw)
	}
	op.Finish()
}

// checkBlock panics unless the block decodes to the records that went into it.
func checkBlock(key, value, records []byte) {
	h, err := decodeBlockHeader(key, value)
	if err == nil {
		_, err = h.appendGroups(nil, value)
	}
	var decoded []byte
	if err == nil {
		decoded, _, err = h.appendRecords(nil, nil, value)
	}
	if err != nil || !bytes.Equal(decoded, records) {
		panic(fmt.Sprintf("store: the block at %d does not decode to what went into it: %v", h.first, err))
	}
}
