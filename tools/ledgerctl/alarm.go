package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// execTimeout bounds the program of --exec.
const execTimeout = time.Minute

// run runs the program of --exec. What it is told stands in its environment, so that
// nothing that a server says becomes a word of a command line.
func (m *monitoring) run(ctx context.Context, e *monitor.Alarm) error {
	if m.flags.exec == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), execTimeout)
	defer cancel()
	known := m.watcher.Known
	command := exec.CommandContext(ctx, m.flags.exec)
	command.Stdout, command.Stderr = m.app.stderr, m.app.stderr
	command.WaitDelay = time.Second // where a child of it keeps the output
	command.Env = append(os.Environ(),
		"LEDGER_ALARM="+e.Kind, "LEDGER_ALARM_TEXT="+printable(e.Error()), "LEDGER_URL="+m.flags.url, "LEDGER_STATE="+m.flags.state,
		"LEDGER_KNOWN_SIZE="+strconv.FormatUint(known.Size, 10), "LEDGER_KNOWN_ROOT="+known.Root.String(),
		"LEDGER_SEEN_SIZE="+strconv.FormatUint(e.Seen.Size, 10), "LEDGER_SEEN_ROOT="+e.Seen.Root.String(),
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
func (m *monitoring) keep(e *monitor.Alarm) error {
	if len(e.Note) == 0 {
		return nil
	}
	return writeWhole(m.flags.state+".alarm", e.Note)
}
