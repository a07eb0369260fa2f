package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// contentBytes is how much of a digest is kept of what an entry says.
const contentBytes = 16

// Retain forgets the bodies of the records before sequence number before, and frees their space: of
// each only the hash of its leaf and a digest of its content stay, 48 bytes. Everything derived stays
// too. It cuts at a multiple of 256 leaves, so that a little more than asked for remains, and whoever
// proves something needs nothing but what is there. before must not be beyond the mark. A log that was
// cut cannot make its state again: there has to be another copy of it.
//
// digest returns both for a record. One goroutine at a time may call Retain; it may run beside Append,
// and waits for a Checkpoint. A crash in between leaves the log as it was.
func (s *Store) Retain(before uint64, digest func(record []byte) (leaf [32]byte, content [contentBytes]byte)) error {
	st := &s.state
	st.writeMu.Lock()
	defer st.writeMu.Unlock()
	if size := st.markSize(); before > size {
		return fmt.Errorf("prune bodies before %d: the newest checkpoint is at %d", before, size)
	}
	if err := st.brokenErr(); err != nil {
		return fmt.Errorf("prune bodies before %d: %w", before, err)
	}
	first := s.durable().First
	if before <= first {
		return nil
	}
	cut := (before-1)/blockLeaves*blockLeaves + 1
	if cut <= first {
		return nil
	}
	if err := s.writeDigests(first, cut, digest); err != nil {
		st.breakDown(err)
		return fmt.Errorf("prune bodies before %d: %w", cut, err)
	}
	st.readers.renew()
	if err := s.pruneLog(cut); err != nil {
		return fmt.Errorf("prune bodies before %d: %w", cut, err)
	}
	return nil
}

// writeDigests makes what stays of the records first..cut-1 durable, in rows of a block each.
func (s *Store) writeDigests(first, cut uint64, digest func([]byte) ([32]byte, [contentBytes]byte)) error {
	b := s.state.db.NewBatch()
	defer func() { _ = b.Close() }()
	var leaves, contents []byte
	next := first
	for r, err := range s.Records(first, cut-1) {
		if err != nil {
			return err
		}
		leaf, content := digest(r.Bytes)
		leaves, contents = append(leaves, leaf[:]...), append(contents, content[:]...)
		if next = r.Seq + 1; r.Seq%blockLeaves != 0 {
			continue
		}
		block := (r.Seq - 1) / blockLeaves
		if len(contents) != blockLeaves*contentBytes {
			return fmt.Errorf("the block of records up to %d is not whole", r.Seq)
		}
		err = errors.Join(b.Set(appendTileKey(nil, 0, block), leaves, nil), b.Set(appendSeqKey(nil, keyContents, block), contents, nil))
		if err == nil && b.Len() >= pruneBatchBytes {
			err = b.Commit(pebble.NoSync)
			b.Reset()
		}
		if err != nil {
			return err
		}
		leaves, contents = leaves[:0], contents[:0]
	}
	if next != cut {
		return fmt.Errorf("the log ends at %d", next-1)
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	return s.state.flush()
}

// LookupContent returns the digest of the content of a record whose body was pruned by Retain.
func (s *Store) LookupContent(seq uint64) (content [contentBytes]byte, ok bool, err error) {
	if seq == 0 {
		return content, false, nil
	}
	block := (seq - 1) / blockLeaves
	var row [blockLeaves * contentBytes]byte
	value, ok, err := s.lookup(row[:0], len(row), "digest", func(b []byte) []byte { return appendSeqKey(b, keyContents, block) })
	if ok && err == nil {
		copy(content[:], value[(seq-1)%blockLeaves*contentBytes:])
	}
	return content, ok, err
}
