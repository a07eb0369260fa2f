package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The rows of a Checkpoint. Sequence numbers count from 1; 128-bit amounts are little-endian.
type (
	// Indexed names the record of an identity.
	Indexed struct {
		Identity
		Seq uint64
	}
	// AccountRow numbers an account; a number is given once and never changes.
	AccountRow struct {
		Name   []byte // 1..128 bytes without a zero byte
		Number uint64
	}
	// BalanceRow is what an account holds of one asset.
	BalanceRow struct {
		Name      []byte
		Asset     [8]byte
		Available [16]byte
		Held      [16]byte
	}
	// SupplyRow is the supply of one asset.
	SupplyRow struct {
		Asset  [8]byte
		Supply [16]byte
	}
	// HoldRow is what is left of a hold; nothing left removes it.
	HoldRow struct {
		Identity
		Asset     [8]byte
		Remaining [16]byte
	}
	// ReversedRow links a record to its reversal.
	ReversedRow struct {
		Seq      uint64
		Reversal uint64
	}
	// RequestRow links an idem_id to the records of its atomic request.
	RequestRow struct {
		IdemID [16]byte
		First  uint64
		Count  uint32
	}
	// TileRow is a tile of the tree, whole or the current partial one. At most 8 KiB.
	TileRow struct {
		Level uint8
		Index uint64
		Data  []byte
	}
	// RootRow is the root after a commit.
	RootRow struct {
		Seq    uint64 // size of the tree
		Root   [32]byte
		TimeMs int64
	}
)

// Checkpoint is everything derived that changed between the previous mark and Mark.
type Checkpoint struct {
	Mark     Mark
	Index    []Indexed // each identity once; Checkpoint sorts it in place
	Accounts []AccountRow
	Balances []BalanceRow
	Supplies []SupplyRow
	Holds    []HoldRow
	Reversed []ReversedRow
	Requests []RequestRow
	Tiles    []TileRow
	Roots    []RootRow
}

// ErrStateBroken is returned by Checkpoint and Prune after a write of the state has failed. The log
// is not touched by that; opening the store again starts from the last whole checkpoint.
var ErrStateBroken = errors.New("a write of the state has failed before: nothing more is written to it until it is opened again")

// Checkpoint writes c to the state database: the index as a table that is ingested, then the rest
// in one batch that ends with the mark, then a flush. When it returns nil, Mark is c.Mark and survives
// a crash; whatever a crash leaves of a checkpoint under way lies beyond the old mark and does not
// count. c must reach beyond the present mark and end with a commit that is durable in the log. After
// an error the state is broken until the store is opened again; the truth is not.
//
// Look-ups may see c before Checkpoint returns. One goroutine at a time may call it; it may run
// beside Append.
func (s *Store) Checkpoint(c *Checkpoint) error {
	s.state.writeMu.Lock()
	defer s.state.writeMu.Unlock()
	if err := s.checkMark(&c.Mark); err != nil {
		return fmt.Errorf("checkpoint at %d: %w", c.Mark.Size, err)
	}
	if s.readOnly {
		return ErrReadOnly
	}
	if err := s.state.brokenErr(); err != nil {
		return fmt.Errorf("checkpoint at %d: %w", c.Mark.Size, err)
	}
	if err := s.writeCheckpoint(c); err != nil {
		s.state.breakDown(err)
		return fmt.Errorf("checkpoint at %d: %w", c.Mark.Size, err)
	}
	s.state.advance(c)
	return nil
}

// checkMark checks that m goes forward and is the end of a durable commit.
func (s *Store) checkMark(m *Mark) error {
	if old := s.state.mark().Size; m.Size <= old {
		return fmt.Errorf("the mark is at %d already", old)
	}
	if err := m.validate(); err != nil {
		return err
	}
	root, err := s.logRoot(m.Size)
	if err != nil {
		return err
	}
	if root != m.Root {
		return fmt.Errorf("its root %x is not the log's root %x", m.Root, root)
	}
	return nil
}

