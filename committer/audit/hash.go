package audit

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// chunkRecords is how many records a chunk has before it is handed on.
const chunkRecords = 1024

// commit is one commit of the log, with memory of its own.
type commit struct {
	store.Commit
	leaves []merkle.Hash // of its records
	bad    int           // index of the first record that does not decode; -1 = none
	fault  wire.Fault
}

// entry returns the i-th entry, which the hashers have checked.
func (c *commit) entry(i int) (wire.Entry, wire.Fault) {
	if i == c.bad {
		return nil, c.fault
	}
	return wire.Record(c.record(i)).Entry(), wire.Fault{}
}

func (c *commit) record(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = c.Ends[i-1]
	}
	return c.Records[start:c.Ends[i]]
}

// hash decodes and hashes all records.
func (c *commit) hash(kind merkle.HashKind) {
	c.leaves, c.bad = c.leaves[:0], -1
	for i := range c.Ends {
		b := c.record(i)
		record, fault := wire.NextRecord(b)
		if fault.OK() && len(record) != len(b) {
			fault = wire.Fault{Reason: wire.ReasonMalformed, Offset: len(record), Detail: "bytes follow the record"}
		}
		if !fault.OK() && c.bad < 0 {
			c.bad, c.fault = i, fault
		}
	}
	c.leaves = kind.AppendLeaves(c.leaves, c.Records, c.Ends)
}

// chunk is some commits on their way from the reader over a hasher to the books.
type chunk struct {
	commits []commit
	err     error         // of the reader, behind the commits
	done    chan struct{} // closed when all is hashed
	free    chan<- *chunk
}

// release gives the memory of c back to the reader.
func (c *chunk) release() {
	select {
	case c.free <- c:
	default:
	}
}

// add copies a commit, which is the reader's only until its next step.
func (c *chunk) add(from *store.Commit) {
	n := len(c.commits)
	c.commits = slices.Grow(c.commits, 1)[:n+1]
	to := &c.commits[n]
	records, ends, groups := to.Records, to.Ends, to.Groups
	to.Commit = *from
	to.Records = append(records[:0], from.Records...)
	to.Ends = append(ends[:0], from.Ends...)
	to.Groups = append(groups[:0], from.Groups...)
}

// hashed reads the log and yields its chunks in order, while they are being hashed:
// done has to be awaited. All of its goroutines have ended when it returns.
func hashed(ctx context.Context, s *log, kind merkle.HashKind) iter.Seq[*chunk] {
	return func(yield func(*chunk) bool) {
		ctx, stop := context.WithCancel(ctx)
		workers := runtime.GOMAXPROCS(0)
		free := make(chan *chunk, 4*workers)
		ordered, toHash := make(chan *chunk, 2*workers), make(chan *chunk, 2*workers)
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		running.Go(func() {
			defer close(ordered)
			defer close(toHash)
			readChunks(ctx, s, free, func(c *chunk) bool {
				select {
				case toHash <- c:
				case <-ctx.Done():
					return false
				}
				select {
				case ordered <- c:
				case <-ctx.Done():
					return false
				}
				return true
			})
		})
		for range workers {
			running.Go(func() {
				for c := range toHash {
					for i := range c.commits {
						c.commits[i].hash(kind)
					}
					close(c.done)
				}
			})
		}
		for c := range ordered {
			if !yield(c) {
				return
			}
		}
	}
}

// readChunks reads the log into chunks until send returns false.
func readChunks(ctx context.Context, s *log, free chan *chunk, send func(*chunk) bool) {
	blank := func() *chunk {
		var c *chunk
		select {
		case c = <-free:
		default:
			c = new(chunk)
		}
		*c = chunk{commits: c.commits[:0], done: make(chan struct{}), free: free}
		return c
	}
	c, records := blank(), 0
	for read, err := range s.commits {
		if err != nil {
			c.err = err
			break
		}
		c.add(read)
		if records += read.Count; records < chunkRecords {
			continue
		}
		if !send(c) || ctx.Err() != nil {
			return
		}
		c, records = blank(), 0
	}
	send(c)
}
