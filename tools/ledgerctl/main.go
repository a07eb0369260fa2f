package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func main() { os.Exit(run()) }

// run carries out the command line and returns the exit status. Under the name of the
// sidecar it is the sidecar, and no command of ledgerctl is within reach.
func run() int {
	if filepath.Base(os.Args[0]) == sidecar.Name {
		return sidecar.Main(context.Background(), os.Args[1:])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: os.Getenv}
	return a.run(ctx, os.Args[1:])
}

// app is what all commands share: where things come from and go to, and the flags
// of the root command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string

	home, socket, tokenFile string
	serverUID               string // who may run the sidecar; empty: the client's own rule
	json                    bool
	output                  string // json, table, tsv, csv; empty: lines for people
	scale                   int    // digits behind the point of amounts, but in JSON
	table                   *rowTable
}

// Exit statuses.
const (
	exitOK       = 0
	exitFailure  = 1
	exitUsage    = 2
	exitRejected = 3
	exitRefuted  = 4
	exitStale    = 5
)

// usageError says that the command line is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// endedError is the exit status of a process that has said itself what went wrong.
type endedError int

func (e endedError) Error() string { return fmt.Sprintf("it ended with status %d", int(e)) }

// errRejected ends a command that has already said which entries were rejected.
var errRejected = errors.New("some entries were rejected")

func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var ended endedError
	var refuted refutedError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errRejected):
		return exitRejected
	case errors.Is(err, errStale):
		return exitStale
	case errors.Is(err, syscall.EPIPE): // whoever read the output has seen enough
		return exitFailure
	case errors.As(err, &ended):
		return int(ended)
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "ledgerctl: %v\n", err)
		return exitUsage
	}
	if errors.As(err, &refuted) {
		fmt.Fprintf(a.stderr, "ledgerctl: %v\n", err)
		return exitRefuted
	}
	if ctx.Err() != nil {
		fmt.Fprintln(a.stderr, "ledgerctl: interrupted")
	}
	fmt.Fprintf(a.stderr, "ledgerctl: %v\n", err)
	if next := a.advice(err); next != "" {
		fmt.Fprintf(a.stderr, "  %s\n", next)
	}
	return exitFailure
}
