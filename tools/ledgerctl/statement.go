package main

import (
	"bufio"
	"context"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/intake"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) statementCommand() *cobra.Command {
	var since, until, asset string
	cmd := &cobra.Command{
		Use: "statement ACCOUNT", Short: "print the movements of an account",
		Long: `Statement prints the opening balance, every movement and the closing balance of an
account in one asset, found by a scan of the log. --since and --until are times of
commits, by the clock of the sidecar: 2026-01-31, 2026-01-31T12:00:00Z, 2026-01 for its
first day, or in words: now, today, yesterday, monday (the last one), 90m ago,
2 weeks ago, this month, last month, this year. Days begin at midnight UTC.`,
		Example: "  ledgerctl statement acct/100 --since 2026-01-01 --until 2026-02-01\n  ledgerctl statement acct/100 --since yesterday --scale 2 --output table",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := statement{account: args[0]}
			var ok bool
			var err error
			if s.asset, ok = wire.ParseAsset(asset); !ok {
				return usagef("--asset %q: at most 8 of A-Z 0-9 . - are wanted", asset)
			}
			now := time.Now()
			if s.sinceMs, err = parseTime(since, now, 0); err == nil {
				s.untilMs, err = parseTime(until, now, 1<<62)
			}
			if err != nil {
				return err
			}
			return a.statement(cmd.Context(), &s)
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "first time, a date or words")
	cmd.Flags().StringVar(&until, "until", "", "time behind the last")
	cmd.Flags().StringVar(&asset, "asset", "", "which asset (default the ledger's unnamed unit)")
	return cmd
}

// statement follows one account in one asset through the log.
type statement struct {
	account          string
	asset            wire.Asset
	sinceMs, untilMs int64
	available, held  big.Int
	find             func(account string, nonce wire.Nonce) (wire.EntriesRow, bool, error) // what a reversal undoes
}

// follows has reversals looked up. Nothing of the account is kept: each costs a question instead.
func (s *statement) follows(ctx context.Context, c *client.Client) {
	s.find = func(account string, nonce wire.Nonce) (wire.EntriesRow, bool, error) {
		return c.Find(ctx, account, nonce)
	}
}

// change is what an entry does to the account.
type change struct{ available, held big.Int }

func (a *app) statement(ctx context.Context, s *statement) error {
	return a.with(ctx, func(c *client.Client) error {
		s.follows(ctx, c)
		size := c.Welcome().Head.Size
		return a.printing(func(w *bufio.Writer) error {
			opened := false
			count, stop := a.scanning("statement", size)
			defer stop()
			for row, err := range c.Entries(ctx, min(1, size), size) {
				if err != nil {
					return err
				}
				count()
				if !opened && row.TimeMs >= s.sinceMs {
					opened = true
					if err := a.printTotal(w, "opening", s); err != nil {
						return err
					}
				}
				if row.TimeMs >= s.untilMs {
					break
				}
				if err := a.follow(w, s, row); err != nil {
					return err
				}
			}
			if !opened {
				if err := a.printTotal(w, "opening", s); err != nil {
					return err
				}
			}
			return a.printTotal(w, "closing", s)
		})
	})
}

// follow adds one entry to the balance, and prints it when it is in the range.
func (a *app) follow(w *bufio.Writer, s *statement, row wire.EntriesRow) error {
	entry := row.Record.Entry()
	effect, touched, err := s.effect(entry)
	if err != nil || !touched {
		return err
	}
	s.available.Add(&s.available, &effect.available)
	s.held.Add(&s.held, &effect.held)
	if row.TimeMs < s.sinceMs {
		return nil
	}
	if a.json {
		return printJSON(w, map[string]any{
			"seq": row.Seq, "time": timeWord(row.TimeMs), "kind": entry.Kind().String(), "nonce": entry.Nonce().String(),
			"available": effect.available.String(), "held": effect.held.String(), "balance": s.available.String(),
		})
	}
	available, held := a.signed(&effect.available), a.signed(&effect.held)
	if a.tabular() {
		return a.printCells(w, statementColumns, strconv.FormatUint(row.Seq, 10), timeWord(row.TimeMs), entry.Kind().String(),
			available, held, intake.Digits(&s.available, a.scale))
	}
	_, err = fmt.Fprintf(w, "%8d  %s  %-8s  %15s  %15s  %15s\n", row.Seq, timeWord(row.TimeMs), entry.Kind(),
		available, held, intake.Digits(&s.available, a.scale))
	return err
}

// signed is a change with its sign.
func (a *app) signed(n *big.Int) string {
	text := intake.Digits(n, a.scale)
	if n.Sign() > 0 {
		return "+" + text
	}
	return text
}

// effect says what an entry does to the account. One that is reversed names only its own account.
func (s *statement) effect(e wire.Entry) (effect change, touched bool, err error) {
	if e.Asset() != s.asset {
		return effect, false, nil
	}
	sign := int64(1)
	if e.Kind() == wire.KindReverse {
		original, ok, err := s.find(string(e.Account()), e.Ref())
		if err == nil && !ok {
			err = fmt.Errorf("%s has no entry %s, which a later one reverses", e.Account(), e.Ref())
		}
		if err != nil {
			return effect, false, err
		}
		e, sign = original.Record.Entry(), -1
	}
	if string(e.Account()) != s.account && string(e.Counterparty()) != s.account {
		return effect, false, nil
	}
	amount := e.Amount()
	n := new(big.Int).Lsh(new(big.Int).SetUint64(amount.Hi), 64)
	n.Add(n, new(big.Int).SetUint64(amount.Lo))
	if string(e.Account()) == s.account {
		own := effectOnAccount[e.Kind()]
		effect.available.Add(&effect.available, new(big.Int).Mul(n, big.NewInt(sign*own.available)))
		effect.held.Add(&effect.held, new(big.Int).Mul(n, big.NewInt(sign*own.held)))
	}
	if string(e.Counterparty()) == s.account {
		effect.available.Add(&effect.available, n.Mul(n, big.NewInt(sign)))
	}
	return effect, true, nil
}

// effectOnAccount is docs/PROTOCOL.md for the account that an entry names first: how
// often the amount is added to available and to held.
var effectOnAccount = map[wire.Kind]struct{ available, held int64 }{
	wire.KindCredit: {1, 0}, wire.KindDebit: {-1, 0}, wire.KindTransfer: {-1, 0}, wire.KindMint: {1, 0}, wire.KindBurn: {-1, 0},
	wire.KindHold: {-1, 1}, wire.KindRelease: {1, -1}, wire.KindCapture: {0, -1},
}

// printTotal prints the opening or the closing balance.
func (a *app) printTotal(w *bufio.Writer, what string, s *statement) error {
	if a.json {
		return printJSON(w, map[string]string{what: s.available.String(), "held": s.held.String()})
	}
	available, held := intake.Digits(&s.available, a.scale), intake.Digits(&s.held, a.scale)
	if a.tabular() {
		return a.printCells(w, statementColumns, "", "", what, "", held, available)
	}
	_, err := fmt.Fprintf(w, "%s balance: available %s, held %s\n", what, available, held)
	return err
}
