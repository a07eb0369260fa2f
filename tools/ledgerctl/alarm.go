package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// Kinds of alarms of a monitor.
const (
	alarmFork     = "fork"     // two histories under one key
	alarmRollback = "rollback" // history that was published is gone
	alarmUnproven = "unproven" // the proof that nothing was changed is withheld
	alarmListing  = "listing"  // the list of roots would lead a reader astray
	alarmForeign  = "foreign"  // a checkpoint that this ledger did not sign
	alarmStale    = "stale"    // nothing new comes
)

var alarmKinds = []string{alarmFork, alarmRollback, alarmUnproven, alarmListing, alarmForeign, alarmStale}

// alarm is what a monitor has seen and must not be.
type alarm struct {
	kind string
	err  error
	seen merkle.Checkpoint // what was published; zero where that was none
	note []byte            // the same as it came: with the known one the evidence
}

func (e *alarm) Error() string { return e.err.Error() }
func (e *alarm) Unwrap() error { return e.err }

// execTimeout bounds the program of --exec.
const execTimeout = time.Minute

// run runs the program of --exec. What it is told stands in its environment, so that
// nothing that a server says becomes a word of a command line.
func (m *monitoring) run(ctx context.Context, e *alarm) error {
	if m.flags.exec == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), execTimeout)
	defer cancel()
	known := m.watcher.known
	command := exec.CommandContext(ctx, m.flags.exec)
	command.Stdout, command.Stderr = m.app.stderr, m.app.stderr
	command.WaitDelay = time.Second // where a child of it keeps the output
	command.Env = append(os.Environ(),
		"LEDGER_ALARM="+e.kind, "LEDGER_ALARM_TEXT="+printable(e.Error()), "LEDGER_URL="+m.flags.url, "LEDGER_STATE="+m.flags.state,
		"LEDGER_KNOWN_SIZE="+strconv.FormatUint(known.Size, 10), "LEDGER_KNOWN_ROOT="+known.Root.String(),
		"LEDGER_SEEN_SIZE="+strconv.FormatUint(e.seen.Size, 10), "LEDGER_SEEN_ROOT="+e.seen.Root.String(),
	)
	if err := command.Run(); err != nil {
		return fmt.Errorf("run --exec: %w", err)
	}
	return nil
}

// printable makes one line of a text: a server has a say in it, and an environment
// variable can hold no zero byte.
func printable(text string) string {
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

// keep writes what raised the alarm beside the state.
func (w *watcher) keep(e *alarm) error {
	if len(e.note) == 0 {
		return nil
	}
	return writeWhole(w.path+".alarm", e.note)
}
