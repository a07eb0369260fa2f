package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) receiptCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use: "receipt SEQ | ACCOUNT NONCE", Short: "print the receipt of an entry",
		Long: `Receipt prints what shows, without any server and for ever, that an entry is in the
ledger: a C2SP tlog-proof with the record as its extra data, the inclusion proof and
the newest signed checkpoint. ledgerctl verify-receipt checks it.`,
		Example: "  ledgerctl receipt 17 --out 17.receipt\n  ledgerctl receipt acct/a 0190163d-8694-739b-aea5-966c26f8ad90",
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(c *client.Client) error {
				r, err := askReceipt(cmd.Context(), c, args)
				if err != nil {
					return err
				}
				text, err := receiptText(r)
				if err != nil {
					return err
				}
				return a.handOut("receipt", r.Index+1, text, out)
			})
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to this file instead of stdout")
	return cmd
}

// handOut prints what proves an entry, or writes it to a file.
func (a *app) handOut(what string, seq uint64, text []byte, file string) error {
	printed := map[string]any{"seq": seq, what: string(text)}
	if file != "" {
		if err := writeWhole(file, text); err != nil {
			return err
		}
		printed = map[string]any{"seq": seq, "file": file}
	}
	switch {
	case a.json:
		return printJSON(a.stdout, printed)
	case file == "":
		_, err := a.stdout.Write(text)
		return err
	}
	return nil
}

func askReceipt(ctx context.Context, c *client.Client, args []string) (*client.Receipt, error) {
	if len(args) == 2 {
		nonce, ok := wire.ParseNonce(args[1])
		if !ok {
			return nil, usagef("%q is no nonce: a UUID, 32 hex digits or base64 of 16 bytes", args[1])
		}
		return c.ReceiptOf(ctx, args[0], nonce)
	}
	seq, err := strconv.ParseUint(args[0], 10, 63)
	if err != nil || seq == 0 {
		return nil, usagef("%q is no sequence number: they start at 1", args[0])
	}
	return c.Receipt(ctx, seq)
}

// receiptText is the receipt as a file: the record is its extra data, so that one
// file is all that is needed. The proof vouches for the record, as it does for one
// that is kept elsewhere.
func receiptText(r *client.Receipt) ([]byte, error) {
	whole := r.Receipt
	whole.Extra = r.Record
	return whole.Marshal()
}

// writeWhole writes a file that is whole or not there.
func writeWhole(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// seqRun is a run of sequence numbers, both ends included.
type seqRun struct{ first, last uint64 }

// addSeq appends seq to runs, of which the last one grows where it can.
func addSeq(runs []seqRun, seq uint64) []seqRun {
	if n := len(runs); n > 0 && runs[n-1].last+1 == seq {
		runs[n-1].last = seq
		return runs
	}
	return append(runs, seqRun{seq, seq})
}

// receiptsInFlight is how many receipts are asked for at once; a sidecar takes 16
// reads on one connection.
const receiptsInFlight = 8

// writeReceipts writes DIR/SEQ.receipt for every entry of the runs, and tells how many of how
// many it has asked for. The first failure ends it.
func writeReceipts(ctx context.Context, c *client.Client, dir string, runs []seqRun, told func(done, size uint64)) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	seqs := make(chan uint64)
	var workers sync.WaitGroup
	for range receiptsInFlight {
		workers.Go(func() {
			for seq := range seqs {
				if err := saveReceipt(ctx, c, dir, seq); err != nil {
					fail(err)
				}
			}
		})
	}
	done, size := uint64(0), uint64(0)
	for _, run := range runs {
		size += run.last - run.first + 1
	}
	for _, run := range runs {
		for seq := run.first; seq <= run.last && ctx.Err() == nil; seq++ {
			seqs <- seq
			done++
			told(done, size)
		}
	}
	close(seqs)
	workers.Wait()
	return context.Cause(ctx)
}

