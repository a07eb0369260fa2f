package main

import (
	"bufio"
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// rootJSON is a root as GET /roots and roots --json print it.
type rootJSON struct {
	Seq  uint64 `json:"seq"`  // size of the tree
	Root string `json:"root"` // hex
	TS   int64  `json:"ts"`   // Unix milliseconds
}

// rootsPage is a run of roots, from wherever.
type rootsPage struct {
	Roots      []rootJSON `json:"roots"`
	Next       uint64     `json:"next"`
	Checkpoint string     `json:"checkpoint"`
}

// rootsSource returns at most limit roots behind since.
type rootsSource func(ctx context.Context, since uint64, limit uint32) (rootsPage, error)

// rootsPageSize is how many roots are asked for at once.
const rootsPageSize = 1000

func (a *app) rootsCommand() *cobra.Command {
	var url, ca string
	var since, limit uint64
	var checkpoint bool
	cmd := &cobra.Command{
		Use: "roots", Short: "print the roots of the commits",
		Long: `Roots prints a line for each commit: size of the tree, root and time. It reads them over
the socket, or with --url over HTTPS, as another region does; then --ca names the
certificate to trust (a sidecar without one of its own makes HOME/tls.crt).`,
		Example: "  ledgerctl roots --since 1000\n  ledgerctl roots --checkpoint\n" +
			"  ledgerctl roots --url https://127.0.0.1:5082 --ca ~/.local/state/ron-ledger/tls.crt",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			print := func(source rootsSource) error { return a.printRoots(cmd.Context(), source, since, limit, checkpoint) }
			if url != "" {
				return overHTTPS(url, ca, print)
			}
			if ca != "" {
				return usagef("--ca is only for --url")
			}
			return a.with(cmd.Context(), func(c *client.Client) error { return print(overSocket(c)) })
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "read over HTTPS from here")
	cmd.Flags().StringVar(&ca, "ca", "", "file with the certificate to trust, PEM")
	cmd.Flags().Uint64Var(&since, "since", 0, "only roots of sizes greater than this")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most this many; 0: all")
	cmd.Flags().BoolVar(&checkpoint, "checkpoint", false, "print only the newest signed checkpoint")
	return cmd
}

func overSocket(c *client.Client) rootsSource {
	return func(ctx context.Context, since uint64, limit uint32) (page rootsPage, err error) {
		roots, err := c.Roots(ctx, since, limit, 0)
		if err != nil {
			return page, err
		}
		for _, r := range roots.Roots {
			page.Roots = append(page.Roots, rootJSON{r.Size, merkle.Hash(r.Root).String(), r.TimeMs})
		}
		page.Next, page.Checkpoint = roots.Next, string(roots.Checkpoint)
		return page, nil
	}
}

func (a *app) printRoots(ctx context.Context, source rootsSource, since, limit uint64, checkpoint bool) error {
	return a.printing(func(w *bufio.Writer) error {
		for printed := uint64(0); limit == 0 || printed < limit; {
			wanted := uint32(rootsPageSize)
			if limit != 0 {
				wanted = uint32(min(rootsPageSize, limit-printed))
			}
			if checkpoint {
				wanted = 1
			}
			page, err := source(ctx, since, wanted)
			if err != nil {
				return err
			}
			if checkpoint {
				return a.printCheckpoint(w, page.Checkpoint)
			}
			if len(page.Roots) == 0 {
				return nil
			}
			for _, r := range page.Roots {
				if err := a.printRoot(w, r); err != nil {
					return err
				}
			}
			printed += uint64(len(page.Roots))
			since = page.Next
		}
		return nil
	})
}

func (a *app) printRoot(w *bufio.Writer, r rootJSON) error {
	if a.json {
		return printJSON(w, r)
	}
	if a.tabular() {
		return a.printCells(w, rootColumns, strconv.FormatUint(r.Seq, 10), r.Root, timeWord(r.TS))
	}
	_, err := fmt.Fprintf(w, "%8d  %s  %s\n", r.Seq, r.Root, timeWord(r.TS))
	return err
}

func (a *app) printCheckpoint(w *bufio.Writer, note string) error {
	if note == "" {
		return fmt.Errorf("read the checkpoint: none is published yet")
	}
	if a.json {
		return printJSON(w, map[string]string{"checkpoint": note})
	}
	_, err := w.WriteString(note)
	return err
}
