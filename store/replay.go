package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Tail is the end of the durable log.
type Tail struct {
	First  uint64   // sequence number of the first record that is kept: 1 when nothing was pruned, 0 when empty
	Size   uint64   // sequence number of the last durable record; 0 when the log is empty
	Root   [32]byte // root at that size
	TimeMs int64    // of the last commit
}

// Last returns the end of the durable log, or ErrClosed. It never waits for a write and is safe for
// concurrent use.
func (s *Store) Last() (Tail, error) {
	if s.closed.Load() {
		return Tail{}, ErrClosed
	}
	return s.durable(), nil
}

func (s *Store) durable() Tail {
	s.tailMu.RLock()
	defer s.tailMu.RUnlock()
	return s.tail
}

// advance moves the tail behind c, which is durable.
func (s *Store) advance(c *Commit) {
	s.tailMu.Lock()
	defer s.tailMu.Unlock()
	if s.tail.Size == 0 {
		s.tail.First = c.First
	}
	s.tail.Size, s.tail.Root, s.tail.TimeMs = c.Last(), c.Root, c.TimeMs
}

// readTail finds both ends of the log by two seeks.
func readTail(db *pebble.DB) (t Tail, err error) {
	it, err := db.NewIter(nil)
	if err != nil {
		return Tail{}, fmt.Errorf("read the end of the log: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.First() {
		return Tail{}, fromEngine(it.Error())
	}
	first, _, err := headerAt(it)
	if err != nil {
		return Tail{}, err
	}
	if !it.Last() {
		return Tail{}, fmt.Errorf("read the end of the log: %w", fromEngine(it.Error()))
	}
	last, _, err := headerAt(it)
	if err != nil {
		return Tail{}, err
	}
	if !last.last {
		return Tail{}, fmt.Errorf("read the end of the log: the block at %d does not end its commit, so what follows it is lost", last.first)
	}
	return Tail{First: first.first, Size: last.lastSeq(), Root: last.root, TimeMs: last.timeMs}, nil
}

// headerAt decodes the header of the block that it stands on and returns the block too, valid until
// it moves.
func headerAt(it *pebble.Iterator) (blockHeader, []byte, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return blockHeader{}, nil, fmt.Errorf("read log block at key %x: %w", it.Key(), fromEngine(err))
	}
	h, err := decodeBlockHeader(it.Key(), value)
	return h, value, err
}

// seekBlock puts it on the block that holds seq, or on the block after the place where it would be.
func seekBlock(it *pebble.Iterator, seq uint64) bool {
	after := blockKey(seq + 1)
	if it.SeekLT(after[:]) {
		return true
	}
	if it.Error() == nil {
		return it.First()
	}
	return seekBesideDamage(it, seq)
}

// seekBesideDamage is seekBlock where what follows the block cannot be read, which a seek backwards
// would do: it comes from a block that is known to begin at a multiple of the leaves of a block.
func seekBesideDamage(it *pebble.Iterator, seq uint64) bool {
	from := blockKey((seq-1)/blockLeaves*blockLeaves + 1)
	for ok := it.SeekGE(from[:]); ok; ok = it.Next() {
		if h, _, err := headerAt(it); err != nil || h.lastSeq() >= seq {
			return err == nil
		}
	}
	return false
}

// seekCommit puts it on the first kept block of the commit that holds seq.
func seekCommit(it *pebble.Iterator, seq uint64) (bool, error) {
	if !seekBlock(it, seq) {
		return false, fromEngine(it.Error())
	}
	for it.Prev() {
		h, _, err := headerAt(it)
		if err != nil {
			return false, err
		}
		if h.last {
			return it.Next(), fromEngine(it.Error())
		}
	}
	if err := it.Error(); err != nil {
		return false, fromEngine(err)
	}
	return it.First(), fromEngine(it.Error())
}