func saveReceipt(ctx context.Context, c *client.Client, dir string, seq uint64) error {
	r, err := c.Receipt(ctx, seq)
	if err != nil {
		return err
	}
	text, err := receiptText(r)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(dir, strconv.FormatUint(seq, 10)+".receipt"), text)
}

func (a *app) verifyReceiptCommand() *cobra.Command {
	var key, recordFile string
	cmd := &cobra.Command{
		Use: "verify-receipt FILE --key VKEY", Short: "check a receipt, without a server",
		Long: `Verify-receipt checks that the record of a receipt is in the ledger whose key is given,
and prints the entry and the size of the tree in which it is proven. It asks no server.
The record is the one in the receipt; with --record that of a file, and where both are
there they have to be the same. The exit status is 4 where the receipt does not hold.`,
		Example: "  ledgerctl verify-receipt 17.receipt --key ~/.local/state/ron-ledger/node.vkey",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			verifier, err := readKey(key)
			if err != nil {
				return err
			}
			return a.verifyReceipt(args[0], recordFile, verifier)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	cmd.Flags().StringVar(&recordFile, "record", "", "file with the bytes of the record")
	return cmd
}

// readKey reads a verifier key, or the file with one, as HOME/node.vkey is.
func readKey(key string) (note.Verifier, error) {
	k, err := readLedgerKey(key)
	return k.First, err
}

// readLedgerKey is readKey for all epochs of the ledger.
func readLedgerKey(key string) (monitor.Key, error) {
	line, err := keyLine(key)
	if err != nil {
		return monitor.Key{}, err
	}
	k, err := monitor.ParseKey(line)
	if err != nil {
		return monitor.Key{}, fmt.Errorf("read --key: %w", err)
	}
	return k, nil
}

// keyLine returns the verifier key that --key is, or that is in the file that it names.
func keyLine(key string) (string, error) {
	if key == "" {
		return "", usagef("--key is missing: the verifier key of the ledger, from HOME/node.vkey or ledgerctl status")
	}
	if !strings.Contains(key, "+") {
		text, err := os.ReadFile(key)
		if err != nil {
			return "", fmt.Errorf("read --key: %w", err)
		}
		key = string(text)
	}
	return strings.TrimSpace(key), nil
}

// refutedError says that something does not show what it is said to show.
type refutedError struct{ error }

func (e refutedError) Unwrap() error { return e.error }

func (a *app) verifyReceipt(path, recordFile string, log note.Verifier) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	r, err := merkle.ParseReceipt(text)
	if err != nil {
		return refutedError{err}
	}
	record := r.Extra
	if recordFile != "" {
		given, err := os.ReadFile(recordFile)
		if err != nil {
			return fmt.Errorf("read --record: %w", err)
		}
		if len(record) > 0 && string(record) != string(given) {
			return refutedError{fmt.Errorf("the record in %s is not that of %s", recordFile, path)}
		}
		record = given
	}
	if len(record) == 0 {
		return usagef("%s has no record in it: say where it is with --record", path)
	}
	signed, err := r.Verify(record, log)
	if err != nil {
		return refutedError{err}
	}
	return a.printVerified(r.Index+1, record, signed)
}

// verifiedJSON is what verify-receipt --json prints.
type verifiedJSON struct {
	Seq    uint64 `json:"seq"`
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
}

func (a *app) printVerified(seq uint64, b []byte, signed merkle.Checkpoint) error {
	record, fault := wire.NextRecord(b)
	if !fault.OK() || len(record) != len(b) {
		return refutedError{fmt.Errorf("read the record of entry %d: it is in the tree and is no record: %w", seq, fault)}
	}
	if a.json {
		return printJSON(a.stdout, verifiedJSON{seq, signed.Origin, signed.Size, signed.Root.String()})
	}
	fields := record.Entry().Fields()
	_, err := fmt.Fprintf(a.stdout, "entry %d is in %s, in the tree of %d entries\n%s\n", seq, signed.Origin, signed.Size,
		wire.AppendJSON(nil, &fields, wire.Recorded{Seq: seq, Stamp: record.Stamp()}))
	return err
}
