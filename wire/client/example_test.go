package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/clienttest"
)

// serve runs an example with a client of a ledger of its own.
func serve(example func(ctx context.Context, c *client.Client) error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ledger, err := clienttest.Start(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = ledger.Close() }()
	c, err := client.Dial(ctx, ledger.Options())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	if err := example(ctx, c); err != nil {
		fmt.Println(err)
	}
}

// What an application says to connect.
func ExampleDial() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{
		Socket: "/run/ledger/ledger.sock", TokenFile: "/run/ledger/token", Name: "shop",
		CheckServer: client.RequireUID(uint32(os.Getuid())),
	})
	if err != nil {
		fmt.Println("no ledger here:", errors.Is(err, client.ErrDisconnected))
		return
	}
	defer func() { _ = c.Close() }()
	// Output: no ledger here: true
}

// Money is made and moved; each batch is sent until it is answered.
func ExampleClient_AppendRetry() {
	serve(func(ctx context.Context, c *client.Client) error {
		var batch client.Batch
		for _, f := range []wire.Fields{
			{Kind: wire.KindMint, Account: "acct/a", Amount: wire.AmountOf(1000)},
			{Kind: wire.KindTransfer, Account: "acct/a", Counterparty: "acct/b", Amount: wire.AmountOf(250)},
			{Kind: wire.KindTransfer, Account: "acct/b", Counterparty: "acct/a", Amount: wire.AmountOf(251)},
		} {
			f.Nonce, f.Timestamp = client.NewNonce(), time.Now().UnixMilli() // kept with the movement until it is answered
			if err := batch.Add(&f); err != nil {
				return err
			}
		}
		result, err := c.AppendRetry(ctx, &batch)
		if err != nil {
			return err
		}
		for i := range batch.Len() {
			if seq, told := result.Outcome(i); told != nil {
				fmt.Println(told.Outcome, told.Reason)
			} else {
				fmt.Println("booked as", seq)
			}
		}
		return nil
	})
	// Output:
	// booked as 1
	// booked as 2
	// rejected insufficient_funds
}

// Entries come one at a time and leave in batches.
func ExampleBatcher() {
	serve(func(ctx context.Context, c *client.Client) error {
		b, err := client.NewBatcher(ctx, c, client.BatcherOptions{Size: 100, Linger: time.Millisecond})
		if err != nil {
			return err
		}
		defer b.Close()
		var futures []client.Future
		for range 250 {
			future, err := b.Add(ctx, &wire.Fields{Kind: wire.KindMint, Account: "acct/a", Amount: wire.AmountOf(1), Nonce: client.NewNonce()})
			if err != nil {
				return err
			}
			futures = append(futures, future)
		}
		booked, err := futures[249].Wait(ctx)
		fmt.Println(booked.Seq, booked.Duplicate)
		return err
	})
	// Output: 250 false
}

// What was refused, and why, is in the type of the error.
func ExampleRejectedError() {
	serve(func(ctx context.Context, c *client.Client) error {
		b, err := client.NewBatcher(ctx, c, client.BatcherOptions{})
		if err != nil {
			return err
		}
		defer b.Close()
		future, err := b.Add(ctx, &wire.Fields{Kind: wire.KindBurn, Account: "acct/a", Amount: wire.AmountOf(1), Nonce: client.NewNonce()})
		if err != nil {
			return err
		}
		var rejected *client.RejectedError
		if _, err := future.Wait(ctx); errors.As(err, &rejected) {
			fmt.Println(rejected.Reason == wire.ReasonInsufficientFunds)
		}
		return nil
	})
	// Output: true
}

// Each new head, as soon as it is durable.
func ExampleClient_Watch() {
	serve(func(ctx context.Context, c *client.Client) error {
		var batch client.Batch
		if err := batch.Add(&wire.Fields{Kind: wire.KindMint, Account: "acct/a", Amount: wire.AmountOf(1), Nonce: client.NewNonce()}); err != nil {
			return err
		}
		if _, err := c.AppendRetry(ctx, &batch); err != nil {
			return err
		}
		for told, err := range c.Watch(ctx, 0) {
			if err != nil {
				return err
			}
			fmt.Printf("entries %d to %d are new\n", told.First, told.Head.Size)
			break
		}
		return nil
	})
	// Output: entries 1 to 1 are new
}
