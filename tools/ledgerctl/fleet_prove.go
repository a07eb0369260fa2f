package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/fleet"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

type fleetProveFlags struct {
	state, tree, key, url, ca, out string
}

func (a *app) fleetProveCommand() *cobra.Command {
	var f fleetProveFlags
	cmd := &cobra.Command{
		Use: "prove RECEIPT --state DIR", Short: "lead an entry to the line that anchors it",
		Long: `Prove makes of the receipt of an entry the proof that the entry is anchored in a line of the fleet:
the newest one in the folder of --state, or the one in the file of --tree, a file of its folder lines/.

Where the receipt was made at another size than is anchored, the ledger has to prove that the two are one
history: over HTTPS with --url, else over the socket. Fleet verify checks the result, and asks nobody.`,
		Example: "  ledgerctl receipt 17 --out 17.receipt\n  ledgerctl fleet prove 17.receipt --state fleet --url https://ledger.eu:5082 --ca ca.crt --out 17.proof",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.state == "" && (f.tree == "" || f.key == "") {
				return usagef("--state is needed, or --tree and --key: see %s --help", cmd.CommandPath())
			}
			return a.fleetProve(cmd.Context(), &f, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.state, "state", "", "state folder of the fleet")
	flags.StringVar(&f.tree, "tree", "", "file with a line and its tree (default the newest in --state)")
	flags.StringVar(&f.key, "key", "", "verifier key of the fleet, the line itself or a file with it (default fleet.vkey in --state)")
	flags.StringVar(&f.url, "url", "", "where the ledger publishes its roots (default the socket)")
	flags.StringVar(&f.ca, "ca", "", "file with the certificate to trust, PEM")
	flags.StringVar(&f.out, "out", "", "write to this file instead of stdout")
	return cmd
}

func (a *app) fleetProve(ctx context.Context, f *fleetProveFlags, receiptFile string) error {
	key, tree := f.key, f.tree
	if key == "" {
		key = f.state + "/" + fleetVKeyFile
	}
	verifier, err := fleetVerifier(key)
	if err != nil {
		return err
	}
	if tree == "" {
		if tree, err = fleet.NewestLine(f.state); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(tree)
	if err != nil {
		return fmt.Errorf("read the tree of a line: %w", err)
	}
	anchored, err := fleet.ParseAnchored(text, verifier)
	if err != nil {
		return fmt.Errorf("%s: %w", tree, err)
	}
	receipt, err := os.ReadFile(receiptFile)
	if err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	proof, err := anchored.Prove(receipt, a.consistency(ctx, f))
	if err != nil {
		return fmt.Errorf("prove %s: %w", receiptFile, err)
	}
	proven, err := proof.Verify(verifier)
	if err != nil {
		return refutedError{fmt.Errorf("prove %s: %w", receiptFile, err)}
	}
	return a.handOut("proof", proven.Seq, proof.Marshal(), f.out)
}

// consistency asks the ledger to prove that one of its trees is the beginning of another.
func (a *app) consistency(ctx context.Context, f *fleetProveFlags) fleet.Consistency {
	if f.url == "" {
		return func(smaller, larger uint64) (hashes []merkle.Hash, err error) {
			err = a.with(ctx, func(c *client.Client) error {
				m, err := c.Prove(ctx, &wire.Prove{Consistency: true, From: smaller, Size: larger})
				if err != nil {
					return fmt.Errorf("prove that size %d goes on to size %d: %w", smaller, larger, err)
				}
				for _, h := range m.Proof {
					hashes = append(hashes, h)
				}
				return nil
			})
			return hashes, err
		}
	}
	return func(smaller, larger uint64) ([]merkle.Hash, error) {
		base, h, err := rootsOverHTTPS(f.url, f.ca)
		if err != nil {
			return nil, err
		}
		defer h.CloseIdleConnections()
		base.RawQuery = url.Values{
			"since": {strconv.FormatUint(smaller, 10)}, "to": {strconv.FormatUint(larger, 10)}, "limit": {"1"}, "proof": {"1"},
		}.Encode()
		var page monitor.Page
		if err := monitor.Get(ctx, h, base, &page); err != nil {
			return nil, fmt.Errorf("prove that size %d goes on to size %d: %w", smaller, larger, err)
		}
		if page.Consistency == nil {
			return nil, fmt.Errorf("prove that size %d goes on to size %d: %s gives no proof", smaller, larger, base.Host)
		}
		return *page.Consistency, nil
	}
}

func fleetVerifier(key string) (note.Verifier, error) {
	line, err := keyLine(key)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(line)
	if err != nil {
		return nil, fmt.Errorf("read --key: %w", err)
	}
	return verifier, nil
}

func (a *app) fleetVerifyCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "verify PROOF --key VKEY", Short: "check that an entry is anchored in a line, without a server",
		Long: `Verify checks a proof of fleet prove with nothing but the verifier key of the fleet: that the line is signed
by it, that the ledger's root is in the tree that the line anchors, and that the entry is in that ledger. It
prints the entry and the line. The exit status is 4 where the proof does not hold.`,
		Example: "  ledgerctl fleet verify 17.proof --key fleet/fleet.vkey",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			verifier, err := fleetVerifier(key)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the proof: %w", err)
			}
			return a.fleetVerify(text, verifier)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "verifier key of the fleet, the line itself or a file with it")
	return cmd
}

// anchoredJSON is what fleet verify --json prints. Time is Unix milliseconds.
type anchoredJSON struct {
	verifiedJSON
	Fleet   string `json:"fleet"`
	Ledgers uint64 `json:"ledgers"`
	Time    int64  `json:"time"`
	Anchor  string `json:"anchor"` // root over all ledgers
}

func (a *app) fleetVerify(text []byte, verifier note.Verifier) error {
	proof, err := fleet.ParseProof(text)
	if err != nil {
		return refutedError{err}
	}
	proven, err := proof.Verify(verifier)
	if err != nil {
		return refutedError{err}
	}
	line, leaf := &proven.Line, &proven.Leaf
	if a.json {
		return printJSON(a.stdout, anchoredJSON{
			verifiedJSON{proven.Seq, leaf.Origin, leaf.Size, leaf.Root.String()}, line.Name, line.Ledgers, line.Time.UnixMilli(), line.Root.String(),
		})
	}
	if _, err := fmt.Fprintf(a.stdout, "anchored by %s at %s, among %d ledgers, under %v\n", line.Name, timeWord(line.Time.UnixMilli()), line.Ledgers, line.Root); err != nil {
		return err
	}
	return a.printVerified(proven.Seq, proven.Record, leaf.Checkpoint)
}
