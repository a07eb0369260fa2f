package committer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Options are the knobs of a committer. Zero values mean the defaults.
type Options struct {
	// QueueRequests is how many admitted requests may wait (queues.commit,
	// default 1000). Submit answers busy beyond it, and to a lane beyond its Share.
	QueueRequests int
	// BatchMaxEntries ends a commit once it holds that many entries
	// (commit.batch_max_entries, default 1024). A request is never split, so a
	// commit exceeds it by less than one request.
	BatchMaxEntries int
	// CheckpointEntries is the length of a checkpoint interval in entries
	// (checkpoint.interval_entries, default 65,536).
	CheckpointEntries int
	// CacheAccounts bounds the accounts in memory that are not waiting for a
	// checkpoint (cache.accounts, default 262,144).
	CacheAccounts int
	// FilterBytes bounds the filter that spares random nonces their look-up
	// (idempotency.filter_bytes, default 32 MiB: 24 million entries at 1 %). A
	// ledger with a window has none.
	FilterBytes int
	// WindowEntries is how many entries the ledger remembers; older ones leave
	// bodies, identities and roots behind (micronode). 0 = all, for ever.
	WindowEntries uint64

	// NowMs returns Unix milliseconds for the time that is recorded with a root;
	// no decision depends on it. Required.
	NowMs func() int64
	// NowNs returns monotonic nanoseconds for the metrics. Required.
	NowNs func() int64
	// Observe is called by the publisher after each commit; it MUST NOT block
	// and MUST NOT keep the CommitInfo.
	Observe func(*CommitInfo)
	// Durable, where it is set, holds back what is durable: a commit is told only once Release was
	// called with its size. Durable is called with the size of each commit when it is durable; it MUST
	// NOT block.
	Durable func(size uint64)
	// Fatal is called when the state of the ledger is unknown: it MUST NOT
	// return. Required.
	Fatal func(what string)
	Log   *zap.Logger
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value *int
		ifNot int
	}{{&o.QueueRequests, 1000}, {&o.BatchMaxEntries, 1024}, {&o.CheckpointEntries, 65_536}, {&o.CacheAccounts, 262_144}, {&o.FilterBytes, 32 << 20}} {
		if *d.value <= 0 {
			*d.value = d.ifNot
		}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
}

// checkpointBacklog is how many intervals of entries may lie in memory. Beyond it
// nothing is taken from the queue until the checkpoint in progress is complete,
// so that a slow state directory slows appends down and cannot exhaust memory.
const checkpointBacklog = 4

// Committer is the one writer of a ledger.
type Committer struct {
	options Options
	store   *store.Store
	ledger  *ledger
	tiles   merkle.Tiles

	queue    *queue
	refusing atomic.Uint32

	open    *pending // being filled
	writing *pending // with the writer, until written says that it is durable
	lastMs  int64    // time of the newest root: times of roots never decrease

	toWriter    chan *pending
	written     chan struct{}
	toPublisher chan *pending
	recycled    chan *pending
	gate        *gate // before the publisher; nil: nothing is held back

	closing        chan struct{} // closed by Close
	closeOnce      sync.Once
	toCheckpointer chan *checkpointJob
	checkpointed   chan *checkpointJob
	inCheckpoint   bool
	cutAt          uint64     // size of the tree when the last interval was cut
	awaiting       []*Request // answered once a checkpoint covers everything before them

	head   atomic.Pointer[Head]
	stats  counters
	ended  sync.WaitGroup
	loss   atomic.Pointer[Loss]
	record []byte        // buffer of find
	retain atomic.Uint64 // bodies before it may be pruned
	blocks []merkle.Hash // buffer of grow

	// Of an interval that the store knows, to be used again.
	spare     *store.Checkpoint
	spareMaps recent

	recovered Recovered
	epoch     Epoch
	trusting  bool // recover does not hold the log against the head file: what that knows beyond it is accepted as lost
}

// inFlight is how many commits exist: one open, one with the writer, and those
// whose answers are being told.
const inFlight = 4

// Open recovers the ledger in the store and starts the committer. It replays the
// log behind the newest checkpoint through the code that commits, and compares
// every root.
func Open(s *store.Store, o Options) (*Committer, error) {
	c, err := newCommitter(s, o)
	if err != nil {
		return nil, err
	}
	if err := c.recover(); err != nil {
		return nil, fmt.Errorf("recover the ledger: %w", err)
	}
	if err := c.settleEpoch(); err != nil {
		return nil, fmt.Errorf("recover the ledger: %w", err)
	}
	durable := c.ledger.seq
	if o.Durable != nil {
		c.gate = newGate(durable)
	}
	c.ended.Go(func() { c.write(durable) })
	c.ended.Go(c.publish)
	c.startFilter()
	c.ended.Go(c.checkpoints)
	c.ended.Go(c.run)
	return c, nil
}

// newCommitter returns a committer that has not begun.
func newCommitter(s *store.Store, o Options) (*Committer, error) {
	if o.NowMs == nil || o.NowNs == nil || o.Fatal == nil {
		return nil, errors.New("open committer: NowMs, NowNs and Fatal are required")
	}
	o.setDefaults()
	inFlight := inFlight
	if o.Durable != nil {
		inFlight += heldCommits
	}
	c := &Committer{
		options: o, store: s,
		queue:       newQueue(o.QueueRequests),
		toWriter:    make(chan *pending, 1),
		written:     make(chan struct{}, 1),
		toPublisher: make(chan *pending, inFlight),
		recycled:    make(chan *pending, inFlight),

		closing:        make(chan struct{}),
		toCheckpointer: make(chan *checkpointJob, 1),
		checkpointed:   make(chan *checkpointJob, 1),
	}
	for range inFlight - 1 {
		c.recycled <- new(pending)
	}
	c.open = new(pending)
	return c, nil
}

