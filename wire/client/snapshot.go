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
	for piece, err := range c.stream(ctx, wire.FrameSnapshot, wire.FrameSnapshotAnswer, &wire.Snapshot{}, nil) {
		if err == nil {
			_, err = w.Write(piece)
		}
		if err != nil {
			return fmt.Errorf("take a snapshot: %w", err)
		}
	}
	return nil
}
