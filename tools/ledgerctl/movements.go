package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/intake"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// movement is a kind of entry with a command of its own. Its arguments are, in
// this order: the account; the counterparty, the ref and the amount, where use
// names them.
type movement struct {
	kind                 wire.Kind
	name, use            string
	short, long, example string
}

const exampleRef = "0190163d-8694-739b-aea5-966c26f8ad90"

var movements = []movement{
	{wire.KindTransfer, "transfer", "FROM TO AMOUNT", "move money from one account to another", "", "bank acct/a 250"},
	{wire.KindMint, "mint", "ACCOUNT AMOUNT", "make money in an account", "The token has to name the kind Mint.", "bank 1000000 --asset EUR"},
	{wire.KindBurn, "burn", "ACCOUNT AMOUNT", "unmake money of an account", "The token has to name the kind Burn.", "bank 1000"},
	{wire.KindHold, "hold", "ACCOUNT AMOUNT", "set money of an account aside", "The nonce that it prints is the HOLD of capture and release.", "acct/a 100"},
	{wire.KindCapture, "capture", "ACCOUNT TO HOLD AMOUNT", "move held money to another account", "HOLD is the nonce of the hold.", "acct/a shop " + exampleRef + " 60"},
	{wire.KindRelease, "release", "ACCOUNT HOLD AMOUNT", "give held money back", "HOLD is the nonce of the hold.", "acct/a " + exampleRef + " 40"},
	{
		wire.KindReverse, "reverse", "ACCOUNT NONCE", "undo an entry, once and whole",
		"ACCOUNT and NONCE are those of the entry to undo. Governance has to allow it, and the token.", "acct/a " + exampleRef,
	},
}

// entryFlags are those of all single entries.
type entryFlags struct {
	asset, nonce, memo string
	dryRun             bool
	retry              time.Duration
}

func (a *app) movementCommands() (commands []*cobra.Command) {
	for _, m := range movements {
		commands = append(commands, a.movementCommand(m))
	}
	return commands
}

