package main

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) balanceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "balance ACCOUNT", Short: "print what an account holds",
		Long:    "Balance prints a line for each asset of an account: account, available, held and asset,\nseparated by tabs. The unnamed unit has an empty name.",
		Example: "  ledgerctl balance acct/100\n  ledgerctl balance acct/100 --json",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client.Client) error { return a.balance(cmd.Context(), c, args[0]) })
		},
	}
}

// accountJSON is what balance --json prints.
type accountJSON struct {
	Account  string        `json:"account"`
	Known    bool          `json:"known"`
	Size     uint64        `json:"size"`
	Root     merkle.Hash   `json:"root"`
	Balances []balanceJSON `json:"balances"`
}

func (a *app) balance(ctx context.Context, c *client.Client, name string) error {
	account, err := c.Account(ctx, name)
	if err != nil {
		return err
	}
	if a.json {
		out := accountJSON{name, account.Known, account.Size, account.Root, []balanceJSON{}}
		for _, b := range account.Balances {
			b.Account = ""
			out.Balances = append(out.Balances, asBalanceJSON(b))
		}
		return printJSON(a.stdout, out)
	}
	if !account.Known {
		return fmt.Errorf("balance of %s: no entry has named this account", name)
	}
	return a.printing(func(w *bufio.Writer) error {
		for _, b := range account.Balances {
			if err := a.printBalance(w, b); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) balancesCommand() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use: "balances", Short: "print what all accounts hold",
		Long: `Balances prints a line for each asset of each account, as of one commit: account,
available, held and asset, separated by tabs, sorted by account, then by asset,
without a header. With --json each line is an object.`,
		Example: "  ledgerctl balances\n  ledgerctl balances --prefix acct/ | cut -f1,2",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.eachBalance(cmd.Context(), prefix, a.printBalance)
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only accounts whose names start with this")
	return cmd
}

func (a *app) accountsCommand() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{
		Use: "accounts", Short: "print the names of all accounts",
		Long:    "Accounts prints the name of each account that an entry has named, sorted.",
		Example: "  ledgerctl accounts --prefix acct/ | wc -l",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			last := ""
			return a.eachBalance(cmd.Context(), prefix, func(w *bufio.Writer, b client.Balance) error {
				if b.Account == last {
					return nil
				}
				last = b.Account
				if a.json {
					return printJSON(w, map[string]string{"account": b.Account})
				}
				if a.tabular() {
					return a.printCells(w, accountColumns, b.Account)
				}
				_, err := w.WriteString(b.Account + "\n")
				return err
			})
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that start with this")
	return cmd
}

func (a *app) eachBalance(ctx context.Context, prefix string, print func(*bufio.Writer, client.Balance) error) error {
	return a.with(ctx, func(c *client.Client) error {
		return a.printing(func(w *bufio.Writer) error {
			for b, err := range c.Accounts(ctx, prefix, "") {
				if err != nil {
					return err
				}
				if err := print(w, b); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