// Commits yields the durable commits in order, from the one that holds sequence number from (0 and 1
// mean the beginning) to the one that was the last when the iteration began. The Commit and its
// buffers are reused: they hold until the next step. A gap in the log, a pruned beginning, or a block
// that does not decode ends the iteration with a *Damage that names the place; an error that is none
// says nothing of the log.
func (s *Store) Commits(from uint64) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		from, tail := max(from, 1), s.durable()
		if from > tail.Size {
			return
		}
		end := blockKey(tail.Size + 1)
		it, err := s.log.NewIter(&pebble.IterOptions{UpperBound: end[:]})
		if err != nil {
			yield(nil, fmt.Errorf("replay the log from %d: %w", from, err))
			return
		}
		defer it.Close()
		r := replay{it: it}
		if err := r.start(from); err != nil {
			yield(nil, damageAt(from, err))
			return
		}
		for r.next <= tail.Size {
			next := r.next
			if err := r.step(); err != nil {
				yield(nil, damageAt(next, err))
				return
			}
			if !yield(&r.commit, nil) {
				return
			}
		}
	}
}

// replay assembles commits from blocks.
type replay struct {
	it     *pebble.Iterator
	next   uint64 // sequence number that the next block must start with
	commit Commit // reused
}

func (r *replay) start(from uint64) error {
	ok, err := seekCommit(r.it, from)
	if err != nil {
		return fmt.Errorf("replay the log from %d: %w", from, err)
	}
	if !ok {
		return fmt.Errorf("replay the log from %d: it is gone", from)
	}
	r.next = binary.BigEndian.Uint64(r.it.Key())
	if r.next > from {
		return fmt.Errorf("replay the log from %d: it begins at %d, sequence numbers %d..%d are missing", from, r.next, from, r.next-1)
	}
	return nil
}

// step reads the blocks of one commit into r.commit and moves behind them.
func (r *replay) step() error {
	c := &r.commit
	poison(c.Records)
	*c = Commit{First: r.next, Records: c.Records[:0], Ends: c.Ends[:0], Groups: c.Groups[:0]}
	for {
		h, value, err := r.block()
		if err != nil {
			return err
		}
		if err := c.addBlock(&h, value); err != nil {
			return err
		}
		r.next = h.lastSeq() + 1
		r.it.Next()
		if h.last {
			c.Count, c.Root, c.TimeMs = len(c.Ends), h.root, h.timeMs
			return c.checkGroups()
		}
	}
}

// addBlock appends the next block of the commit.
func (c *Commit) addBlock(h *blockHeader, value []byte) (err error) {
	if c.Records, c.Ends, err = h.appendRecords(c.Records, c.Ends, value); err != nil {
		return err
	}
	c.Groups, err = h.appendGroups(c.Groups, value)
	return err
}

// poison overwrites a buffer that is about to be reused, so that a caller who kept it notices.
func poison(b []byte) {
	if invariants {
		for i := range b {
			b[i] = 0xcc
		}
	}
}

// block returns the block under the iterator, which must be the next in order.
func (r *replay) block() (blockHeader, []byte, error) {
	if !r.it.Valid() {
		if err := r.it.Error(); err != nil {
			return blockHeader{}, nil, fmt.Errorf("replay the log at %d: %w", r.next, fromEngine(err))
		}
		return blockHeader{}, nil, fmt.Errorf("replay the log at %d: it ends there, within what is durable", r.next)
	}
	h, value, err := headerAt(r.it)
	if err == nil && h.first != r.next {
		err = fmt.Errorf("replay the log: after sequence number %d comes a block that starts at %d: there is a gap or an overlap", r.next-1, h.first)
	}
	return h, value, err
}

// checkGroups checks that the groups are in order and within the commit.
func (c *Commit) checkGroups() error {
	next := c.First
	for _, g := range c.Groups {
		if g.First < next || g.First > c.Last() || g.Count == 0 || uint64(g.Count) > c.Last()-g.First+1 {
			return fmt.Errorf("check commit at %d: its group of %d records at %d does not lie within it, in order", c.First, g.Count, g.First)
		}
		next = g.First + uint64(g.Count)
	}
	return nil
}
