package audit

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// Older is a copy of a log that has the entries whose bodies a store has pruned: an archive. Commits
// and Record are as those of a store, and Commits may be used beside Record. What is ErrUnread is no
// finding.
type Older struct {
	Commits func(from uint64) iter.Seq2[*store.Commit, error]
	Record  func(seq uint64, dst []byte) ([]byte, error)
}

// ErrUnread is what a copy says that does not answer now: nothing follows from it.
var ErrUnread = errors.New("it could not be read")

// log is a whole log: the pruned commits of it from the copy, the others from the store.
type log struct {
	store *store.Store
	older *Older // nil: nothing was pruned
	first uint64 // kept in the store
}

func (l *log) record(seq uint64, dst []byte) ([]byte, error) {
	if l.older != nil && seq < l.first {
		return l.older.Record(seq, dst)
	}
	return l.store.Record(seq, dst)
}

var errNowhere = errors.New("it is neither in the log nor in the archive")

// commits yields all commits. The one that the store has the end of comes from the copy, and what the
// store has of it has to be the same.
func (l *log) commits(yield func(*store.Commit, error) bool) {
	next := uint64(1)
	if l.older != nil {
		for c, err := range l.older.Commits(1) {
			if err == nil {
				err = l.sameRest(c)
			}
			if !yield(c, err) || err != nil {
				return
			}
			if next = c.Last() + 1; next >= l.first {
				break
			}
		}
		if next < l.first {
			yield(nil, fmt.Errorf("entry %d: %w", next, errNowhere))
			return
		}
	}
	for c, err := range l.store.Commits(next) {
		if !yield(c, err) {
			return
		}
	}
}

// sameRest compares what the store still has of a commit.
func (l *log) sameRest(c *store.Commit) error {
	var kept []byte
	for seq := max(c.First, l.first); seq <= c.Last(); seq++ {
		var err error
		if kept, err = l.store.Record(seq, kept[:0]); err != nil {
			return err
		}
		i, start := seq-c.First, uint32(0)
		if i > 0 {
			start = c.Ends[i-1]
		}
		if !bytes.Equal(kept, c.Records[start:c.Ends[i]]) {
			return fmt.Errorf("entry %d is another one in the archive", seq)
		}
	}
	return nil
}

// prunedRows checks what the state keeps of the entries of a commit whose bodies it has pruned.
func (a *audit) prunedRows(c *commit) error {
	var content []byte
	for i := range c.Ends {
		seq := c.First + uint64(i)
		if seq >= a.log.first || a.store.StateErr() != nil {
			return nil
		}
		block, at := (seq-1)/merkle.BlockLeaves, (seq-1)%merkle.BlockLeaves
		if at == 0 || a.leaves == nil {
			var err error
			if a.leaves, _, err = a.store.LookupTile(0, block, a.leaves[:0]); err != nil {
				return &Finding{seq, seq, err}
			}
		}
		if len(a.leaves) != merkle.BlockLeaves*merkle.HashSize || merkle.Hash(a.leaves[at*merkle.HashSize:]) != c.leaves[i] {
			return &Finding{seq, seq, errors.New("its leaf hash, which is kept in the place of its body, is not that of the entry")}
		}
		entry, _ := c.entry(i)
		content = entry.AppendContent(content[:0])
		leaf := merkle.Blake3.Leaf(content)
		if digest, known, err := a.store.LookupContent(seq); err != nil || !known || !bytes.Equal(digest[:], leaf[:len(digest)]) {
			return &Finding{seq, seq, errors.Join(errors.New("the digest that is kept in the place of its body is not that of the entry"), err)}
		}
	}
	return nil
}
