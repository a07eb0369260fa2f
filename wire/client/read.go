package client

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// Account is what one account holds.
type Account struct {
	Name     string
	Known    bool        // an entry has named it
	Size     uint64      // of the durable tree as of which this is
	Root     merkle.Hash // of that tree
	Balances []Balance   // by asset
}

// Account returns what an account holds, as of a durable commit that includes
// everything that this client appended before on the same connection.
func (c *Client) Account(ctx context.Context, name string) (*Account, error) {
	payload, err := c.ask(ctx, wire.FrameAccount, wire.FrameAccountAnswer, &wire.AccountRequest{Name: []byte(name)})
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", name, err)
	}
	var m wire.AccountAnswer
	if fault := m.Decode(payload); !fault.OK() {
		return nil, fmt.Errorf("read account %s: %w", name, decodeFault(wire.FrameAccountAnswer, fault))
	}
	account := &Account{Name: name, Known: m.Known, Size: m.Size, Root: m.Root}
	for b := range m.All() {
		account.Balances = append(account.Balances, Balance{string(b.Account), b.Asset, b.Available, b.Held})
	}
	return account, nil
}

// Accounts yields what the accounts behind after hold that start with prefix, one
// row for each asset, in the order of account and asset, all as of one commit. An
// error is the last thing that it yields.
func (c *Client) Accounts(ctx context.Context, prefix, after string) iter.Seq2[Balance, error] {
	return func(yield func(Balance, error) bool) {
		request := wire.AccountRequest{Listing: true, Prefix: []byte(prefix), After: []byte(after)}
		var m wire.AccountAnswer
		for payload, err := range c.stream(ctx, wire.FrameAccount, wire.FrameAccountAnswer, &request, nil) {
			if err != nil {
				yield(Balance{}, fmt.Errorf("list accounts: %w", err))
				return
			}
			if fault := m.Decode(payload); !fault.OK() {
				yield(Balance{}, fmt.Errorf("list accounts: %w", decodeFault(wire.FrameAccountAnswer, fault)))
				return
			}
			for b := range m.All() {
				if !yield(Balance{string(b.Account), b.Asset, b.Available, b.Held}, nil) {
					return
				}
			}
		}
	}
}

// ToHead as the end of a range means: as far as the ledger goes.
const ToHead = math.MaxUint64

// Entries yields the records from..to, both included, in order; ToHead is as far
// as the ledger goes. A record is valid until the next is asked for. Records that
// the server no longer holds are a ForgottenError. An error is the last thing that
// it yields.
func (c *Client) Entries(ctx context.Context, from, to uint64) iter.Seq2[wire.EntriesRow, error] {
	return func(yield func(wire.EntriesRow, error) bool) {
		next := from
		for next != 0 && next <= to {
			request := wire.EntriesRequest{From: next, To: to}
			next = 0
			for m, err := range c.entries(ctx, &request) {
				if err == nil && request.From <= m.Size && (m.Oldest == 0 || m.Oldest > request.From) {
					err = &ForgottenError{request.From, m.Oldest}
				}
				if err != nil {
					yield(wire.EntriesRow{}, fmt.Errorf("read entries: %w", err))
					return
				}
				for row := range m.All() {
					if !yield(row, nil) {
						return
					}
				}
				next = m.Next
			}
		}
	}
}

func (c *Client) entries(ctx context.Context, request *wire.EntriesRequest) iter.Seq2[*wire.EntriesAnswer, error] {
	return func(yield func(*wire.EntriesAnswer, error) bool) {
		var m wire.EntriesAnswer
		for payload, err := range c.stream(ctx, wire.FrameEntries, wire.FrameEntriesAnswer, request, nil) {
			if err == nil {
				if fault := m.Decode(payload); !fault.OK() {
					err = decodeFault(wire.FrameEntriesAnswer, fault)
				}
			}
			if !yield(&m, err) || err != nil {
				return
			}
		}
	}
}

// Find returns the record of an identity; ok is false when the ledger has none.
// A micronode does not find what its window has forgotten.
func (c *Client) Find(ctx context.Context, account string, nonce wire.Nonce) (row wire.EntriesRow, ok bool, err error) {
	request := wire.EntriesRequest{Account: []byte(account), Nonce: nonce}
	payload, err := c.ask(ctx, wire.FrameEntries, wire.FrameEntriesAnswer, &request)
	if err != nil {
		return row, false, fmt.Errorf("find entry %v of %s: %w", nonce, account, err)
	}
	var m wire.EntriesAnswer
	if fault := m.Decode(payload); !fault.OK() {
		return row, false, fmt.Errorf("find entry %v of %s: %w", nonce, account, decodeFault(wire.FrameEntriesAnswer, fault))
	}
	for row = range m.All() {
		return row, true, nil
	}
	return row, false, nil
}

// Roots is a run of roots.
type Roots struct {
	Roots      []wire.Head // one for each commit, in order
	Next       uint64      // the next since
	Checkpoint []byte      // the newest published checkpoint, a signed note; empty when there is none yet
}

// Roots returns the roots of the commits whose size is greater than since, at most
// limit (0: as many as the server gives at once). When there is none yet it waits
// for one, up to wait or what the server allows.
func (c *Client) Roots(ctx context.Context, since uint64, limit uint32, wait time.Duration) (*Roots, error) {
	request := wire.Roots{Since: since, Limit: limit, WaitMs: uint32(min(max(wait.Milliseconds(), 0), math.MaxUint32))}
	payload, err := c.ask(ctx, wire.FrameRoots, wire.FrameRootsAnswer, &request)
	if err != nil {
		return nil, fmt.Errorf("read roots: %w", err)
	}
	var m wire.RootsAnswer
	if fault := m.Decode(payload); !fault.OK() {
		return nil, fmt.Errorf("read roots: %w", decodeFault(wire.FrameRootsAnswer, fault))
	}
	return &Roots{m.Roots, m.Next, m.Checkpoint}, nil
}

// Status returns the server's report about itself, a JSON object.
func (c *Client) Status(ctx context.Context) ([]byte, error) {
	report, err := c.ask(ctx, wire.FrameStatus, wire.FrameStatusAnswer, &wire.Status{})
	if err != nil {
		return nil, fmt.Errorf("read the status: %w", err)
	}
	return report, nil
}

// Auth swaps the token of the live connection. Connections made later take it
// from the options again.
func (c *Client) Auth(ctx context.Context, token []byte) error {
	p, err := c.live(ctx)
	if err == nil {
		_, err = p.ask(ctx, wire.FrameAuth, wire.FrameOK, &wire.Auth{Token: token})
	}
	if err != nil {
		return fmt.Errorf("swap the token: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = token
	return nil
}
