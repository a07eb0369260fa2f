package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Where an entry keeps its identity.
const (
	entryAccountLenAt = 4
	entryNonceAt      = 16
	entryAccountAt    = 72
)

// pruneBatchBytes bounds the batch of deletions that Prune fills before it writes it.
const pruneBatchBytes = 1 << 20

// Prune forgets what happened before sequence number before: the log's commits that end below it,
// and with them their roots, identities, requests and reversals; balances, holds, supplies, accounts
// and tiles stay. It keeps whole commits, so that a little more than asked for remains, and frees the
// space. before must not be beyond the mark: what was not checkpointed cannot be forgotten. A pruned
// ledger cannot make its state again from the log, so it is for ledgers in memory.
//
// One goroutine at a time may call it; it may run beside Append, and waits for a Checkpoint.
func (s *Store) Prune(before uint64) error {
	st := &s.state
	st.writeMu.Lock()
	defer st.writeMu.Unlock()
	if size := st.markSize(); before > size {
		return fmt.Errorf("prune before %d: the newest checkpoint is at %d", before, size)
	}
	if err := st.brokenErr(); err != nil {
		return fmt.Errorf("prune before %d: %w", before, err)
	}
	first := s.durable().First
	if before <= first {
		return nil
	}
	cut, err := s.commitStart(before)
	if err != nil {
		return fmt.Errorf("prune before %d: %w", before, err)
	}
	if cut <= first {
		return nil
	}
	if err := s.pruneState(first, cut); err != nil {
		st.breakDown(err)
		return fmt.Errorf("prune state before %d: %w", cut, err)
	}
	st.readers.renew()
	if err := s.pruneLog(cut); err != nil {
		return fmt.Errorf("prune log before %d: %w", cut, err)
	}
	return nil
}

// commitStart returns the first sequence number of the commit that holds seq.
func (s *Store) commitStart(seq uint64) (start uint64, err error) {
	it, err := s.log.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	ok, err := seekCommit(it, seq)
	if err != nil || !ok {
		return 0, errors.Join(err, it.Error())
	}
	return binary.BigEndian.Uint64(it.Key()), nil
}

// pruneLog drops the blocks before cut, and the tables that hold nothing else. Pebble takes a read that
// fails while it cuts a table in two for the end of the table, and drops all of it without a word. So
// what it will read is made a table and read here first, where a failure is told.
func (s *Store) pruneLog(cut uint64) error {
	if err := s.guard.during(s.log.Flush); err != nil {
		return err
	}
	if err := s.readSeam(cut); err != nil {
		return err
	}
	s.tailMu.Lock()
	s.tail.First = cut
	s.tailMu.Unlock()
	s.blocks.dropBefore(cut)
	start, end := blockKey(0), blockKey(cut)
	return s.guard.during(func() error {
		return s.log.Excise(context.Background(), pebble.KeyRange{Start: start[:], End: end[:]})
	})
}

// readSeam reads the block that begins at cut, and the one before it.
func (s *Store) readSeam(cut uint64) (err error) {
	it, err := s.log.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !seekBlock(it, cut) {
		return errors.Join(it.Error(), ErrNotFound)
	}
	h, _, err := headerAt(it)
	if err != nil {
		return err
	}
	if h.first != cut {
		return fmt.Errorf("no block of the log begins at %d", cut)
	}
	if it.Prev() {
		_, _, err = headerAt(it)
	}
	return errors.Join(err, it.Error())
}

// pruneState deletes the rows that belong to the records first..cut-1.
func (s *Store) pruneState(first, cut uint64) (err error) {
	p, err := newPruner(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for c, err := range s.Commits(first) {
		if err != nil {
			return err
		}
		if c.First >= cut {
			break
		}
		if err := p.commit(c); err != nil {
			return err
		}
	}
	for _, prefix := range []byte{keyRoot, keyReversed} {
		if err := p.b.DeleteRange(appendSeqKey(nil, prefix, 0), appendSeqKey(nil, prefix, cut), nil); err != nil {
			return err
		}
	}
	if err := p.write(); err != nil {
		return err
	}
	return s.state.flush()
}

// pruner collects deletions of state rows. It looks up rows by the hundred thousand with iterators of its own, which
// ask no filter: a filter is read as a whole, for a row that is nearly always there, and where the cache is too small
// to keep it, again for each.
type pruner struct {
	s               *Store
	b               *pebble.Batch
	index, accounts *pebble.Iterator
	numbers         map[string]uint64 // of accounts, at most pruneAccountsMax
	key             [stateKeyMax]byte
}

// pruneAccountsMax bounds the account numbers that a pruner remembers.
const pruneAccountsMax = 4096

func newPruner(s *Store) (*pruner, error) {
	p := &pruner{s: s, b: s.state.db.NewBatch(), numbers: make(map[string]uint64)}
	var err error
	if p.index, err = s.state.db.NewIter(nil); err == nil {
		p.accounts, err = s.state.db.NewIter(nil)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *pruner) close() error {
	err := p.b.Close()
	for _, it := range []*pebble.Iterator{p.index, p.accounts} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	return err
}

// number returns the value of a row that holds one.
func number(it *pebble.Iterator, key []byte) (n uint64, ok bool, err error) {
	if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
		return 0, false, it.Error()
	}
	value, err := it.ValueAndErr()
	if err == nil && len(value) != 8 {
		err = fmt.Errorf("%w: its row is %d bytes long instead of 8", errRow, len(value))
	}
	if err != nil {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(value), true, nil
}

// account returns the number of an account.
func (p *pruner) account(name []byte) (uint64, bool, error) {
	if n, ok := p.numbers[string(name)]; ok {
		return n, true, nil
	}
	n, ok, err := number(p.accounts, appendNameKey(p.key[:0], keyAccount, name))
	if err != nil || !ok {
		return 0, false, err
	}
	if len(p.numbers) == pruneAccountsMax {
		clear(p.numbers)
	}
	p.numbers[string(name)] = n
	return n, true, nil
}

func (p *pruner) write() error {
	err := p.b.Commit(pebble.NoSync)
	p.b.Reset()
	return err
}

// commit deletes the rows of one commit's records and requests. A row goes only when it still names
// what leaves.
func (p *pruner) commit(c *Commit) error {
	start := uint32(0)
	for i, end := range c.Ends {
		if err := p.record(c.First+uint64(i), c.Records[start:end]); err != nil {
			return err
		}
		start = end
	}
	for i := range c.Groups {
		g := &c.Groups[i]
		if first, _, ok, err := p.s.LookupRequest(g.IdemID); err != nil {
			return err
		} else if ok && first == g.First {
			if err := p.b.Delete(append(append(p.key[:0], keyRequest), g.IdemID[:]...), nil); err != nil {
				return err
			}
		}
	}
	if p.b.Len() >= pruneBatchBytes {
		return p.write()
	}
	return nil
}

func (p *pruner) record(seq uint64, record []byte) error {
	length := int(record[entryAccountLenAt])
	if entryAccountAt+length+stampBytes > len(record) {
		return fmt.Errorf("record %d: its account name reaches beyond its end", seq)
	}
	id := Identity{Nonce: [16]byte(record[entryNonceAt:])}
	account, ok, err := p.account(record[entryAccountAt : entryAccountAt+length])
	if err != nil || !ok {
		return err
	}
	id.Account = account
	key := appendIdentityKey(p.key[:0], keyIndex, &id)
	if indexed, ok, err := number(p.index, key); err != nil || !ok || indexed != seq {
		return err
	}
	return p.b.Delete(key, nil)
}
