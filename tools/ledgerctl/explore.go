package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/screen"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

const exploreHelp = `  roots [SIZE]     the roots of twenty commits, the newest or those behind a size
  commit SEQ       the commit that an entry came in, with all of its entries
  entry SEQ        an entry, and its proof as a tree
  account NAME     what an account holds, and its last movements
  help, quit
`

func (a *app) exploreCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explore", Short: "walk through the ledger",
		Long: `Explore takes a step a line, from the terminal or from a pipe, until quit or the end:

` + exploreHelp + `
A number alone is an entry, a name alone an account. A proof is drawn from the root down to the
entry: what the proof gives, and what whoever checks it computes. With --json each line is an
object; that of a step that failed has the member error.`,
		Example: "  ledgerctl explore\n  echo entry 17 | ledgerctl explore",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *client.Client) error { return a.explore(cmd.Context(), c) })
		},
	}
}

// exploreLineMax is the longest step, in bytes: a name is shorter.
const exploreLineMax = 4096

// explore carries out a step a line. One that fails says why, and the walk goes on.
func (a *app) explore(ctx context.Context, c *client.Client) error {
	prompt := ""
	if a.terminal(a.stdout) && !a.json {
		prompt = "> "
		fmt.Fprint(a.stdout, exploreHelp)
	}
	steps := bufio.NewScanner(a.stdin)
	steps.Buffer(nil, exploreLineMax)
	for {
		if _, err := io.WriteString(a.stdout, prompt); err != nil {
			return err
		}
		if !steps.Scan() {
			return steps.Err()
		}
		words := strings.Fields(steps.Text())
		if len(words) == 0 {
			continue
		}
		if words[0] == "quit" || words[0] == "q" {
			return nil
		}
		err := a.printing(func(w *bufio.Writer) error { return a.step(ctx, c, w, words) })
		if ctx.Err() != nil || errors.Is(err, client.ErrDisconnected) {
			return err
		}
		if err != nil && a.json {
			err = printJSON(a.stdout, map[string]string{"error": err.Error()})
		} else if err != nil {
			_, err = fmt.Fprintln(a.stdout, err)
		}
		if err != nil {
			return err
		}
	}
}

func (a *app) step(ctx context.Context, c *client.Client, w *bufio.Writer, words []string) error {
	if _, err := strconv.ParseUint(words[0], 10, 63); err == nil && len(words) == 1 {
		words = []string{"entry", words[0]}
	}
	argument := ""
	if len(words) > 1 {
		argument = words[1]
	}
	switch words[0] {
	case "help":
		if a.json {
			return printJSON(w, map[string]string{"help": exploreHelp})
		}
		_, err := w.WriteString(exploreHelp)
		return err
	case "account":
		return a.exploreAccount(ctx, c, w, argument)
	case "roots", "commit", "entry":
		n := uint64(0)
		if argument != "" || words[0] != "roots" {
			var err error
			if n, err = strconv.ParseUint(argument, 10, 63); err != nil || n == 0 {
				return fmt.Errorf("%s wants a number: sequence numbers start at 1", words[0])
			}
		}
		return map[string]func(context.Context, *client.Client, *bufio.Writer, uint64) error{
			"roots": a.exploreRoots, "commit": a.exploreCommit, "entry": a.exploreEntry,
		}[words[0]](ctx, c, w, n)
	}
	if len(words) == 1 {
		return a.exploreAccount(ctx, c, w, words[0])
	}
	return fmt.Errorf("%q is no step: try help", strings.Join(words, " "))
}

// exploreShown is how many roots and movements one step shows.
const exploreShown = 20

// newestSize is that of now; the client's Welcome has that of when it connected.
func newestSize(ctx context.Context, c *client.Client) (uint64, error) {
	text, err := c.Status(ctx)
	if err != nil {
		return 0, err
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		return 0, fmt.Errorf("read the status: %w", err)
	}
	return r.Size, nil
}

func (a *app) exploreRoots(ctx context.Context, c *client.Client, w *bufio.Writer, since uint64) error {
	if since == 0 {
		size, err := newestSize(ctx, c)
		if err != nil {
			return err
		}
		since = size - min(size, exploreShown)
	}
	page, err := c.Roots(ctx, since, exploreShown, 0)
	if err != nil {
		return err
	}
	for _, r := range page.Roots {
		if err := a.printRoot(w, rootJSON{r.Size, merkle.Hash(r.Root).String(), r.TimeMs}); err != nil {
			return err
		}
	}
	return nil
}

