package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/intake"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// terminal reports whether w is a terminal that understands cursor movement.
func (a *app) terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && a.env("TERM") != "dumb"
}

// printing hands a buffered stdout to print and flushes it, also after an error:
// what was read is shown.
func (a *app) printing(print func(w *bufio.Writer) error) error {
	w := bufio.NewWriter(a.stdout)
	a.table = nil
	err := print(w)
	if a.table != nil {
		err = errors.Join(err, a.table.finish())
	}
	return errors.Join(err, w.Flush())
}

// printJSON prints one value on one line.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// timeWord gives Unix milliseconds as people read them.
func timeWord(ms int64) string { return time.UnixMilli(ms).UTC().Format(timeLayout) }

// printRow prints one record: as JSON that append reads back, or as a line.
func (a *app) printRow(w *bufio.Writer, row wire.EntriesRow) error {
	fields := row.Record.Entry().Fields()
	if a.json {
		line := wire.AppendJSON(w.AvailableBuffer(), &fields, wire.Recorded{Seq: row.Seq, TimeMs: row.TimeMs, Stamp: row.Record.Stamp()})
		_, err := w.Write(append(line, '\n'))
		return err
	}
	if a.tabular() {
		ref := ""
		if fields.Kind.HasRef() {
			ref = fields.Ref.String()
		}
		return a.printCells(w, entryColumns, strconv.FormatUint(row.Seq, 10), timeWord(row.TimeMs), fields.Kind.String(), fields.Account, fields.Counterparty,
			a.amountText(fields.Amount), fields.Asset.String(), fields.Nonce.String(), ref)
	}
	accounts := fields.Account
	if fields.Counterparty != "" {
		accounts += " -> " + fields.Counterparty
	}
	_, err := fmt.Fprintf(w, "%8d  %s  %-8s  %s  %s  %s\n", row.Seq, timeWord(row.TimeMs), fields.Kind, fields.Nonce,
		a.amountWord(fields.Amount, fields.Asset), accounts)
	return err
}

// amountText is an amount in the scale that was asked for.
func (a *app) amountText(amount wire.Amount) string {
	if a.scale == 0 {
		return amount.String()
	}
	return intake.Digits(intake.Big(amount), a.scale)
}

// scaled is amountText of an amount that is written as a whole number.
func (a *app) scaled(number string) string {
	amount, err := wire.ParseAmount(number)
	if err != nil { // zero, which is no amount of an entry
		return intake.Digits(new(big.Int), a.scale)
	}
	return a.amountText(amount)
}

// amountWord is an amount with its asset, if it has a name.
func (a *app) amountWord(amount wire.Amount, asset wire.Asset) string {
	if asset == (wire.Asset{}) {
		return a.amountText(amount)
	}
	return a.amountText(amount) + " " + asset.String()
}

// balanceJSON is what --json prints of a balance.
type balanceJSON struct {
	Account   string `json:"account,omitempty"`
	Asset     string `json:"asset"`
	Available string `json:"available"`
	Held      string `json:"held"`
}

func asBalanceJSON(b client.Balance) balanceJSON {
	return balanceJSON{b.Account, b.Asset.String(), b.Available.String(), b.Held.String()}
}

// printBalance prints a row of tab-separated values: account, available, held, asset.
func (a *app) printBalance(w *bufio.Writer, b client.Balance) error {
	if a.json {
		return printJSON(w, asBalanceJSON(b))
	}
	if a.tabular() {
		return a.printCells(w, balanceColumns, b.Account, a.amountText(b.Available), a.amountText(b.Held), b.Asset.String())
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", b.Account, a.amountText(b.Available), a.amountText(b.Held), b.Asset)
	return err
}
