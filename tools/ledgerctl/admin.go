package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) adminCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "change a running sidecar",
		Long: "Admin changes what a running sidecar does, until its next start. The token needs the right to\nadminister: ledgerctl token inspect."}
	cmd.AddCommand(a.logLevelCommand())
	return cmd
}

// administer asks for an act of administration and returns its answer.
func (a *app) administer(ctx context.Context, m *wire.Admin) (string, error) {
	var answer bytes.Buffer
	err := a.with(ctx, func(c *client.Client) error { return c.Admin(ctx, m, &answer) })
	return answer.String(), err
}

func (a *app) logLevelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "log-level [LEVEL]", Short: "print or change the level of the sidecar's log",
		Long: `Log-level prints the lowest level that the sidecar logs: debug, info, warn or error. With an
argument it sets it, until the next start or a change of log.level in the file. At debug
each connection and each request has a line. The token needs the right to administer.`,
		Example: "  ledgerctl admin log-level\n  ledgerctl admin log-level debug",
		Args:    between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			level, err := a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminLogLevel, Text: strings.Join(args, "")})
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(a.stdout, map[string]string{"log_level": strings.TrimSpace(level)})
			}
			_, err = io.WriteString(a.stdout, level)
			return err
		},
	}
}

func (a *app) profileCommand() *cobra.Command {
	var seconds float64
	var out string
	cmd := &cobra.Command{
		Use: "profile cpu|heap|allocs|goroutine", Short: "profile a running sidecar, for go tool pprof",
		Long: `Profile takes a profile of the sidecar's process and writes it to stdout or --out, as go tool
pprof reads it: what the processor did for --seconds (cpu), what holds memory (heap), what
took some since the start (allocs), where goroutines stand (goroutine). It has no contents of
memory. One is taken at a time. The token needs the right to administer.`,
		Example: "  ledgerctl profile cpu -s 10 > cpu.pprof\n  ledgerctl profile heap --out heap.pprof",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ms, err := wireMs(seconds)
			if err != nil {
				return err
			}
			return a.saveAnswer(cmd.Context(), out, &wire.Admin{Command: wire.AdminProfile, Text: args[0], Ms: ms})
		},
	}
	cmd.Flags().Float64VarP(&seconds, "seconds", "s", 10, "how long to look, for cpu; at most 60")
	cmd.Flags().StringVar(&out, "out", "", "file to write (default stdout)")
	return cmd
}

// wireMs turns --seconds into what the wire carries.
func wireMs(seconds float64) (uint32, error) {
	if !(seconds > 0 && seconds <= 60) {
		return 0, usagef("--seconds is %v: it has to be more than 0 and at most 60", seconds)
	}
	return uint32(math.Ceil(seconds * float64(time.Second/time.Millisecond))), nil
}

// saveAnswer writes a binary answer to a file or to stdout, and never to a terminal.
func (a *app) saveAnswer(ctx context.Context, out string, m *wire.Admin) (err error) {
	w := a.stdout
	switch {
	case out != "":
		file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("make --out: %w", err)
		}
		defer func() {
			if err = errors.Join(err, file.Close()); err != nil {
				err = errors.Join(err, os.Remove(out))
			}
		}()
		return a.with(ctx, func(c *client.Client) error { return c.Admin(ctx, m, file) })
	case a.terminal(w):
		return usagef("the answer is no text: write it to a file, with --out or >")
	}
	return a.with(ctx, func(c *client.Client) error { return c.Admin(ctx, m, w) })
}
