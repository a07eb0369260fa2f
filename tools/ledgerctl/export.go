package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// Formats of export.
const (
	formatJSONL   = "jsonl"
	formatCSV     = "csv"
	formatHledger = "hledger"
	formatTiles   = "tlog-tiles"
)

var exportFormats = []string{formatJSONL, formatCSV, formatHledger, formatTiles}

func (a *app) exportCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use: "export --format FORMAT", Short: "write the whole ledger in another form",
		Long: `Export reads every entry over the socket and writes

  jsonl       what ledgerctl append reads back, to stdout
  csv         a line for each entry, with a line of names before them, to stdout
  hledger     a journal of hledger, to stdout: accounts are ledger:NAME, what is held
              is ledger:NAME:held, a Mint comes from equity:supply and a Burn goes there,
              the legs of atomic requests pass through equity:legs
  tlog-tiles  a static C2SP tlog-tiles directory at --out, which public tools verify;
              only for a ledger with SHA-256`,
		Example: "  ledgerctl export --format csv > ledger.csv\n  ledgerctl export --format tlog-tiles --out site",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(exportFormats, format) {
				return usagef("--format %q: there are %s", format, strings.Join(exportFormats, ", "))
			}
			if a.json && format != formatJSONL && format != formatTiles {
				return usagef("--json and --format %s: say one of them", format)
			}
			if (format == formatTiles) != (out != "") {
				return usagef("--out is the directory of --format %s, and of no other", formatTiles)
			}
			return a.with(cmd.Context(), func(c *client.Client) error {
				if format == formatTiles {
					signed, err := a.exportTiles(cmd.Context(), c, out)
					if err == nil && a.json {
						err = printJSON(a.stdout, tilesJSON{signed.Origin, signed.Size, signed.Root.String()})
					}
					return err
				}
				return a.exportRows(cmd.Context(), c, format)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", formatJSONL, strings.Join(exportFormats, ", "))
	cmd.Flags().StringVar(&out, "out", "", "directory to make")
	return cmd
}

// tilesJSON is what export --format tlog-tiles --json prints: the tree that was written and checked.
type tilesJSON struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
}

var csvNames = []string{"seq", "time", "kind", "account", "counterparty", "amount", "asset", "nonce", "ref", "ts", "memo"}

func (a *app) exportRows(ctx context.Context, c *client.Client, format string) error {
	return a.printing(func(w *bufio.Writer) error {
		table := csv.NewWriter(w)
		write := func(row *wire.EntriesRow) error { return writeLine(w, row) }
		switch format {
		case formatCSV:
			_ = table.Write(csvNames) // Error has what failed
			write = func(row *wire.EntriesRow) error { return table.Write(csvRow(row)) }
		case formatHledger:
			write = newJournalWriter(w).add
		}
		count, stop := a.scanning("export", c.Welcome().Head.Size)
		defer stop()
		for row, err := range c.Entries(ctx, 1, client.ToHead) {
			if err == nil {
				count()
				err = write(&row)
			}
			if err != nil {
				return err
			}
		}
		table.Flush()
		return table.Error()
	})
}

// writeLine writes an entry as a line of JSON.
func writeLine(w *bufio.Writer, row *wire.EntriesRow) error {
	fields := row.Record.Entry().Fields()
	line := wire.AppendJSON(nil, &fields, wire.Recorded{Seq: row.Seq, TimeMs: row.TimeMs, Stamp: row.Record.Stamp()})
	_, err := w.Write(append(line, '\n'))
	return err
}

// csvRow is a row of the table. A memo that a spreadsheet would take for a formula is
// set behind an apostrophe.
func csvRow(row *wire.EntriesRow) []string {
	f := row.Record.Entry().Fields()
	ref, memo := "", string(f.Memo)
	if f.Ref != (wire.Nonce{}) {
		ref = f.Ref.String()
	}
	if strings.IndexAny(memo, "=+-@\t\r") == 0 {
		memo = "'" + memo
	}
	return []string{
		strconv.FormatUint(row.Seq, 10), timeWord(row.TimeMs), f.Kind.String(), f.Account, f.Counterparty, f.Amount.String(),
		f.Asset.String(), f.Nonce.String(), ref, strconv.FormatInt(f.Timestamp, 10), memo,
	}
}

// newestCheckpoint reads the newest checkpoint and verifies it with the key that the
// server named.
func newestCheckpoint(ctx context.Context, c *client.Client) (text []byte, signed merkle.Checkpoint, err error) {
	roots, err := c.Roots(ctx, c.Welcome().Head.Size, 1, 0)
	if err != nil {
		return nil, signed, err
	}
	verifier, err := note.NewVerifier(c.Welcome().VerifyKey)
	if err == nil {
		signed, err = merkle.OpenCheckpoint(roots.Checkpoint, verifier)
	}
	if err != nil {
		return nil, signed, fmt.Errorf("read the checkpoint: %w", err)
	}
	return roots.Checkpoint, signed, nil
}
