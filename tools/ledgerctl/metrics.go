package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
)

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "metrics [PREFIX...]", Short: "print the metrics of the sidecar, over its socket",
		Long: `Metrics prints what /metrics has, without a certificate or a port: all of it, or the values
of the metrics that begin with one of the prefixes, which is an error where none does. The
token needs the right to administer.`,
		Example: "  ledgerctl metrics queue_ busy_rejections\n  ledgerctl metrics | grep -v '^#'",
		Args:    between(0, 64),
		RunE: func(cmd *cobra.Command, prefixes []string) error {
			text, err := a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminMetrics})
			if err != nil {
				return err
			}
			found := false
			err = a.printing(func(w *bufio.Writer) error {
				for line := range strings.Lines(text) {
					begins := func(prefix string) bool { return strings.HasPrefix(line, prefix) }
					if len(prefixes) == 0 || slices.ContainsFunc(prefixes, begins) {
						found = true
						_, _ = w.WriteString(line) // Flush says what went wrong
					}
				}
				return nil
			})
			if err == nil && !found {
				err = fmt.Errorf("no metric begins with %s: ledgerctl metrics prints all", strings.Join(prefixes, " or "))
			}
			return err
		},
	}
}
