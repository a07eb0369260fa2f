// Command ron-ledgerd runs the sidecar: it takes flags, environment and file from
// the shell, and hands a configuration to package sidecar. SIGTERM and SIGINT
// drain it, SIGHUP makes it read its configuration, keys and certificate again. It exits with 0 after a clean stop, 2 when the configuration is wrong,
// 1 when it could not start or stop, and 70 when the state of the log is unknown.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rustyonions/ron-ledger/sidecar"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	config, err := sidecar.Load(os.Args[1:], os.Environ())
	if printout := new(sidecar.Printout); errors.As(err, &printout) {
		fmt.Print(printout.Text)
		return
	}
	if err != nil {
		fail(exitUsage, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	s, err := sidecar.Start(ctx, config)
	if err != nil {
		fail(exitFailure, err)
	}
	s.ReloadWith(func() (*sidecar.Config, error) { return sidecar.Load(os.Args[1:], os.Environ()) })
	s.Harden()
	fmt.Print(s.Greeting())
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-reload:
			s.Reload()
		}
	}
	stop() // a second signal ends the process at once
	closing, cancel := context.WithTimeout(context.Background(), config.Shutdown.Timeout.Duration())
	defer cancel()
	if err := s.Close(closing); err != nil {
		fail(exitFailure, err)
	}
}

func fail(status int, err error) {
	fmt.Fprintf(os.Stderr, "ron-ledgerd: %v\n", err)
	os.Exit(status)
}
