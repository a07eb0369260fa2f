package sidecar_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// A ledger in the process of the application: it serves until its context ends, then it
// answers what it has taken and stops.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	config := sidecar.Defaults(sidecar.Micronode) // Macronode keeps it on disk
	config.Home = filepath.Join(dir, "home")
	config.HTTPS.Addr = "127.0.0.1:0"
	config.Log.Level = "error"

	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- sidecar.Run(ctx, config) }()

	fmt.Println(mint(ctx, filepath.Join(config.Home, sidecar.SocketFile)))
	stop()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// booked as 1
	// stopped: <nil>
}

// mint connects as soon as the ledger serves, and appends one entry.
func mint(ctx context.Context, socket string) string {
	var c *client.Client
	var backoff client.Backoff
	for c == nil {
		var err error
		if c, err = client.Dial(ctx, client.Options{Socket: socket}); err != nil {
			if _, again := client.Retryable(err); !again || backoff.Wait(ctx, 0) != nil {
				return err.Error()
			}
		}
	}
	defer func() { _ = c.Close() }()
	var batch client.Batch
	if err := batch.Add(&wire.Fields{Kind: wire.KindMint, Account: "shop/bank", Amount: wire.AmountOf(1000), Nonce: client.NewNonce()}); err != nil {
		return err.Error()
	}
	result, err := c.AppendRetry(ctx, &batch)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint("booked as ", result.First)
}
