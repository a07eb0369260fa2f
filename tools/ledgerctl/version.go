package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
)

// versionJSON is what version --json prints.
type versionJSON struct {
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	Go       string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version of this program",
		Long:    "Version prints the version of this program and of the protocol that it speaks. That of\nthe sidecar is in ledgerctl status.",
		Example: "  ledgerctl version",
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			v := versionJSON{"(devel)", wire.Version1, runtime.Version()}
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
				v.Version = info.Main.Version
			}
			if a.json {
				return printJSON(a.stdout, v)
			}
			_, err := fmt.Fprintf(a.stdout, "ledgerctl %s, protocol %d, %s\n", v.Version, v.Protocol, v.Go)
			return err
		},
	}
}
