package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// appendFlags are those of append.
type appendFlags struct {
	batch, inflight, connections int
	rejects, receipts, idemID    string
	format, mapping              string
	outside                      []string
	retry                        time.Duration
	atomic, judgeAgain           bool
}

var appendDefaults = appendFlags{batch: 256, inflight: 8, connections: 1, retry: 10 * time.Second}

func (a *app) appendCommand() *cobra.Command {
	f := appendDefaults
	cmd := &cobra.Command{
		Use: "append [FILE|-]", Short: "send entries from a file",
		Long: `Append reads JSON Lines, one entry a line, from a file or from stdin, and sends them in
the order of the file. Gzip is recognised by its content. A line is an object:

  {"kind":"Transfer","account":"acct/a","counterparty":"acct/b","amount":"12345",
   "nonce":"0190163d-8694-739b-aea5-966c26f8ad90","ts":1728794183123,"memo":"rent"}

with an optional asset, and a ref where the kind has one. A missing nonce is made
(UUIDv7), a missing ts is now. A line that is none ends the file: everything before
it is sent, nothing of it or behind it.

Sending a file again books nothing twice: lines with a nonce come back as duplicates,
and lines that were rejected are not judged anew where later ones are booked. When the connection breaks, what was not answered is sent again for up to --retry.

Files that others write are read as well. A name that ends in .csv or .tsv, or --format csv,
wants a --mapping, which says which column goes where: configs/import-bank.toml is an example.
One that ends in .journal, .hledger, .ledger or .beancount, or --format journal, is read as
simple transactions: two postings of one amount, with --scale digits behind the point. There
an account of --outside is no account of the ledger: what comes from it is minted, what goes
to it is burned. Either gives an entry the same nonce each time.

With --receipts a receipt (see ledgerctl receipt) is written as DIR/SEQ.receipt for
every line that is in the ledger, duplicates too, when all is answered.

With --json the summary is one object: accepted, duplicate, rejected, last_seq, root,
size, resent.`,
		Example: "  ledgerctl append entries.jsonl.gz --rejects rejects.jsonl\n  zcat entries.jsonl.gz | ledgerctl append - --json\n" +
			"  ledgerctl append trans.csv --mapping configs/import-bank.toml\n" +
			"  ledgerctl append 2026.journal --scale 2 --outside equity,income",
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "-"
			if len(args) == 1 {
				path = args[0]
			}
			if f.batch < 1 || f.inflight < 1 || f.connections < 1 {
				return usagef("--batch, --inflight and --connections are at least 1")
			}
			if f.idemID != "" && !f.atomic {
				return usagef("--idem-id names an atomic request: say --atomic as well")
			}
			return a.append(cmd.Context(), path, &f)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.batch, "batch", f.batch, "entries in a request")
	flags.IntVar(&f.inflight, "inflight", f.inflight, "requests under way at once")
	flags.IntVar(&f.connections, "connections", f.connections, "connections that take turns")
	flags.StringVar(&f.format, "format", "", "jsonl, csv or journal (default by the name, else jsonl)")
	flags.StringVar(&f.mapping, "mapping", "", "file that maps the columns of a CSV file, TOML")
	flags.StringSliceVar(&f.outside, "outside", nil, "accounts of a journal that are not in the ledger, with all below them")
	flags.StringVar(&f.rejects, "rejects", "", "write rejected lines to this file as JSON Lines: line, reason, detail, entry")
	flags.StringVar(&f.receipts, "receipts", "", "write a receipt for each accepted line and duplicate into this folder")
	flags.DurationVar(&f.retry, "retry", f.retry, "how long to try again when the sidecar is busy or away")
	flags.BoolVar(&f.judgeAgain, "judge-again", false, "send lines that were rejected before, although later lines are booked")
	flags.BoolVar(&f.atomic, "atomic", false, "the whole file as one request: all of it is booked, or nothing")
	flags.StringVar(&f.idemID, "idem-id", "", "name of the atomic request, in the forms of a nonce: repeated under it, other entries are a conflict")
	return cmd
}

func (a *app) append(ctx context.Context, path string, f *appendFlags) error {
	in, err := a.openInput(path)
	if err != nil {
		return err
	}
	if err := a.chooseFormat(in, f); err != nil {
		return errors.Join(err, in.close())
	}
	return errors.Join(a.appendFrom(ctx, in, f), in.close())
}

func (a *app) appendFrom(ctx context.Context, in *input, f *appendFlags) error {
	idemID, ok := wire.ParseNonce(f.idemID)
	if f.idemID != "" && !ok {
		return usagef("--idem-id %q: a UUID, 32 hex digits or base64 of 16 bytes are wanted", f.idemID)
	}
	if f.receipts != "" {
		if err := os.MkdirAll(f.receipts, 0o700); err != nil {
			return fmt.Errorf("make the folder of --receipts: %w", err)
		}
	}
	rejects, err := a.openRejects(f.rejects)
	if err != nil {
		return err
	}
	clients, err := a.connectAll(ctx, f.connections)
	if err != nil {
		return errors.Join(err, rejects.close())
	}
	s := newSender(clients, f.inflight, f.retry, rejects.add)
	started := time.Now()
	progress := a.startProgress(in)
	s.atomic, s.idemID, s.keepSeqs = f.atomic, idemID, f.receipts != ""
	err = f.sendFile(ctx, in, s)
	if err != nil {
		s.abandon(ctx)
	}
	progress.stop()
	if f.receipts != "" { // what is booked has its receipt also where the rest failed
		told, stop := a.showEntries("receipts")
		err = errors.Join(err, writeReceipts(ctx, clients[0], f.receipts, s.seqs, told))
		stop()
	}
	err = errors.Join(err, s.close(), rejects.close(), a.printSummary(&s.sum, time.Since(started)))
	if err == nil && s.sum.Rejected > 0 {
		return errRejected
	}
	return err
}

func (a *app) connectAll(ctx context.Context, count int) (clients []*client.Client, err error) {
	for range count {
		c, err := a.connect(ctx)
		if err != nil {
			for _, c := range clients {
				_ = c.Close()
			}
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// limits returns how many entries, and after how many bytes no more entries, a
// request takes.
func (f *appendFlags) limits(s *sender) (entries, bytes int) {
	w := s.clients[0].Welcome()
	entries = f.batch
	if most := int(w.MaxEntriesPerRequest); f.atomic {
		entries = max(most, 1)
	} else if most > 0 {
		entries = min(entries, most)
	}
	return entries, max(int(w.MaxFrame)-wire.EntryMaxSize, wire.AppendRequestHeaderSize)
}

// lineDefaults make what a line leaves out.
var lineDefaults = wire.JSONDefaults{
	Now:      func() int64 { return time.Now().UnixMilli() },
	NewNonce: newNonce,
}

// newNonce makes a UUIDv7: nonces that rise keep the ledger's index cheap.
func newNonce() wire.Nonce { return wire.Nonce(uuid.Must(uuid.NewV7())) }

// locate says in which line an error is.
func (in *input) locate(err error) error {
	if err == nil {
		return nil
	}
	var at *wire.JSONError
	if !errors.As(err, &at) {
		return &lineError{in.name, in.began(), 1, err}
	}
	detail := errors.New(at.Detail)
	if at.Member != "" {
		detail = fmt.Errorf("member %q: %s", at.Member, at.Detail)
	}
	return &lineError{in.name, in.line, at.Column, detail}
}
