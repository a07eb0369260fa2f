package client

import (
	"context"
	"fmt"
	"sort"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// AppendResult says what became of a batch. It means that everything it counts as
// booked is durable and covered by Root. The answer to a dry run says what would
// become of it: then nothing is booked, and First and Last are 0.
type AppendResult struct {
	First, Last uint64             // sequence numbers of the entries that are new; 0, 0 when none is
	Size        uint64             // of the tree of the commit that covers the batch
	Root        merkle.Hash        // of that tree
	Accepted    int                // entries that are new
	Results     []wire.EntryResult // of those that are not, in the order of their indexes
	Refused     bool               // an atomic batch of which nothing is booked: Results names what made it fail, and no more
	Balances    []Balance          // where asked for: as of this batch
	Resent      bool               // AppendRetry sent the batch more than once: what is a duplicate may be its own
}

// Balance is what an account holds of an asset.
type Balance struct {
	Account   string
	Asset     wire.Asset
	Available wire.Amount
	Held      wire.Amount
}

// Outcome returns the sequence number of the i-th entry of the batch, and its
// result when it is not plainly new: then seq is that of the earlier entry, or 0
// when the entry was rejected. An entry without either was not booked: since the
// batch was refused for other entries, or since this was a dry run.
func (r *AppendResult) Outcome(i int) (seq uint64, result *wire.EntryResult) {
	before := sort.Search(len(r.Results), func(k int) bool { return int(r.Results[k].Index) >= i })
	if before < len(r.Results) && int(r.Results[before].Index) == i {
		return r.Results[before].Seq, &r.Results[before]
	}
	if r.First == 0 {
		return 0, nil
	}
	return r.First + uint64(i-before), nil
}

// Pending is an append under way.
type Pending struct {
	batch  *Batch
	before [16]byte // what Batch.tried was
	done   chan struct{}
	result AppendResult
	err    error
}

// Batch returns what was submitted.
func (p *Pending) Batch() *Batch { return p.batch }

// Done is closed when there is an outcome, be it that it is unknown.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits for the outcome. When ctx ends first the append goes on, and Wait
// can be called again.
func (p *Pending) Wait(ctx context.Context) (*AppendResult, error) {
	select {
	case <-p.done:
	default:
		select {
		case <-p.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the answer to an append: %w", context.Cause(ctx))
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return &p.result, nil
}

// Submit queues a batch and returns at once, unless too much is under way: then it
// waits for room, or until ctx ends. ctx plays no part once the batch is queued.
// The batch belongs to the client until the Pending is done.
func (c *Client) Submit(ctx context.Context, b *Batch) *Pending {
	p := &Pending{batch: b, done: make(chan struct{})}
	if err := c.submit(ctx, p); err != nil {
		p.fail(err)
	}
	return p
}

func (c *Client) submit(ctx context.Context, p *Pending) error {
	pipe, err := c.forAppend(ctx)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := p.batch.check(&pipe.welcome); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if p.before = p.batch.tried; p.before != [16]byte{} && p.before != pipe.welcome.LogID {
		return fmt.Errorf("append: %w", ErrLedgerReplaced)
	}
	p.batch.tried = pipe.welcome.LogID
	m := p.batch.request()
	if err := pipe.send(ctx, wire.FrameAppend, p, &m); err != nil {
		p.batch.tried = p.before
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

// Append sends a batch and waits for the answer. When ctx ends first the outcome
// is unknown, and the batch MUST NOT be changed: it may still be under way.
func (c *Client) Append(ctx context.Context, b *Batch) (*AppendResult, error) {
	p := c.Submit(ctx, b)
	result, err := p.Wait(ctx)
	if err == nil {
		return result, nil
	}
	select {
	case <-p.done:
		return nil, err
	default:
		return nil, &OutcomeUnknownError{Batch: b, Err: context.Cause(ctx)}
	}
}

func (p *Pending) fail(err error) {
	p.err = err
	close(p.done)
}

// receive takes an APPENDED.
func (p *Pending) receive(header wire.FrameHeader, payload []byte) error {
	if header.Type != wire.FrameAppended || header.Flags&wire.FlagMore != 0 {
		return fmt.Errorf("%w: %v answers APPEND", ErrProtocol, header.Type)
	}
	var view wire.AppendedView
	if fault := view.Decode(payload); !fault.OK() {
		return fmt.Errorf("%w: decode APPENDED: %w", ErrProtocol, fault)
	}
	refused := p.batch.Atomic && view.Accepted == 0 && rejects(&view)
	if !refused && uint64(view.Accepted)+uint64(view.ResultCount) != uint64(p.batch.Len()) {
		return fmt.Errorf("%w: %d new entries and %d results answer a batch of %d", ErrProtocol, view.Accepted, view.ResultCount, p.batch.Len())
	}
	r := &p.result
	r.First, r.Last, r.Size, r.Root = view.First, view.Last, view.Size, view.Root
	r.Accepted, r.Refused = int(view.Accepted), refused
	if view.ResultCount > 0 {
		r.Results = make([]wire.EntryResult, 0, view.ResultCount)
	}
	for result := range view.Results() {
		if int(result.Index) >= p.batch.Len() || len(r.Results) > 0 && result.Index <= r.Results[len(r.Results)-1].Index {
			return fmt.Errorf("%w: results of an APPENDED are out of order", ErrProtocol)
		}
		r.Results = append(r.Results, result)
	}
	for b := range view.Balances() {
		r.Balances = append(r.Balances, Balance{string(b.Account), b.Asset, b.Available, b.Held})
	}
	p.batch.tried = [16]byte{}
	close(p.done)
	return nil
}

// rejects reports whether an entry was rejected.
func rejects(view *wire.AppendedView) bool {
	for result := range view.Results() {
		if result.Outcome == wire.OutcomeRejected {
			return true
		}
	}
	return false
}

func (p *Pending) refused(err error) {
	p.batch.tried = p.before // this try was not booked
	p.fail(fmt.Errorf("append: %w", err))
}

func (p *Pending) lost(err error, maybeSent bool) {
	if maybeSent {
		p.fail(&OutcomeUnknownError{Batch: p.batch, Err: err})
		return
	}
	p.batch.tried = p.before
	p.fail(fmt.Errorf("append: %w: %w", ErrDisconnected, err))
}
