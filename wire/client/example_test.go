package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// One transfer, sent until it is answered.
func ExampleClient_AppendRetry() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{Socket: "/run/ledger/ledger.sock", TokenFile: "/run/ledger/token", Name: "shop"})
	if err != nil {
		fmt.Println("no ledger here:", errors.Is(err, client.ErrDisconnected))
		return
	}
	defer func() { _ = c.Close() }()
	var batch client.Batch
	err = batch.Add(&wire.Fields{
		Kind: wire.KindTransfer, Account: "acct/a", Counterparty: "acct/b", Amount: wire.AmountOf(250),
		Nonce: wire.Nonce{1}, Timestamp: time.Now().UnixMilli(), // a real one is a UUIDv7, kept until the answer is here
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := c.AppendRetry(ctx, &batch)
	if err != nil {
		fmt.Println(err)
		return
	}
	seq, refused := result.Outcome(0)
	fmt.Println(seq, refused)
	// Output: no ledger here: true
}
