package client

import (
	"context"
	"fmt"
	"io"

	"github.com/rustyonions/ron-ledger/wire"
)

// Admin carries out an act of administration and writes its answer to w. It takes the right to
// administer. After an error what was written is of no use.
func (c *Client) Admin(ctx context.Context, m *wire.Admin, w io.Writer) error {
	for piece, err := range c.stream(ctx, wire.FrameAdmin, wire.FrameAdminAnswer, m, nil) {
		if err == nil {
			_, err = w.Write(piece)
		}
		if err != nil {
			return fmt.Errorf("administer, %v: %w", m.Command, err)
		}
	}
	return nil
}
