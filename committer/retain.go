package committer

import (
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// refPruned says why an entry cannot be reversed any more.
const refPruned = "the entry that ref names is older than what is kept here (retention.keep): book the movement in the other direction"

// errPruned is what a look-up gives of an entry whose body need not be there any more.
var errPruned = fmt.Errorf("its body was pruned: %w", store.ErrNotFound)

// Retain lets the ledger forget the bodies of the entries before that sequence number, which another
// copy MUST have. They go behind the next checkpoints, some at each. Their identities stay known, and
// so do duplicates; they cannot be reversed any more.
//
// A replay begins at a checkpoint and must never need a body that is gone. So what is judged behind
// the cut of a checkpoint already goes without the bodies that are pruned when it is complete: kept
// rises when an interval is cut, and the bodies before it go when that interval is durable.
func (c *Committer) Retain(before uint64) {
	for {
		now := c.retain.Load()
		if before <= now || c.retain.CompareAndSwap(now, before) {
			return
		}
	}
}

// prunedIntervals is how many intervals of bodies go at a checkpoint: more than one, so that a ledger
// whose retention was lowered catches up, and not all at once, since the next checkpoint waits.
const prunedIntervals = 4

// prune forgets bodies behind a checkpoint that is durable.
func (c *Committer) prune(job *checkpointJob) {
	tail, err := c.store.Last()
	if err != nil || job.kept <= tail.First {
		return
	}
	before := min(job.kept, job.rows.Mark.Size, tail.First+uint64(prunedIntervals*c.options.CheckpointEntries))
	kind := c.kind()
	var content []byte
	err = c.store.Retain(before, func(record []byte) ([32]byte, [16]byte) {
		return kind.Leaf(record), contentDigest(withoutStamp(record), &content)
	})
	if err != nil {
		c.options.Fatal(fmt.Sprintf("prune entries before %d: %v", before, err))
	}
}

// contentDigest is a digest of what makes a second entry of an identity a duplicate: all but the
// timestamp.
func contentDigest(e wire.Entry, scratch *[]byte) (digest [16]byte) {
	*scratch = e.AppendContent((*scratch)[:0])
	leaf := merkle.Blake3.Leaf(*scratch)
	copy(digest[:], leaf[:])
	return digest
}

// same reports whether the entry seq has the content of e. Of one whose body is gone the digest says
// it.
func (l *ledger) same(seq uint64, e wire.Entry) (bool, error) {
	booked, err := l.find(seq)
	if err == nil {
		return e.SameContent(booked), nil
	}
	if seq >= l.kept || !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	digest, known, err := l.store.LookupContent(seq)
	if err == nil && !known {
		err = fmt.Errorf("the body of entry %d was pruned, and there is no digest of it", seq)
	}
	var scratch []byte
	return digest == contentDigest(e, &scratch), err
}