// commitOf finds the commit of an entry: the first root that covers it, and by a binary search
// where the one before it ends, since roots are only read forwards.
func commitOf(ctx context.Context, c *client.Client, seq uint64) (first uint64, head wire.Head, err error) {
	page, err := c.Roots(ctx, seq-1, 1, 0)
	if err != nil {
		return 0, head, err
	}
	if len(page.Roots) == 0 {
		return 0, head, fmt.Errorf("entry %d is in no commit", seq)
	}
	head = page.Roots[0]
	failed := error(nil)
	// The least size from which on the next root is this one.
	least := sort.Search(int(seq), func(since int) bool {
		before, err := c.Roots(ctx, uint64(since), 1, 0)
		if err != nil {
			failed = err
			return true
		}
		return len(before.Roots) > 0 && before.Roots[0].Size == head.Size
	})
	return uint64(least) + 1, head, failed
}

// commitJSON is what --json prints of a commit, before its entries.
type commitJSON struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Time  string `json:"time"`
	Root  string `json:"root"`
}

func (a *app) exploreCommit(ctx context.Context, c *client.Client, w *bufio.Writer, seq uint64) error {
	first, head, err := commitOf(ctx, c, seq)
	if err != nil {
		return err
	}
	if a.json {
		err = printJSON(w, commitJSON{first, head.Size, timeWord(head.TimeMs), merkle.Hash(head.Root).String()})
	} else {
		_, err = fmt.Fprintf(w, "commit of entries %d to %d, %s\nroot %s\n", first, head.Size, timeWord(head.TimeMs), merkle.Hash(head.Root))
	}
	if err != nil {
		return err
	}
	for row, err := range c.Entries(ctx, first, head.Size) {
		if err != nil {
			return err
		}
		if err := a.printRow(w, row); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) exploreEntry(ctx context.Context, c *client.Client, w *bufio.Writer, seq uint64) error {
	for row, err := range c.Entries(ctx, seq, seq) {
		if err != nil {
			return err
		}
		if err := a.printRow(w, row); err != nil {
			return err
		}
	}
	r, err := c.Receipt(ctx, seq)
	if err != nil {
		return err
	}
	checkpoint, err := checkAgainstStatus(ctx, c, r)
	if err != nil {
		return err
	}
	_, _, kind, err := merkle.ParseOrigin(checkpoint.Origin)
	if err != nil {
		return err
	}
	leaf := kind.Leaf(r.Record)
	if a.json {
		return printJSON(w, provenJSON{seq, leaf, checkpoint.Size, checkpoint.Root, r.Proof})
	}
	path := make([]string, len(r.Proof))
	for i, hash := range r.Proof {
		path[i] = screen.Abbreviated(hash.String())
	}
	for _, line := range screen.ProofTree(screen.Abbreviated(checkpoint.Root.String()), screen.Abbreviated(leaf.String()), seq, checkpoint.Size, path) {
		fmt.Fprintln(w, line)
	}
	_, err = fmt.Fprintln(w, "checked: the path leads from the entry to the root, which the ledger has signed")
	return err
}

// provenJSON is what --json prints of a proof that was checked.
type provenJSON struct {
	Seq   uint64        `json:"seq"`
	Leaf  merkle.Hash   `json:"leaf"`
	Size  uint64        `json:"size"` // of the tree
	Root  merkle.Hash   `json:"root"`
	Proof []merkle.Hash `json:"proof"` // from the leaf upwards
}

// checkAgainstStatus holds a receipt against the key that the sidecar names.
func checkAgainstStatus(ctx context.Context, c *client.Client, r *client.Receipt) (merkle.Checkpoint, error) {
	text, err := c.Status(ctx)
	if err != nil {
		return merkle.Checkpoint{}, err
	}
	var status struct {
		VerifyKey string `json:"verify_key"`
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return merkle.Checkpoint{}, fmt.Errorf("read the status: %w", err)
	}
	verifier, err := readKey(status.VerifyKey)
	if err != nil {
		return merkle.Checkpoint{}, err
	}
	return r.Verify(r.Record, verifier)
}

// exploreAccount prints the balances and the last movements, which a scan of the log finds.
func (a *app) exploreAccount(ctx context.Context, c *client.Client, w *bufio.Writer, name string) error {
	account, err := c.Account(ctx, name)
	if err != nil {
		return err
	}
	if !account.Known {
		return fmt.Errorf("no entry has named the account %q", name)
	}
	for _, b := range account.Balances {
		if err := a.printBalance(w, b); err != nil {
			return err
		}
	}
	var rows []wire.EntriesRow
	for row, err := range c.Entries(ctx, min(1, account.Size), account.Size) {
		if err != nil {
			return err
		}
		e := row.Record.Entry()
		if string(e.Account()) != name && string(e.Counterparty()) != name {
			continue
		}
		if len(rows) == exploreShown {
			rows = append(rows[:0], rows[1:]...)
		}
		row.Record = append(wire.Record(nil), row.Record...)
		rows = append(rows, row)
	}
	for _, row := range rows {
		if err := a.printRow(w, row); err != nil {
			return err
		}
	}
	return nil
}