// Ready returns 0 when Submit would take an append of that lane now, or why it would
// not: so that nobody does the work of admitting what will be refused.
func (c *Committer) Ready(lane uint32) wire.Reason {
	if reason := c.Refusing(); reason != 0 {
		return reason
	}
	return c.queue.ready(lane)
}

// SetQueueRequests changes Options.QueueRequests. What waits already is committed.
func (c *Committer) SetQueueRequests(n int) { c.queue.setMax(n) }

// Submit hands over a request and returns 0, or says at once why it does not:
// busy, draining, safe_mode or disk_pressure. Requests submitted by one goroutine
// in one lane are committed in that order; lanes are served in turn. It never blocks.
func (c *Committer) Submit(r *Request) wire.Reason {
	if r.Op == OpAppend {
		if len(r.Ends) == 0 {
			panic("committer: a request without entries was submitted")
		}
		if reason := wire.Reason(c.refusing.Load()); reason != 0 {
			return reason
		}
	}
	return c.queue.put(r)
}

// Refuse makes Submit refuse appends for that reason until Refuse(0). Reads go
// on. A ledger in safe mode stays in it.
func (c *Committer) Refuse(reason wire.Reason) {
	c.refusing.Store(uint32(reason))
	if c.Loss() != nil {
		c.refusing.Store(uint32(wire.ReasonSafeMode))
	}
}

// Refusing returns why appends are refused; 0 when they are not.
func (c *Committer) Refusing() wire.Reason { return wire.Reason(c.refusing.Load()) }

// Close stops taking requests, commits what has queued up, answers it, writes a
// last checkpoint and returns. Every request that Submit took is answered.
func (c *Committer) Close(ctx context.Context) error {
	c.closeOnce.Do(func() {
		c.queue.close()
		close(c.closing)
	})
	done := make(chan struct{})
	go func() {
		c.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the committer: %w", ctx.Err())
	}
}

// run is the one goroutine that changes ledger state. A commit takes in what
// arrives while the one before it is being synced; there is no timer.
func (c *Committer) run() {
	defer close(c.toWriter)
	for {
		ended := c.drain()
		if c.writing == nil {
			cut := c.mustCut(ended)
			if cut || !c.open.empty() {
				c.seal(cut)
				continue
			}
			if ended && !c.inCheckpoint {
				return
			}
		}
		changed := c.queue.changed
		if c.full() {
			changed = nil
		}
		select {
		case <-changed:
		case <-c.written:
			c.writing = nil
		case job := <-c.checkpointed:
			c.finishCheckpoint(job)
		}
	}
}

// drain takes what has queued up, as far as the open commit has room, and reports
// whether the queue is closed and empty.
func (c *Committer) drain() (ended bool) {
	for !c.full() {
		r, ok, ended := c.queue.take()
		if !ok {
			return ended
		}
		c.accept(r)
	}
	return false
}

// full reports whether the open commit takes no more, or must wait for a
// checkpoint.
func (c *Committer) full() bool {
	return c.open.commit.Count >= c.options.BatchMaxEntries ||
		len(c.open.requests) >= c.options.BatchMaxEntries ||
		c.inCheckpoint && c.ledger.seq-c.cutAt >= uint64(checkpointBacklog*c.options.CheckpointEntries)
}

// accept makes a request part of the open commit.
func (c *Committer) accept(r *Request) {
	if r.Op == OpCheckpoint {
		c.awaiting = append(c.awaiting, r)
		c.answerCheckpointed()
		return
	}
	if c.open.empty() {
		c.open.openedNs = c.options.NowNs()
	}
	c.open.requests = append(c.open.requests, r)
	if r.Op == OpAppend {
		c.take(r)
	}
}

// seal ends the open commit: reads see what it leaves behind, the root is
// computed, conservation is checked, and the writer gets it. cut asks for a
// checkpoint before its time.
func (c *Committer) seal(cut bool) {
	l, p := c.ledger, c.open
	for _, r := range p.requests {
		switch r.Op {
		case OpAccount:
			c.answerAccount(r)
		case OpFind:
			c.answerFind(r)
		}
	}
	if asset, ok := l.conserved(); !ok {
		c.options.Fatal(fmt.Sprintf("conservation broken before sequence number %d: the balances in asset %q do not add up to its supply", l.seq+1, asset))
	}
	c.lastMs = max(c.lastMs, c.options.NowMs())
	p.size, p.tiles = l.seq, c.tiles.View()
	p.commit.Root = l.frontier.Root()
	p.commit.TimeMs = c.lastMs
	if p.commit.Count > 0 {
		c.noteRoot(&p.commit)
	}
	if cut || !c.inCheckpoint && l.seq-c.cutAt >= uint64(c.options.CheckpointEntries) {
		p.checkpoint = c.cutCheckpoint(p)
	}
	c.stats.accounts.Store(int64(len(l.accounts.byName)))
	c.stats.recent.Store(int64(len(l.current.identities) + len(l.frozen.identities)))
	p.sealedNs = c.options.NowNs()
	c.writing = p
	c.toWriter <- p
	c.open = <-c.recycled // never p: commits come back in order, and there are others
	c.open.reset()
}

// find returns the entry with that sequence number, for the ledger.
func (c *Committer) find(seq uint64) (wire.Entry, error) {
	for _, p := range [...]*pending{c.open, c.writing} {
		if e, ok := p.entry(seq); ok {
			return e, nil
		}
	}
	record, err := c.store.Record(seq, c.record[:0])
	if err != nil {
		return nil, fmt.Errorf("read back entry %d: %w", seq, err)
	}
	c.record = record
	return withoutStamp(record), nil
}
