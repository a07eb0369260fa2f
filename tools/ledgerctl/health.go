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
				return a.live(ctx)
			case startup:
				return a.started(ctx)
			}
			return a.ready(ctx)
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

// live wants an answer to HELLO. One that turns the connection away, because too many are
// open, is one.
func (a *app) live(ctx context.Context) error {
	c, err := a.greet(ctx)
	var refused *client.ReasonError
	if errors.As(err, &refused) {
		_, err = fmt.Fprintf(a.stdout, "live: it answers %s\n", refused.Reason)
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, "live")
	return errors.Join(err, c.Close())
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

func (a *app) started(ctx context.Context) error {
	r, err := a.report(ctx)
	if err != nil {
		return err
	}
	if r.Degraded != "" {
		_, err = fmt.Fprintf(a.stdout, "started, but appends are refused: %s\n", r.Degraded)
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "started: %d entries, root %s\n", r.Size, r.Root)
	return err
}

func (a *app) ready(ctx context.Context) error {
	r, err := a.report(ctx)
	if err != nil {
		return err
	}
	if !r.Ready {
		return fmt.Errorf("not ready: %s", r.Degraded)
	}
	_, err = fmt.Fprintf(a.stdout, "ready: %d entries\n", r.Size)
	return err
}
