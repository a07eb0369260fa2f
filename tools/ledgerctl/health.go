package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire/client"
)

// healthTimeout leaves a probe of a few seconds the time to start this program.
const healthTimeout = 2 * time.Second

func (a *app) healthCommand() *cobra.Command {
	var startup, live, ready bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "health", Short: "ask whether the sidecar is up, for probes",
		Long: `Health answers one question with its exit status, 0 for yes and 1 for no, and says why in
one line. It needs no token, but the uid of ron-ledgerd, and it is done within --timeout.

  --startup  the socket answers, so the log was replayed and its head verified
  --live     the socket answers; neither the disk nor the committer is asked
  --ready    entries are taken: no safe mode, no disk pressure, not shutting down

A ledger in safe mode has started and is live: to start it again would mend nothing and
take its reads away. It is not ready.`,
		Example: "  ledgerctl health --ready\n  ledgerctl health --live --timeout 1s",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked := len(slices.DeleteFunc([]bool{startup, live, ready}, func(on bool) bool { return !on })); asked != 1 {
				return usagef("%d questions are asked: say one of --startup, --live and --ready", asked)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			switch {
			case live:
				return a.answer(ctx, "live", a.live)
			case startup:
				return a.answer(ctx, "startup", a.started)
			}
			return a.answer(ctx, "ready", a.ready)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&startup, "startup", false, "has it started?")
	flags.BoolVar(&live, "live", false, "does it answer?")
	flags.BoolVar(&ready, "ready", false, "does it take entries?")
	flags.DurationVar(&timeout, "timeout", healthTimeout, "how long it may take to find out")
	return cmd
}

// greet says HELLO without a token.
func (a *app) greet(ctx context.Context) (*client.Client, error) {
	socket, err := a.socketPath()
	if err != nil {
		return nil, err
	}
	check, err := a.checkServer()
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, client.Options{Name: "ledgerctl health", Socket: socket, CheckServer: check})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", socket, err)
	}
	return c, nil
}

// healthJSON is what health --json prints.
type healthJSON struct {
	Question string `json:"question"` // startup, live or ready
	Yes      bool   `json:"yes"`
	Because  string `json:"because"`
}

// answer asks a question and prints the answer, of which a failure is one.
func (a *app) answer(ctx context.Context, question string, ask func(context.Context) (string, error)) error {
	because, err := ask(ctx)
	if a.json {
		if err != nil {
			because = err.Error()
		}
		return errors.Join(err, printJSON(a.stdout, healthJSON{question, err == nil, because}))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, because)
	return err
}

// live wants an answer to HELLO. One that turns the connection away, because too many are
// open, is one.
func (a *app) live(ctx context.Context) (string, error) {
	c, err := a.greet(ctx)
	var refused *client.ReasonError
	if errors.As(err, &refused) {
		return "live: it answers " + refused.Reason.String(), nil
	}
	if err != nil {
		return "", err
	}
	return "live", c.Close()
}

// report is what health reads of the status.
type report struct {
	Ready    bool   `json:"ready"`
	Degraded string `json:"degraded"`
	Size     uint64 `json:"size"`
	Root     string `json:"root"`
}

func (a *app) report(ctx context.Context) (r report, err error) {
	c, err := a.greet(ctx)
	if err != nil {
		return r, err
	}
	text, err := c.Status(ctx)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err = errors.Join(err, c.Close()); err != nil {
		return r, fmt.Errorf("read the status: %w", err)
	}
	return r, nil
}

func (a *app) started(ctx context.Context) (string, error) {
	r, err := a.report(ctx)
	if err != nil {
		return "", err
	}
	if r.Degraded != "" {
		return "started, but appends are refused: " + r.Degraded, nil
	}
	return fmt.Sprintf("started: %d entries, root %s", r.Size, r.Root), nil
}

func (a *app) ready(ctx context.Context) (string, error) {
	r, err := a.report(ctx)
	if err != nil {
		return "", err
	}
	if !r.Ready {
		return "", fmt.Errorf("not ready: %s", r.Degraded)
	}
	return fmt.Sprintf("ready: %d entries", r.Size), nil
}
