package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// demoEntries are the first 2,000 transactions of a Czech bank in 1993 (PKDD'99
// Discovery Challenge, public data), as JSON Lines.
//
//go:embed demo.jsonl.gz
var demoEntries []byte

// demoAccounts are shown at the end.
var demoAccounts = []string{"bank/cash", "acct/576", "acct/3818"}

const demoStopTimeout = 20 * time.Second

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "see it run, on a ledger of its own",
		Long: `Demo starts a sidecar of its own in a temporary folder, sends it 2,000 transactions of a
real bank, prints the balances of a few accounts and the root, reads the same root
over HTTPS, and cleans up.`,
		Example: "  ledgerctl demo",
		Args:    exactly(0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

func (a *app) demo(ctx context.Context) (err error) {
	home, err := os.MkdirTemp("", "ron-ledger-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(home)) }()
	config := sidecar.Defaults(sidecar.Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = home, "127.0.0.1:0", "error"
	s, err := sidecar.Start(ctx, config)
	if err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoStopTimeout)
		defer cancel()
		err = errors.Join(err, s.Close(stopping))
	}()
	own := &app{stdin: a.stdin, stdout: a.stdout, stderr: a.stderr, env: os.Getenv, socket: s.Socket(), tokenFile: filepath.Join(home, sidecar.TokenFile)}
	fmt.Fprintf(a.stdout, "A sidecar runs in %s. Sending 2,000 transactions to it:\n\n", home)
	return own.demoWith(ctx, s.HTTPSAddr(), filepath.Join(home, "tls.crt"))
}

func (a *app) demoWith(ctx context.Context, address, ca string) error {
	in := &input{name: "demo.jsonl.gz", size: int64(len(demoEntries))}
	if err := in.decompress(bytes.NewReader(demoEntries)); err != nil {
		return err
	}
	f := appendDefaults
	if err := a.appendFrom(ctx, in, &f); err != nil {
		return err
	}
	fmt.Fprint(a.stdout, "\nSome balances (account, available, held, asset):\n\n")
	var size uint64
	var root merkle.Hash
	err := a.with(ctx, func(c *client.Client) error {
		for _, name := range demoAccounts {
			if err := a.balance(ctx, c, name); err != nil {
				return err
			}
		}
		account, err := c.Account(ctx, demoAccounts[0])
		if err != nil {
			return err
		}
		size, root = account.Size, account.Root
		return nil
	})
	if err != nil {
		return err
	}
	return overHTTPS("https://"+address, ca, func(source rootsSource) error {
		page, err := source(ctx, size-1, 1)
		if err != nil {
			return err
		}
		if len(page.Roots) != 1 || page.Roots[0].Root != root.String() {
			return fmt.Errorf("compare the roots: the socket says %s, HTTPS says %v", root, page.Roots)
		}
		_, err = fmt.Fprintf(a.stdout, "\nThe root of these %d entries, over the socket and over HTTPS alike:\n\n%s\n\n"+
			"As a signed checkpoint, which whoever has it can hold against a later one:\n\n%s", size, root, page.Checkpoint)
		return err
	})
}
