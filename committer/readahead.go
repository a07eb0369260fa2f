package committer

import (
	"iter"
	"math"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// readAheadCommits bounds how many commits of the log are read before they are replayed, and so what a
// replay holds in memory.
const readAheadCommits = 8

// readCommit is a commit of the log with what can be said of it without the commits before it.
type readCommit struct {
	store.Commit
	leaves []merkle.Hash
	loss   *Loss // a record of it has no valid shape; there are no leaves then
	err    error // reading ended with it
}

// readAhead reads the log from a sequence number up to end, checks the shape of the records and hashes
// them, a few commits ahead of the caller, who judges them meanwhile: a start takes two processors that
// way. What it yields is reused once the caller asks for the next.
func (c *Committer) readAhead(from, end uint64) iter.Seq[*readCommit] {
	return func(yield func(*readCommit) bool) {
		read := make(chan *readCommit, readAheadCommits)
		free := make(chan *readCommit, readAheadCommits)
		stop := make(chan struct{})
		for range readAheadCommits {
			free <- new(readCommit)
		}
		go func() {
			defer close(read)
			c.readInto(read, free, stop, from, end)
		}()
		defer func() { // the iterator of the log is closed before the store may be
			close(stop)
			for range read {
			}
		}()
		for r := range read {
			if !yield(r) {
				return
			}
			free <- r
		}
	}
}

// readInto fills what is free until stop is closed.
func (c *Committer) readInto(read chan<- *readCommit, free <-chan *readCommit, stop <-chan struct{}, from, end uint64) {
	for commit, err := range c.store.Commits(from) {
		var r *readCommit
		select {
		case r = <-free:
		case <-stop:
			return
		}
		if r.err = err; err == nil {
			if commit.Last() > end {
				return
			}
			r.take(c.kind(), commit)
		}
		select {
		case read <- r:
		case <-stop:
			return
		}
	}
}

// take copies a commit and hashes its records.
func (r *readCommit) take(kind merkle.HashKind, commit *store.Commit) {
	records, ends, groups := append(r.Records[:0], commit.Records...), append(r.Ends[:0], commit.Ends...), append(r.Groups[:0], commit.Groups...)
	r.Commit = *commit
	r.Records, r.Ends, r.Groups, r.leaves = records, ends, groups, r.leaves[:0]
	if r.loss = checkRecords(commit); r.loss != nil {
		return
	}
	r.leaves = kind.AppendLeaves(r.leaves, records, ends)
}

// wholeLog is an end of reading that is none.
const wholeLog = math.MaxUint64
