package client

import (
	"context"
	"errors"
	"fmt"
)

// errDryRun says that a batch books nothing.
var errDryRun = errors.New("a dry run books nothing that could be proven")

// AppendWithReceipts is Append, and when it is answered a receipt of each entry of
// the batch that is in the ledger, by its place in the batch: of new ones and of
// duplicates, which were booked before. The receipt of an entry that was rejected,
// and of all of a refused batch, is nil. Each is verified as Receipt says.
//
// When the result is not nil the batch is answered, whatever the error: then the
// receipts that are missing can be asked for again with Receipt.
func (c *Client) AppendWithReceipts(ctx context.Context, b *Batch) (*AppendResult, []*Receipt, error) {
	if b.DryRun {
		return nil, nil, fmt.Errorf("append with receipts: %w", errDryRun)
	}
	result, err := c.Append(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	receipts, err := c.Receipts(ctx, b, result)
	return result, receipts, err
}

// Receipts returns the receipts of the entries of a batch that was answered with
// result, as AppendWithReceipts says. On an error those that were read are there.
func (c *Client) Receipts(ctx context.Context, b *Batch, result *AppendResult) ([]*Receipt, error) {
	receipts := make([]*Receipt, b.Len())
	for i := range receipts {
		seq, _ := result.Outcome(i)
		if seq == 0 || result.Refused {
			continue
		}
		e := b.Entry(i)
		r, err := c.Receipt(ctx, seq)
		if err == nil && (string(r.Record.Entry().Account()) != string(e.Account()) || r.Record.Entry().Nonce() != e.Nonce()) {
			err = fmt.Errorf("read the receipt of entry %d: %w: it is that of another entry", seq, ErrProtocol)
		}
		if err != nil {
			return receipts, err
		}
		receipts[i] = r
	}
	return receipts, nil
}
