package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Defaults of BatcherOptions.
const (
	DefaultBatchSize     = 256
	DefaultBatchLinger   = 2 * time.Millisecond
	DefaultBatchInflight = 16
)

// batcherBytes is the length at which a batch is sent even with fewer entries than
// its size: half of the shortest limit of a frame.
const batcherBytes = wire.DefaultMaxFrame / 2

// BatcherOptions say when a batch is sent. Zero stands for the default.
type BatcherOptions struct {
	Size     int           // entries
	Linger   time.Duration // after its first entry
	Inflight int           // batches that may be under way; beyond that Add waits
}

// Batcher makes batches of single entries from any number of goroutines, and sends
// each as AppendRetry does. An entry costs no allocation, a batch a few.
//
// Batches are sent in the order in which their entries were added. When one is
// refused as busy, or the connection breaks, those under way with it may be committed
// in another order; with an Inflight of 1 the order is kept always.
type Batcher struct {
	client *Client
	o      BatcherOptions
	ctx    context.Context
	slots  chan struct{} // one for each group that is not done
	ready  chan *group   // to be sent, in order
	sender sync.WaitGroup
	timer  *time.Timer

	mu     sync.Mutex
	group  *group // being filled; nil: none
	free   []*Batch
	closed bool
}

// group is a batch with those who wait for it.
type group struct {
	batch  *Batch
	done   chan struct{}
	result *AppendResult
	err    error
}

// Future is what becomes of one entry.
type Future struct {
	group *group
	index int
}

// Booked says under which number an entry is in the ledger.
type Booked struct {
	Seq       uint64
	Duplicate bool // it was there before, perhaps by a try of its own whose answer was lost
}

// RejectedError says that an entry was judged and not booked.
type RejectedError struct {
	Reason wire.Reason
	Detail string // for people
	Offset int    // of the offending byte in the entry, where there is one
}

// Error names the reason and what the server said about it.
func (e *RejectedError) Error() string {
	return (&ReasonError{Reason: e.Reason, Detail: e.Detail}).Error()
}

// NewBatcher starts a Batcher. Its tries go on until ctx ends; then what is under way
// fails. The caller MUST call Close.
func NewBatcher(ctx context.Context, c *Client, o BatcherOptions) (*Batcher, error) {
	if o.Size < 0 || o.Linger < 0 || o.Inflight < 0 {
		return nil, errors.New("batcher options: Size, Linger or Inflight is below zero")
	}
	o.Size, o.Inflight = orDefault(o.Size, DefaultBatchSize), orDefault(o.Inflight, DefaultBatchInflight)
	o.Linger = orDefault(o.Linger, DefaultBatchLinger)
	if limit := int(c.Welcome().MaxEntriesPerRequest); limit > 0 {
		o.Size = min(o.Size, limit)
	}
	b := &Batcher{client: c, o: o, ctx: ctx, slots: make(chan struct{}, o.Inflight), ready: make(chan *group, o.Inflight)}
	b.timer = time.AfterFunc(time.Hour, b.Flush)
	b.timer.Stop()
	b.sender.Go(b.send)
	return b, nil
}

func orDefault[T int | time.Duration](value, standard T) T {
	if value == 0 {
		return standard
	}
	return value
}

// Add encodes an entry and returns its future. It waits, until ctx ends, while too
// many batches are under way. An error means that the entry was not taken.
func (b *Batcher) Add(ctx context.Context, f *wire.Fields) (Future, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.begin(ctx); err != nil {
		return Future{}, fmt.Errorf("add an entry: %w", err)
	}
	g := b.group
	if err := g.batch.Add(f); err != nil {
		return Future{}, err
	}
	future := Future{g, g.batch.Len() - 1}
	switch {
	case g.batch.Len() == b.o.Size || g.batch.Size() > batcherBytes:
		b.flush()
	case future.index == 0:
		b.timer.Reset(b.o.Linger)
	}
	return future, nil
}

// begin makes sure that there is a group to fill. It holds b.mu, and lets it go while
// it waits for room.
func (b *Batcher) begin(ctx context.Context) error {
	for b.group == nil {
		if b.closed {
			return ErrClosed
		}
		select {
		case b.slots <- struct{}{}:
		default:
			b.mu.Unlock()
			err := b.awaitSlot(ctx)
			b.mu.Lock()
			if err != nil {
				return err
			}
			if b.group != nil || b.closed {
				<-b.slots
				continue
			}
		}
		b.group = &group{batch: b.blank(), done: make(chan struct{})}
	}
	return nil
}

func (b *Batcher) awaitSlot(ctx context.Context) error {
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// blank returns an empty batch.
func (b *Batcher) blank() *Batch {
	if n := len(b.free); n > 0 {
		batch := b.free[n-1]
		b.free = b.free[:n-1]
		return batch
	}
	return new(Batch)
}

// Flush sends what was added, without waiting for the rest of a batch.
func (b *Batcher) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flush()
}

func (b *Batcher) flush() {
	if b.group == nil || b.group.batch.Len() == 0 {
		return
	}
	b.timer.Stop()
	b.ready <- b.group // has room: there are no more groups than slots
	b.group = nil
}

// send sends groups in their order.
func (b *Batcher) send() {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	for g := range b.ready {
		used := b.client.token()
		pending := b.client.Submit(b.ctx, g.batch)
		underWay.Go(func() { b.finish(g, pending, used) })
	}
}

// finish waits for the answer, whatever tries that takes, and tells those who wait.
func (b *Batcher) finish(g *group, pending *Pending, used []byte) {
	g.result, g.err = pending.Wait(b.ctx)
	if g.err != nil {
		select {
		case <-pending.Done():
			g.result, g.err = b.client.tryAgain(b.ctx, g.batch, g.err, used)
		default: // ctx has ended amid the request
			g.err = &OutcomeUnknownError{Batch: g.batch, Err: g.err}
		}
	}
	batch := g.batch
	g.batch = nil
	close(g.done)
	if g.err == nil {
		batch.Reset()
		b.mu.Lock()
		b.free = append(b.free, batch)
		b.mu.Unlock()
	}
	<-b.slots
}

// Close sends what was added and waits until all of it is answered, or ctx of
// NewBatcher has ended.
func (b *Batcher) Close() {
	b.mu.Lock()
	if !b.closed {
		b.flush()
		b.closed = true
		close(b.ready)
	}
	b.mu.Unlock()
	b.timer.Stop()
	b.sender.Wait()
}

// Done is closed when it is known what became of the entry.
func (f Future) Done() <-chan struct{} { return f.group.done }

// Wait waits until it is known what became of the entry. Its errors are a
// RejectedError, what AppendRetry returns for the whole batch, or that ctx ended: then
// the append goes on, and Wait can be called again.
func (f Future) Wait(ctx context.Context) (Booked, error) {
	select {
	case <-f.group.done:
	case <-ctx.Done():
		return Booked{}, fmt.Errorf("wait for an entry: %w", context.Cause(ctx))
	}
	if f.group.err != nil {
		return Booked{}, f.group.err
	}
	seq, told := f.group.result.Outcome(f.index)
	if told != nil && told.Outcome == wire.OutcomeRejected {
		return Booked{}, &RejectedError{told.Reason, told.Detail, int(told.Offset)}
	}
	return Booked{Seq: seq, Duplicate: told != nil}, nil
}
