package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
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

// newWatcher watches the ledger at an address, from the state in a file on, which it keeps.
func newWatcher(address, key, ca, state string) (*monitor.Watcher, error) {
	ledger, err := readLedgerKey(key)
	if err != nil {
		return nil, err
	}
	base, h, err := rootsOverHTTPS(address, ca)
	if err != nil {
		return nil, err
	}
	w := &monitor.Watcher{HTTP: h, Address: *base, Key: ledger, Since: time.Now(), Save: func(note []byte) error {
		if err := writeWhole(state, note); err != nil {
			return fmt.Errorf("write --state: %w", err)
		}
		return nil
	}}
	note, err := os.ReadFile(state)
	if errors.Is(err, fs.ErrNotExist) {
		return w, nil
	}
	since := w.Since
	if info, err := os.Stat(state); err == nil {
		since = info.ModTime()
	}
	if err == nil {
		err = w.Resume(note, since)
	}
	if err != nil {
		return nil, fmt.Errorf("read --state: %w", err)
	}
	return w, nil
}

func (a *app) monitor(ctx context.Context, f *monitorFlags) error {
	w, err := newWatcher(f.url, f.key, f.ca, f.state)
	if err != nil {
		return err
	}
	defer w.HTTP.CloseIdleConnections()
	m := &monitoring{app: a, flags: f, watcher: w}
	for {
		err := w.Look(ctx)
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
	watcher *monitor.Watcher
	printed merkle.Checkpoint
	counted monitor.Figures
	stale   bool // it is, and that was told
}

// looked tells what one look has brought, and whether that is the end.
func (m *monitoring) looked(ctx context.Context, err error) (ended bool, _ error) {
	var refuted *monitor.Alarm
	if err == nil {
		err = m.print()
	}
	m.counted.Looked(err, time.Now())
	if !errors.As(err, &refuted) {
		refuted = m.freshness()
	} else {
		m.stale = false
	}
	if refuted != nil {
		m.counted.Raised(refuted.Kind)
	}
	err = errors.Join(err, m.writeMetrics())
	switch {
	case refuted != nil && refuted.Kind == monitor.Stale:
		if !m.stale {
			m.stale = true
			fmt.Fprintf(m.app.stderr, "ledgerctl: %v\n", refuted)
			err = errors.Join(err, m.run(ctx, refuted))
		}
		if m.flags.once {
			return true, errors.Join(errStale, err)
		}
	case refuted != nil:
		return true, refutedError{errors.Join(err, m.keep(refuted), m.run(ctx, refuted))}
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
func (m *monitoring) freshness() *monitor.Alarm {
	w := m.watcher
	age := time.Since(w.Since)
	if m.flags.maxAge == 0 || age <= m.flags.maxAge {
		m.stale = false
		return nil
	}
	return &monitor.Alarm{Kind: monitor.Stale, Seen: w.Known, Err: fmt.Errorf("%s has published nothing newer than size %d for %v: it stands still, cannot be reached, or withholds",
		w.Address.Host, w.Known.Size, age.Round(time.Second))}
}

// writeMetrics replaces the file of --metrics.
func (m *monitoring) writeMetrics() error {
	if m.flags.metrics == "" {
		return nil
	}
	w := m.watcher
	m.counted.URL, m.counted.Size, m.counted.Since = w.Address.String(), w.Known.Size, w.Since
	if err := writeWhole(m.flags.metrics, monitor.AppendMetrics(nil, []monitor.Figures{m.counted})); err != nil {
		return fmt.Errorf("write --metrics: %w", err)
	}
	return nil
}

// print prints the newest checkpoint when it has changed.
func (m *monitoring) print() error {
	w := m.watcher
	if w.Known == m.printed && w.Looks > 1 {
		return nil
	}
	if m.printed.Origin != "" && w.Known.Origin != m.printed.Origin {
		fmt.Fprintf(m.app.stderr, "ledgerctl: a new epoch: %s goes on as %s; all that was seen before is in it\n", m.printed.Origin, w.Known.Origin)
	}
	m.printed = w.Known
	if m.app.json {
		return printJSON(m.app.stdout, rootJSON{Seq: w.Known.Size, Root: w.Known.Root.String(), TS: time.Now().UnixMilli()})
	}
	_, err := fmt.Fprintf(m.app.stdout, "%8d  %v  %s\n", w.Known.Size, w.Known.Root, w.Known.Origin)
	return err
}
