package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use: "get SEQ | A..B | ACCOUNT NONCE", Short: "print entries",
		Long: `Get prints the entry with a sequence number, those of a range (both ends included;
A.. goes to the newest), or the one with a nonce. With --json it prints what append
reads back.`,
		Example: "  ledgerctl get 17\n  ledgerctl get 1..100 --json\n  ledgerctl get acct/a 0190163d-8694-739b-aea5-966c26f8ad90",
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return a.find(cmd.Context(), args[0], args[1])
			}
			from, to, err := parseRange(args[0])
			if err != nil {
				return err
			}
			return a.get(cmd.Context(), from, to, !strings.Contains(args[0], rangeDots))
		},
	}
}

const rangeDots = ".."

// parseRange reads SEQ, A..B or A.. .
func parseRange(s string) (from, to uint64, err error) {
	first, last, isRange := strings.Cut(s, rangeDots)
	if !isRange {
		last = first
	}
	if from, err = strconv.ParseUint(first, 10, 64); err == nil {
		to = client.ToHead
		if last != "" {
			to, err = strconv.ParseUint(last, 10, 64)
		}
	}
	switch {
	case err != nil:
		return 0, 0, usagef("%q is neither a sequence number nor a range such as 1..100", s)
	case from == 0:
		return 0, 0, usagef("sequence numbers start at 1")
	case from > to:
		return 0, 0, usagef("the range %s ends before it starts", s)
	}
	return from, to, nil
}

func (a *app) get(ctx context.Context, from, to uint64, one bool) error {
	return a.with(ctx, func(c *client.Client) error {
		found := false
		err := a.printing(func(w *bufio.Writer) error {
			for row, err := range c.Entries(ctx, from, to) {
				if err != nil {
					return err
				}
				found = true
				if err := a.printRow(w, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && one && !found {
			err = fmt.Errorf("get %d: the ledger ends at %d", from, c.Welcome().Head.Size)
		}
		return err
	})
}

func (a *app) find(ctx context.Context, account, text string) error {
	nonce, ok := wire.ParseNonce(text)
	if !ok {
		return usagef("%q is no nonce: a UUID, 32 hex digits or base64 of 16 bytes", text)
	}
	return a.with(ctx, func(c *client.Client) error {
		row, ok, err := c.Find(ctx, account, nonce)
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("get %s %s: there is no such entry", account, nonce)
		}
		return a.printing(func(w *bufio.Writer) error { return a.printRow(w, row) })
	})
}

func (a *app) tailCommand() *cobra.Command {
	var follow bool
	var count uint64
	cmd := &cobra.Command{
		Use: "tail", Short: "print the newest entries",
		Long:    "Tail prints the newest entries, and with -f goes on with each as soon as it is durable,\nalso over restarts of the sidecar, until it is interrupted.",
		Example: "  ledgerctl tail -n 20\n  ledgerctl tail -f --json | jq .amount",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.tail(cmd.Context(), count, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new entries")
	cmd.Flags().Uint64VarP(&count, "lines", "n", 10, "how many to begin with")
	return cmd
}

func (a *app) tail(ctx context.Context, count uint64, follow bool) error {
	return a.with(ctx, func(c *client.Client) error {
		size := c.Welcome().Head.Size
		from := size - min(count, size) + 1
		err := a.printRange(ctx, c, from, size)
		var forgotten *client.ForgottenError
		if errors.As(err, &forgotten) && forgotten.Oldest > 0 {
			err = a.printRange(ctx, c, forgotten.Oldest, size)
		}
		if err != nil || !follow {
			return err
		}
		for told, err := range c.Watch(ctx, size) {
			if ctx.Err() != nil {
				return nil // the way to end it
			}
			if err == nil {
				err = a.printRange(ctx, c, told.First, told.Head.Size)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) printRange(ctx context.Context, c *client.Client, from, to uint64) error {
	if from > to {
		return nil
	}
	return a.printing(func(w *bufio.Writer) error {
		for row, err := range c.Entries(ctx, from, to) {
			if err != nil {
				return err
			}
			if err := a.printRow(w, row); err != nil {
				return err
			}
		}
		return nil
	})
}
