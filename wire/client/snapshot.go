package client

import (
	"context"
	"fmt"
	"io"

	"github.com/rustyonions/ron-ledger/wire"
)

// Snapshot writes a copy of the whole ledger, which the server makes meanwhile, to w: a file that
// ledgerctl snapshot restore takes. Commits go on. It takes the right to administer. After an error
// what was written is of no use.
func (c *Client) Snapshot(ctx context.Context, w io.Writer) error {
	return c.snapshot(ctx, &wire.Snapshot{}, w)
}

// SnapshotToArchive has the server put a copy of the whole ledger into its archive, where a take-over begins with it.
// What it is, in JSON, is written to w when it is there. It takes the right to administer.
func (c *Client) SnapshotToArchive(ctx context.Context, w io.Writer) error {
	return c.snapshot(ctx, &wire.Snapshot{ToArchive: true}, w)
}

func (c *Client) snapshot(ctx context.Context, m *wire.Snapshot, w io.Writer) error {
	for piece, err := range c.stream(ctx, wire.FrameSnapshot, wire.FrameSnapshotAnswer, m, nil) {
		if err == nil {
			_, err = w.Write(piece)
		}
		if err != nil {
			return fmt.Errorf("take a snapshot: %w", err)
		}
	}
	return nil
}
