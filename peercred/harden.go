package peercred

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Harden takes from this process, for good, what a ledger never needs, and returns
// what took effect, one word each, for the log. What could not be done is in the
// error, and the rest has been done nevertheless.
//
//	no_new_privs  nothing that it executes gains rights (setuid, capabilities)
//	not_dumpable  no core file, and no process of the same uid reads its memory,
//	              where the keys are
//	no_core       the limit of core files is 0, hard: it holds for children too
func Harden() (took []string, err error) {
	steps := []struct {
		word string
		do   func() error
	}{
		{"no_new_privs", noNewPrivs},
		{"not_dumpable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }},
		{"no_core", func() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }},
	}
	var failed []error
	for _, step := range steps {
		if err := step.do(); err != nil {
			failed = append(failed, fmt.Errorf("harden the process: %s: %w", step.word, err))
			continue
		}
		took = append(took, step.word)
	}
	return took, errors.Join(failed...)
}

// noNewPrivs sets the flag on every thread: the kernel keeps it for each by itself,
// and a child may be started from any. Only a binary without cgo can do that.
func noNewPrivs() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return fmt.Errorf("this binary has cgo and cannot reach all of its threads: build with CGO_ENABLED=0: %w", errno)
	default:
		return errno
	}
}