// logRoot returns the root of the durable commit that ends with seq.
func (s *Store) logRoot(seq uint64) (root [32]byte, err error) {
	tail := s.durable()
	switch {
	case seq == tail.Size:
		return tail.Root, nil
	case seq > tail.Size:
		return root, fmt.Errorf("it is beyond what is durable in the log, %d", tail.Size)
	}
	it, err := s.log.NewIter(nil)
	if err != nil {
		return root, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !seekBlock(it, seq) {
		return root, damageAt(seq, fromEngine(errors.Join(it.Error(), ErrNotFound)))
	}
	h, _, err := headerAt(it)
	if err != nil {
		return root, damageAt(seq, err)
	}
	if h.lastSeq() != seq || !h.last {
		return root, fmt.Errorf("no commit of the log ends there")
	}
	return h.root, nil
}

func (s *Store) writeCheckpoint(c *Checkpoint) error {
	if err := s.state.ingestIndex(s, c); err != nil {
		return err
	}
	b := s.state.db.NewBatchWithSize(c.sizeHint())
	err := c.encode(b)
	if err == nil {
		err = b.Commit(pebble.NoSync)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return s.state.flush()
}

func (c *Checkpoint) sizeHint() int {
	n := 4096 + 96*len(c.Balances) + 64*(len(c.Accounts)+len(c.Holds)+len(c.Requests)+len(c.Roots)+len(c.Supplies)+len(c.Reversed))
	for _, t := range c.Tiles {
		n += 16 + len(t.Data)
	}
	return n
}

// encode puts every row but the index into the batch, and the mark last.
func (c *Checkpoint) encode(b *pebble.Batch) error {
	w := rowWriter{b: b}
	for i := range c.Accounts {
		r := &c.Accounts[i]
		w.checkName(r.Name)
		w.set(appendNameKey(w.key[:0], keyAccount, r.Name), binary.BigEndian.AppendUint64(w.value[:0], r.Number))
	}
	for i := range c.Balances {
		r := &c.Balances[i]
		w.checkName(r.Name)
		w.set(appendBalanceKey(w.key[:0], r.Name, &r.Asset), append(append(w.value[:0], r.Available[:]...), r.Held[:]...))
	}
	for i := range c.Supplies {
		r := &c.Supplies[i]
		w.set(append(append(w.key[:0], keySupply), r.Asset[:]...), append(w.value[:0], r.Supply[:]...))
	}
	for i := range c.Holds {
		r := &c.Holds[i]
		key := appendIdentityKey(w.key[:0], keyHold, &r.Identity)
		if r.Remaining == [16]byte{} {
			w.delete(key)
			continue
		}
		w.set(key, append(append(w.value[:0], r.Asset[:]...), r.Remaining[:]...))
	}
	for _, r := range c.Reversed {
		w.set(appendSeqKey(w.key[:0], keyReversed, r.Seq), binary.BigEndian.AppendUint64(w.value[:0], r.Reversal))
	}
	for i := range c.Requests {
		r := &c.Requests[i]
		value := binary.BigEndian.AppendUint64(w.value[:0], r.First)
		w.set(append(append(w.key[:0], keyRequest), r.IdemID[:]...), binary.BigEndian.AppendUint32(value, r.Count))
	}
	for _, r := range c.Tiles {
		w.set(appendTileKey(w.key[:0], r.Level, r.Index), r.Data)
	}
	for i := range c.Roots {
		r := &c.Roots[i]
		value := append(w.value[:0], r.Root[:]...)
		w.set(appendSeqKey(w.key[:0], keyRoot, r.Seq), binary.BigEndian.AppendUint64(value, uint64(r.TimeMs)))
	}
	w.set([]byte{keyMark}, c.Mark.encode())
	return w.err
}

// rowWriter sets rows in a batch and remembers the first error.
type rowWriter struct {
	b     *pebble.Batch
	err   error
	key   [stateKeyMax]byte
	value [64]byte
}

func (w *rowWriter) set(key, value []byte) {
	if w.err == nil {
		w.err = w.b.Set(key, value, nil)
	}
}

func (w *rowWriter) delete(key []byte) {
	if w.err == nil {
		w.err = w.b.Delete(key, nil)
	}
}

func (w *rowWriter) checkName(name []byte) {
	if w.err == nil && !validName(name) {
		w.err = fmt.Errorf("account name of %d bytes is empty, too long or holds a zero byte", len(name))
	}
}

func validName(name []byte) bool {
	return len(name) > 0 && len(name) <= accountNameMax && bytes.IndexByte(name, 0) < 0
}

// Names of the tables of identities on their way into the database.
var indexTableNames = [...]string{"index.ingest", "index-late.ingest"}

// ingestIndex writes the identities as sorted tables and ingests them. Those above
// every nonce before make one of their own: it overlaps nothing and stays where it
// is ingested, at the bottom. Nonces that rise but for those that were under way at
// the same time leave only stragglers for the other table, which compaction has to
// merge.
func (st *state) ingestIndex(s *Store, c *Checkpoint) error {
	if len(c.Index) == 0 {
		return nil
	}
	for i := range c.Index {
		if c.Index[i].Seq > c.Mark.Size {
			return fmt.Errorf("index of record %d lies beyond the mark", c.Index[i].Seq)
		}
	}
	c.Index = st.order.sort(c.Index)
	highest := s.HighestNonce()
	rising, _ := slices.BinarySearchFunc(c.Index, highest, func(row Indexed, nonce [16]byte) int {
		if bytes.Compare(row.Nonce[:], nonce[:]) > 0 {
			return 1
		}
		return -1
	})
	var paths []string
	for i, rows := range [...][]Indexed{c.Index[rising:], c.Index[:rising]} {
		if len(rows) == 0 {
			continue
		}
		path := s.fs.PathJoin(s.dir, indexTableNames[i])
		if err := writeIndexTable(s.fs, path, rows, st.options.MakeWriterOptions(0, st.db.TableFormat())); err != nil {
			return fmt.Errorf("write index table: %w", err)
		}
		paths = append(paths, path)
	}
	if err := st.db.Ingest(context.Background(), paths); err != nil {
		return fmt.Errorf("ingest index tables: %w", err)
	}
	return nil
}

func writeIndexTable(fsys vfs.FS, path string, index []Indexed, o sstable.WriterOptions) error {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	var key [stateKeyMax]byte
	var value [8]byte
	for i := range index {
		binary.BigEndian.PutUint64(value[:], index[i].Seq)
		if err := w.Set(appendIdentityKey(key[:0], keyIndex, &index[i].Identity), value[:]); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}
