package committer

import (
	"fmt"
	"sync/atomic"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// Head is a published state of the ledger: everything up to Size is durable.
type Head struct {
	Size   uint64
	Root   merkle.Hash
	TimeMs int64 // when the root was computed; 0 for the empty ledger

	tiles merkle.View   // of the tree at Size
	next  chan struct{} // closed when there is a newer head
}

// Tile returns the data of a tile of the tree at Size, if it is among the newest ones; nil
// otherwise: older ones are in the state. Between a checkpoint and the next, proofs need
// those that the state does not have yet.
func (h *Head) Tile(level uint8, index uint64) []byte { return h.tiles.Tile(level, index) }

// Changed is closed as soon as there is a newer head.
func (h *Head) Changed() <-chan struct{} { return h.next }

// Head returns the newest published state. It never waits.
func (c *Committer) Head() *Head { return c.head.Load() }

// CommitInfo is what the publisher tells the metrics of one commit, valid during
// the call. Times are monotonic nanoseconds. A commit that only answers reads or
// repetitions has no entries.
type CommitInfo struct {
	Entries     int
	Bytes       int
	QueuedNs    []int64 // when each of its requests was submitted
	Oldest      int     // index in QueuedNs of the one that has waited longest
	Origin      Origin  // of that request
	OpenedNs    int64   // the first request was taken
	SealedNs    int64   // the root was known, the writer began
	DurableNs   int64   // the log was synced
	ReleasedNs  int64   // it could be told: where nothing is held back, as soon as it was durable
	PublishedNs int64   // answers were told
}

// counters are the figures that Stats reports.
type counters struct {
	checkpoints atomic.Uint64
	gaps        atomic.Uint64
	accounts    atomic.Int64
	recent      atomic.Int64
}

// Stats are figures for metrics, each current within one commit.
type Stats struct {
	QueueRequests    int // waiting now
	QueueCapacity    int
	BusyRejections   uint64 // found the queue full
	ShareRejections  uint64 // found their lane's share of it full
	Checkpoints      uint64 // complete since the start
	SequenceGaps     uint64 // must stay zero
	AccountsInMemory int64
	RecentIdentities int64 // entries that only memory and the log know
}

// Stats returns the current figures.
func (c *Committer) Stats() Stats {
	s := Stats{
		Checkpoints: c.stats.checkpoints.Load(), SequenceGaps: c.stats.gaps.Load(),
		AccountsInMemory: c.stats.accounts.Load(), RecentIdentities: c.stats.recent.Load(),
	}
	c.queue.figures(&s)
	return s
}

// write makes commits durable, one after the other, from the size that the log
// has. The committer computes the next one meanwhile.
func (c *Committer) write(size uint64) {
	defer close(c.toPublisher)
	for p := range c.toWriter {
		if p.commit.Count > 0 {
			if p.commit.First != size+1 {
				c.stats.gaps.Add(1)
				c.options.Fatal(fmt.Sprintf("sequence gap: the log ends at %d, the next commit begins at %d", size, p.commit.First))
			}
			if err := c.store.Append(&p.commit); err != nil {
				c.options.Fatal("append to the log: " + err.Error())
			}
			size = p.size
			if c.options.Durable != nil {
				c.options.Durable(size)
			}
		}
		p.syncedNs = c.options.NowNs()
		c.toPublisher <- p
		c.written <- struct{}{}
	}
}

// publish tells, in order, what is durable: the head first, then the answers, so
// that whoever has an answer finds the root that covers it.
func (c *Committer) publish() {
	defer close(c.toCheckpointer)
	var info CommitInfo
	for p := range c.toPublisher {
		info = CommitInfo{
			Entries: p.commit.Count, Bytes: len(p.commit.Records), QueuedNs: info.QueuedNs[:0],
			OpenedNs: p.openedNs, SealedNs: p.sealedNs, DurableNs: p.syncedNs, ReleasedNs: p.syncedNs,
		}
		refusal := wire.Reason(0)
		if c.gate != nil {
			refusal = c.gate.wait(p.size)
			info.ReleasedNs = c.options.NowNs()
		}
		if refusal != 0 {
			p.refuse(refusal)
			c.passOn(p)
			continue
		}
		if p.commit.Count > 0 {
			c.setHead(&Head{Size: p.size, Root: p.commit.Root, TimeMs: p.commit.TimeMs, tiles: p.tiles})
		}
		for _, r := range p.requests {
			r.Size, r.Root = p.size, p.commit.Root
			info.QueuedNs = append(info.QueuedNs, r.QueuedNs)
			if last := len(info.QueuedNs) - 1; last == 0 || r.QueuedNs < info.QueuedNs[info.Oldest] {
				info.Oldest, info.Origin = last, r.Origin
			}
			r.Complete(r) // it may be in use again from here on
		}
		info.PublishedNs = c.options.NowNs()
		if c.options.Observe != nil {
			c.options.Observe(&info)
		}
		c.passOn(p)
	}
}

// passOn gives a commit back that was told.
func (c *Committer) passOn(p *pending) {
	if p.checkpoint != nil {
		c.toCheckpointer <- p.checkpoint
	}
	c.recycled <- p // as it is: the committer may still read an entry of it
}

// setHead makes a durable state known and wakes those who wait for one.
func (c *Committer) setHead(head *Head) {
	head.next = make(chan struct{})
	if before := c.head.Swap(head); before != nil {
		close(before.next)
	}
}