func (a *app) movementCommand(m movement) *cobra.Command {
	var f entryFlags
	cmd := &cobra.Command{
		Use: m.name + " " + m.use, Short: m.short,
		Long: fmt.Sprintf("%s sends one entry: %s. %s\n\nIt prints the nonce: the same command with --nonce is the same entry, so it can be\nrepeated until it is answered and is booked once. With --dry-run it tells what would\nbecome of the entry now, and what the accounts would be left with; nothing is booked.",
			m.kind, m.short, m.long),
		Example: "  ledgerctl " + m.name + " " + m.example,
		Args:    exactly(len(strings.Fields(m.use))),
		RunE: func(cmd *cobra.Command, args []string) error {
			fields, err := m.fields(&f, args, a.scale)
			if err != nil {
				return err
			}
			return a.move(cmd.Context(), fields, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.asset, "asset", "", "what is counted (default the ledger's unnamed unit)")
	flags.StringVar(&f.nonce, "nonce", "", "nonce of the entry, to repeat it (default a new one)")
	flags.StringVar(&f.memo, "memo", "", "text to record with it")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would become of the entry, and book nothing")
	flags.DurationVar(&f.retry, "retry", 10*time.Second, "how long to try again when the sidecar is busy or away")
	if m.kind == wire.KindReverse {
		_ = flags.MarkHidden("asset") // it is that of the entry to undo
	}
	return cmd
}

// fields makes the entry, as far as the command line says what is in it.
func (m movement) fields(f *entryFlags, args []string, scale int) (*wire.Fields, error) {
	e := &wire.Fields{
		Kind: m.kind, Account: args[0], Nonce: newNonce(), Timestamp: time.Now().UnixMilli(), Memo: []byte(f.memo),
	}
	rest := args[1:]
	take := func() string {
		word := rest[0]
		rest = rest[1:]
		return word
	}
	if m.kind.HasCounterparty() {
		e.Counterparty = take()
	}
	var ok bool
	if m.kind.HasRef() {
		text := take()
		if e.Ref, ok = wire.ParseNonce(text); !ok {
			return nil, usagef("%q is no nonce: a UUID, 32 hex digits or base64 of 16 bytes", text)
		}
	}
	if m.kind != wire.KindReverse {
		amount, err := intake.Decimal(take(), scale)
		if err != nil {
			return nil, usageError{err}
		}
		e.Amount = amount
	}
	if e.Asset, ok = wire.ParseAsset(f.asset); !ok {
		return nil, usagef("--asset %q: at most 8 of A-Z 0-9 . - are wanted", f.asset)
	}
	if f.nonce != "" {
		if e.Nonce, ok = wire.ParseNonce(f.nonce); !ok {
			return nil, usagef("--nonce %q is no nonce: a UUID, 32 hex digits or base64 of 16 bytes", f.nonce)
		}
	}
	return e, nil
}

// move completes a reversal, then prints or sends the entry.
func (a *app) move(ctx context.Context, e *wire.Fields, f *entryFlags) error {
	if e.Kind != wire.KindReverse {
		return a.sendOne(ctx, nil, e, f)
	}
	return a.with(ctx, func(c *client.Client) error {
		row, ok, err := c.Find(ctx, e.Account, e.Ref)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("reverse: %s has no entry %s", e.Account, e.Ref)
		}
		e.Amount, e.Asset = row.Record.Entry().Amount(), row.Record.Entry().Asset()
		return a.sendOne(ctx, c, e, f)
	})
}

// movedJSON is what a single entry prints with --json.
type movedJSON struct {
	Outcome string `json:"outcome"` // accepted, duplicate or rejected
	Seq     uint64 `json:"seq"`
	Nonce   string `json:"nonce"`
	Root    string `json:"root"`
	Reason  string `json:"reason,omitempty"`
	Detail  string `json:"detail,omitempty"`

	DryRun   bool            `json:"dry_run,omitempty"`
	Entry    json.RawMessage `json:"entry,omitempty"`    // with DryRun: what append would read
	Balances []balanceJSON   `json:"balances,omitempty"` // with DryRun: as they would be
}

func (a *app) sendOne(ctx context.Context, c *client.Client, e *wire.Fields, f *entryFlags) error {
	var batch client.Batch
	if err := batch.Add(e); err != nil {
		return usageError{err}
	}
	batch.DryRun, batch.Balances = f.dryRun, f.dryRun
	if c == nil {
		return a.with(ctx, func(c *client.Client) error { return a.sendOne(ctx, c, e, f) })
	}
	trying, cancel := context.WithTimeout(ctx, f.retry)
	defer cancel()
	result, err := c.AppendRetry(trying, &batch)
	if errors.Is(err, client.ErrOutcomeUnknown) && !f.dryRun {
		fmt.Fprintf(a.stderr, "to repeat the same entry: --nonce %s\n", e.Nonce)
	}
	if err != nil {
		return err
	}
	out := movedJSON{Outcome: "accepted", Nonce: e.Nonce.String(), Root: merkle.Hash(result.Root).String()}
	var refused *wire.EntryResult
	if out.Seq, refused = result.Outcome(0); refused != nil {
		out.Outcome = refused.Outcome.String()
		if refused.Outcome == wire.OutcomeRejected {
			out.Reason, out.Detail = refused.Reason.String(), refused.Detail
		} else if result.Resent {
			out.Outcome = "accepted" // by the try whose answer was lost
		}
	}
	if f.dryRun {
		out.DryRun, out.Entry = true, wire.AppendJSON(nil, e, wire.Recorded{})
		for _, b := range result.Balances {
			out.Balances = append(out.Balances, asBalanceJSON(b))
		}
	}
	return a.printMoved(&out)
}

func (a *app) printMoved(out *movedJSON) error {
	var err error
	switch {
	case a.json:
		err = printJSON(a.stdout, out)
	case out.DryRun:
		err = a.printDryRun(out)
	case out.Reason != "":
		_, err = fmt.Fprintf(a.stdout, "rejected   %s\nnonce      %s\n", out.Reason, out.Nonce)
		if out.Detail != "" {
			_, err = fmt.Fprintf(a.stdout, "because    %s\n", out.Detail)
		}
	default:
		_, err = fmt.Fprintf(a.stdout, "%-9s  seq %d\nnonce      %s\nroot       %s\n", out.Outcome, out.Seq, out.Nonce, out.Root)
	}
	if err == nil && out.Reason != "" {
		return errRejected
	}
	return err
}

// printDryRun prints what would become of an entry.
func (a *app) printDryRun(out *movedJSON) error {
	var b strings.Builder
	fmt.Fprintf(&b, "would be   %s", out.Outcome)
	switch {
	case out.Reason != "":
		fmt.Fprintf(&b, ": %s", refusalWords(out.Reason, out.Detail))
	case out.Seq > 0:
		fmt.Fprintf(&b, " of seq %d", out.Seq)
	}
	fmt.Fprintf(&b, "\nentry      %s\n", out.Entry)
	for _, left := range out.Balances {
		words := fmt.Sprintf("leaves     %s available %s, held %s %s", left.Account, a.scaled(left.Available), a.scaled(left.Held), left.Asset)
		b.WriteString(strings.TrimRight(words, " ") + "\n")
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}
