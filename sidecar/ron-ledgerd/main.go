// Command ron-ledgerd runs the sidecar: it takes flags, environment and file from
// the shell, and hands them to package sidecar. SIGTERM and SIGINT drain it, SIGHUP
// makes it read its configuration, keys and certificate again. It exits with 0 after a
// clean stop, 2 when the configuration is wrong, 1 when it could not start or stop, and 70
// when the state of the log is unknown.
//
// Ledgerctl under this name is the same program: `just build` makes one file with two
// names. This one is the sidecar alone.
package main

import (
	"context"
	"os"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func main() { os.Exit(sidecar.Main(context.Background(), os.Args[1:])) }
