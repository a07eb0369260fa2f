package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Name is what the program of a sidecar is called. A program that holds more than a sidecar
// runs Main, and nothing else, where its own name is this one.
const Name = "ron-ledgerd"

// Exit statuses of Main, beside 0 for a clean stop and ExitUnknownState.
const (
	ExitFailure = 1 // it could not start or stop
	ExitUsage   = 2 // the configuration is wrong
)

// Main is the process of a sidecar, from its arguments to its exit status: it loads the
// configuration, starts, hardens the process for good, greets, and drains when ctx ends or
// SIGTERM or SIGINT comes; SIGHUP makes it look at its keys and its certificate. A second
// signal ends the process at once.
func Main(ctx context.Context, args []string) (status int) {
	config, err := Load(args, os.Environ())
	if printout := new(Printout); errors.As(err, &printout) {
		fmt.Print(printout.Text)
		return 0
	}
	if err != nil {
		return failed(ExitUsage, err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	s, err := Start(ctx, config)
	if err != nil {
		return failed(ExitFailure, err)
	}
	s.ReloadWith(func() (*Config, error) { return Load(args, os.Environ()) })
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
	closing, cancel := context.WithTimeout(context.Background(), s.live().Shutdown.Timeout.Duration())
	defer cancel()
	if err := s.Close(closing); err != nil {
		return failed(ExitFailure, err)
	}
	return 0
}

// failed says what ends the process.
func failed(status int, err error) int {
	fmt.Fprintf(os.Stderr, Name+": %v\n", err)
	return status
}
