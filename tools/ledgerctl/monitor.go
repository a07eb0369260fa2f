package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

type monitorFlags struct {
	url, key, ca, state string
	once                bool
	interval            time.Duration
	maxAge              time.Duration
	exec, metrics       string
}

const monitorHelp = `Monitor is what another region runs. It keeps the newest checkpoint in the file of
--state, and takes a newer one only with the signature of the ledger and with the proof
that nothing before it was changed. It never goes back. The first checkpoint is taken on
the signature alone.

When it sees a fork, a rollback, or a checkpoint that is not proven, it says so, keeps what
it was given in the file STATE.alarm, and ends with status 4; the file of --state keeps the
last checkpoint that was good. A restored ledger goes on as a new epoch, under another log
id and the same key: that is said, and taken if all that was seen is still there.

With --max-age it also raises an alarm when nothing newer was published for so long,
be it that the server is silent, cannot be reached, or tells this reader less than others.
It goes on then, and raises the alarm once until something new comes.

On every alarm --exec is run, without a shell and without arguments, with
  LEDGER_ALARM         fork, rollback, unproven, listing, foreign or stale
  LEDGER_ALARM_TEXT    what was seen, in words
  LEDGER_URL, LEDGER_STATE
  LEDGER_KNOWN_SIZE, LEDGER_KNOWN_ROOT, LEDGER_SEEN_SIZE, LEDGER_SEEN_ROOT
With --metrics a file is kept for the textfile collector of Prometheus' node exporter.

A server that cannot be reached is asked again after --interval; with --once that is a
failure.

Exit status: 0 interrupted, or with --once all is well; 1 with --once, the server could not
be asked; 4 what was published is refuted; 5 with --once, nothing new for --max-age.`

func (a *app) monitorCommand() *cobra.Command {
	f := monitorFlags{interval: 10 * time.Second}
	cmd := &cobra.Command{
		Use: "monitor --url URL --key VKEY --state FILE", Short: "watch a ledger from elsewhere", Long: monitorHelp,
		Example: "  ledgerctl monitor --url https://ledger.eu:5082 --ca tls.crt --key node.vkey --state eu.checkpoint \\\n" +
			"    --max-age 10m --exec /usr/local/bin/page-me --metrics /var/lib/node_exporter/ledger.prom",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.url == "" || f.state == "" {
				return usagef("--url and --state are needed: see %s --help", cmd.CommandPath())
			}
			if f.interval <= 0 || f.maxAge < 0 {
				return usagef("--interval has to be above zero, and --max-age not below it")
			}
			return a.monitor(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "where the ledger publishes its roots")
	flags.StringVar(&f.key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	flags.StringVar(&f.ca, "ca", "", "file with the certificate to trust, PEM")
	flags.StringVar(&f.state, "state", "", "file with the newest checkpoint")
	flags.BoolVar(&f.once, "once", false, "look once")
	flags.DurationVar(&f.interval, "interval", f.interval, "time between two looks")
	flags.DurationVar(&f.maxAge, "max-age", 0, "alarm when nothing newer is published for so long; 0: never")
	flags.StringVar(&f.exec, "exec", "", "program to run on an alarm")
	flags.StringVar(&f.metrics, "metrics", "", "file to keep metrics in, in Prometheus' text format")
	cmd.AddCommand(a.compareCommand())
	return cmd
}

func (a *app) monitor(ctx context.Context, f *monitorFlags) error {
	w, err := newWatcher(f.url, f.key, f.ca, f.state)
	if err != nil {
		return err
	}
	defer w.http.CloseIdleConnections()
	m := &monitoring{app: a, flags: f, watcher: w}
	for {
		err := w.look(ctx)
		if ctx.Err() != nil && !f.once {
			return nil // the way to end it
		}
		if ended, err := m.looked(ctx, err); ended {
			return err
		}
		select {
		case <-time.After(f.interval):
		case <-ctx.Done():
			return nil
		}
	}
}

// monitoring is a monitor under way: what was told so far, of what the watcher saw.
type monitoring struct {
	app     *app
	flags   *monitorFlags
	watcher *watcher
	printed merkle.Checkpoint
	counted watchMetrics
	stale   bool // it is, and that was told
}

// looked tells what one look has brought, and whether that is the end.
func (m *monitoring) looked(ctx context.Context, err error) (ended bool, _ error) {
	var refuted *alarm
	if err == nil {
		err = m.print()
	}
	m.counted.look(err, time.Now())
	if !errors.As(err, &refuted) {
		refuted = m.freshness()
	} else {
		m.stale = false
	}
	if refuted != nil {
		m.counted.raise(refuted)
	}
	err = errors.Join(err, m.counted.write(m.flags.metrics, m.watcher))
	switch {
	case refuted != nil && refuted.kind == alarmStale:
		if !m.stale {
			m.stale = true
			fmt.Fprintf(m.app.stderr, "ledgerctl: %v\n", refuted)
			err = errors.Join(err, m.run(ctx, refuted))
		}
		if m.flags.once {
			return true, errors.Join(errStale, err)
		}
	case refuted != nil:
		return true, refutedError{errors.Join(err, m.watcher.keep(refuted), m.run(ctx, refuted))}
	}
	if m.flags.once {
		return true, err
	}
	if err != nil {
		fmt.Fprintf(m.app.stderr, "ledgerctl: %v: trying again\n", err)
	}
	return false, nil
}

// errStale ends monitor --once, which has already said that nothing new comes.
var errStale = errors.New("nothing newer was published")

// freshness returns the alarm that nothing new comes, or nil.
func (m *monitoring) freshness() *alarm {
	w := m.watcher
	age := time.Since(w.since)
	if m.flags.maxAge == 0 || age <= m.flags.maxAge {
		m.stale = false
		return nil
	}
	return &alarm{kind: alarmStale, seen: w.known, err: fmt.Errorf("%s has published nothing newer than size %d for %v: it stands still, cannot be reached, or withholds",
		w.address.Host, w.known.Size, age.Round(time.Second))}
}

// print prints the newest checkpoint when it has changed.
func (m *monitoring) print() error {
	w := m.watcher
	if w.known == m.printed && w.looks > 1 {
		return nil
	}
	if m.printed.Origin != "" && w.known.Origin != m.printed.Origin {
		fmt.Fprintf(m.app.stderr, "ledgerctl: a new epoch: %s goes on as %s; all that was seen before is in it\n", m.printed.Origin, w.known.Origin)
	}
	m.printed = w.known
	if m.app.json {
		return printJSON(m.app.stdout, rootJSON{Seq: w.known.Size, Root: w.known.Root.String(), TS: time.Now().UnixMilli()})
	}
	_, err := fmt.Fprintf(m.app.stdout, "%8d  %v  %s\n", w.known.Size, w.known.Root, w.known.Origin)
	return err
}
