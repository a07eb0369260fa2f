// Example is an application with a ledger beside it: it takes nothing but the path of the socket, books a
// movement every so often, and hands a line to the log of its container when something changes.
//
//	RON_LEDGER_SOCKET ─▶ HELLO without a token ─▶ the token that uds.grant hands out ─▶ appends
//
// It shows the three things that an application has to do: make the nonce once, repeat the same entries
// until they are answered, and look at what was refused.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// patience is how long a request is repeated until it is answered: longer than the sidecar takes to come back,
// and shorter than the pod is given to stop.
const patience = 25 * time.Second

func main() {
	every := flag.Duration("every", time.Second, "pause between two requests")
	flag.Parse()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Getenv("RON_LEDGER_SOCKET"), *every); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, socket string, every time.Duration) error {
	c, err := client.Dial(ctx, client.Options{Socket: socket, Name: "example"})
	if err != nil {
		return err
	}
	slog.Info("connected", "rights", c.Welcome().Rights)
	tick := time.NewTicker(every)
	defer tick.Stop()
	booked := 0
	for ctx.Err() == nil {
		n, err := book(ctx, c)
		if err != nil {
			return errors.Join(err, c.Close())
		}
		if booked += n; booked == n || booked%1000 < n {
			slog.Info("booked", "entries", booked)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	slog.Info("stopping", "entries", booked)
	return c.Close()
}

// book mints an amount and passes it on, and waits for the answer also when ctx ends meanwhile. When it gives
// up its nonces are forgotten; an application that must not forget keeps them with the reason for the movement.
func book(ctx context.Context, c *client.Client) (accepted int, err error) {
	batch := new(client.Batch)
	for _, f := range []wire.Fields{
		{Kind: wire.KindMint, Account: "example/source", Amount: wire.AmountOf(100)},
		{Kind: wire.KindTransfer, Account: "example/source", Counterparty: "example/sink", Amount: wire.AmountOf(100)},
	} {
		id, err := uuid.NewV7()
		if err != nil {
			return 0, err
		}
		f.Nonce, f.Timestamp = wire.Nonce(id), time.Now().UnixMilli()
		if err := batch.Add(&f); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	result, err := c.AppendRetry(ctx, batch)
	if err != nil {
		return 0, err
	}
	for i := range batch.Len() {
		if _, refused := result.Outcome(i); refused != nil {
			slog.Error("refused", "entry", i, "why", refused)
		}
	}
	return int(result.Accepted), nil
}
