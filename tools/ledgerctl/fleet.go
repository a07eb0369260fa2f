package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/fleet"
)

type fleetFlags struct {
	targets, podKeys, state, ca, metrics string
	interval                             time.Duration
	parallel                             int
	once                                 bool
	publish, name, hash                  string
	publishInterval                      time.Duration
}

const fleetHelp = `Fleet follows many ledgers as monitor does one: it keeps the newest checkpoint of each in the
folder of --state, and takes a newer one only with the proof that nothing before it was changed.

--targets has a line for each ledger: its URL and its verifier key, the line in HOME/node.vkey. It is
read again when it changes. It may be what kubectl get endpointslices -o json prints instead; then
--pod-keys has a line for each pod, its name and its verifier key. --ca may hold many certificates.

Each ledger is looked at once in an --interval. One that forks or is rolled back is named by the look that
sees it, and what it has signed is kept in LOGID.alarm in the state folder: it stays named until that file is
taken away. One that does not answer twice in a row is silent, within two intervals.

On a terminal it shows a table, q ends it. Elsewhere it prints a line for each change, with --json an
object with all ledgers once an interval. --metrics keeps a file for Prometheus' textfile collector.

With --publish it signs, every --publish-interval, one line over the newest roots of all ledgers, and
writes it to that file. The key is fleet.key in the state folder, made on first use under the name --name;
fleet.vkey beside it is for verifiers. The trees of the newest lines are kept in lines/. With fleet prove
a receipt becomes the proof that an entry is anchored in such a line; fleet verify checks it.

Exit status: 0 interrupted, or with --once all is well; 1 with --once, a ledger is silent; 4 with --once, a
ledger is refuted.`

func (a *app) fleetCommand() *cobra.Command {
	f := fleetFlags{interval: 10 * time.Second, parallel: 64, name: "fleet", hash: merkle.Blake3.String(), publishInterval: time.Minute}
	cmd := &cobra.Command{
		Use: "fleet --targets FILE --state DIR", Short: "watch many ledgers, and anchor them in one line", Long: fleetHelp,
		Example: "  ledgerctl fleet --targets targets --state fleet --ca ca.crt\n" +
			"  ledgerctl fleet --targets targets --state fleet --ca ca.crt --publish fleet.line --name fleet.example \\\n" +
			"    --metrics /var/lib/node_exporter/fleet.prom",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.targets == "" || f.state == "" {
				return usagef("--targets and --state are needed: see %s --help", cmd.CommandPath())
			}
			if f.interval < time.Second || f.publishInterval < time.Second || f.parallel < 1 {
				return usagef("--interval and --publish-interval have to be 1s or more, and --parallel 1 or more")
			}
			return a.fleet(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.targets, "targets", "", "file with the ledgers")
	flags.StringVar(&f.podKeys, "pod-keys", "", "file with the verifier keys of pods, where --targets is of Kubernetes")
	flags.StringVar(&f.state, "state", "", "folder with what was seen")
	flags.StringVar(&f.ca, "ca", "", "file with the certificates to trust, PEM")
	flags.StringVar(&f.metrics, "metrics", "", "file to keep metrics in, in Prometheus' text format")
	flags.DurationVar(&f.interval, "interval", f.interval, "time between two looks at a ledger")
	flags.IntVar(&f.parallel, "parallel", f.parallel, "looks at once")
	flags.BoolVar(&f.once, "once", false, "look at each once")
	flags.StringVar(&f.publish, "publish", "", "file to publish the signed line in")
	flags.DurationVar(&f.publishInterval, "publish-interval", f.publishInterval, "time between two lines")
	flags.StringVar(&f.name, "name", f.name, "name of the fleet, and of its key when it is made")
	flags.StringVar(&f.hash, "hash", f.hash, "hash of the tree of roots: blake3 or sha256")
	cmd.AddCommand(a.fleetProveCommand(), a.fleetVerifyCommand())
	return cmd
}

// following is a fleet that is followed.
type following struct {
	app    *app
	flags  *fleetFlags
	fleet  *fleet.Fleet
	hash   merkle.HashKind
	signer note.Signer // nil: nothing is published
	read   os.FileInfo // of --targets, as it was read
	line   *fleet.Line // the newest one

	mu     sync.Mutex // guards what the loops of ledgers print
	quiet  bool       // a screen shows it
	failed string     // what was said last of failures of our own
}

func (a *app) fleet(ctx context.Context, f *fleetFlags) error {
	h, err := trusting(f.ca)
	if err != nil {
		return err
	}
	defer h.CloseIdleConnections()
	w := &following{app: a, flags: f}
	if w.hash, err = merkle.ParseHashKind(f.hash); err != nil {
		return usagef("--hash: %w", err)
	}
	w.fleet, err = fleet.New(fleet.Options{
		Dir: f.state, HTTP: h, Interval: f.interval, Parallel: f.parallel, Write: writeWhole, Changed: w.changed, Failed: w.fail,
	})
	if err != nil {
		return err
	}
	if f.publish != "" {
		if w.signer, err = fleetSigner(f.state, f.name); err != nil {
			return err
		}
	}
	targets, err := w.targets()
	if err != nil {
		return err
	}
	if f.once {
		return w.once(ctx, targets)
	}
	ctx, stop := context.WithCancel(ctx)
	defer w.fleet.Wait()
	defer stop()
	if err := w.fleet.Follow(ctx, targets); err != nil {
		return err
	}
	if a.terminal(a.stdout) && !a.json {
		return w.live(ctx)
	}
	return w.run(ctx, func([]fleet.Row) error { return nil })
}

// targets reads --targets.
func (w *following) targets() ([]fleet.Target, error) {
	text, err := os.ReadFile(w.flags.targets)
	if err == nil {
		w.read, err = os.Stat(w.flags.targets)
	}
	if err != nil {
		return nil, fmt.Errorf("read --targets: %w", err)
	}
	var targets []fleet.Target
	if fleet.IsEndpoints(text) {
		var keys []byte
		if w.flags.podKeys == "" {
			return nil, usagef("--pod-keys is needed: a cluster does not know the keys of ledgers")
		}
		if keys, err = os.ReadFile(w.flags.podKeys); err != nil {
			return nil, fmt.Errorf("read --pod-keys: %w", err)
		}
		targets, err = fleet.ParseEndpoints(text, keys)
	} else {
		targets, err = fleet.ParseTargets(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read --targets %s: %w", w.flags.targets, err)
	}
	return targets, nil
}

// again reads --targets again when it has changed. What cannot be read leaves the ledgers as they are.
func (w *following) again(ctx context.Context) {
	info, err := os.Stat(w.flags.targets)
	if err == nil && info.ModTime().Equal(w.read.ModTime()) && info.Size() == w.read.Size() {
		return
	}
	targets, err := w.targets()
	if err == nil {
		err = w.fleet.Follow(ctx, targets)
	}
	if err != nil {
		w.fail(fmt.Errorf("the ledgers stay those of before: %w", err))
	}
}

// once looks at each ledger, and prints the table.
func (w *following) once(ctx context.Context, targets []fleet.Target) error {
	w.quiet = true
	if err := w.fleet.Once(ctx, targets); err != nil {
		return err
	}
	rows := w.fleet.Rows()
	w.publish(time.Now())
	err := errors.Join(w.writeMetrics(), w.printRows(rows))
	if w.failed != "" {
		err = errors.Join(err, errors.New(w.failed))
	}
	switch c := fleet.CountRows(rows); {
	case c.Refuted > 0:
		return refutedError{errors.Join(fmt.Errorf("%d of %d ledgers are refuted", c.Refuted, c.Ledgers), err)}
	case c.Silent > 0:
		return errors.Join(fmt.Errorf("%d of %d ledgers are silent", c.Silent, c.Ledgers), err)
	}
	return err
}

// run does once an interval what is not done by the loops of ledgers, until ctx ends.
func (w *following) run(ctx context.Context, show func([]fleet.Row) error) error {
	tick := time.NewTicker(w.flags.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			rows := w.fleet.Rows()
			w.again(ctx)
			w.publish(now)
			if err := w.writeMetrics(); err != nil {
				w.fail(err)
			}
			if w.app.json {
				if err := printJSON(w.app.stdout, w.asJSON(rows, now)); err != nil {
					return err
				}
			}
			if err := show(rows); err != nil {
				return err
			}
		}
	}
}

// publish signs the next line where it is time for one.
func (w *following) publish(now time.Time) {
	if w.signer == nil || w.line != nil && now.Sub(w.line.Time) < w.flags.publishInterval {
		return
	}
	anchored, err := w.fleet.Publish(w.signer, w.hash, now)
	if err == nil && anchored != nil {
		if err = writeWhole(w.flags.publish, anchored.Note); err == nil {
			w.line = anchored.Line
		}
	}
	if err != nil {
		w.fail(fmt.Errorf("publish the line: %w", err))
	}
}

func (w *following) writeMetrics() error {
	if w.flags.metrics == "" {
		return nil
	}
	if err := writeWhole(w.flags.metrics, w.fleet.Metrics(w.line)); err != nil {
		return fmt.Errorf("write --metrics: %w", err)
	}
	return nil
}

// fail says on stderr what of our own could not be done, once while it stays the same.
func (w *following) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if said := err.Error(); said != w.failed {
		w.failed = said
		if !w.quiet {
			fmt.Fprintf(w.app.stderr, "ledgerctl: %v\n", err)
		}
	}
}

// changed prints what has become of a ledger.
func (w *following) changed(row fleet.Row, was string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.quiet || w.app.json {
		return
	}
	fmt.Fprintf(w.app.stdout, "%s  %-8s  %s  %s  was %s  size %d", timeWord(time.Now().UnixMilli()), row.State, row.URL, row.LogID, was, row.Known.Size)
	if row.Why != "" {
		fmt.Fprintf(w.app.stdout, "  %s", printable(row.Why))
	}
	fmt.Fprintln(w.app.stdout)
}

// Files in the state folder.
const (
	fleetKeyFile  = "fleet.key"
	fleetVKeyFile = "fleet.vkey"
)

// fleetSigner reads the key of the fleet, and makes it where it is missing.
func fleetSigner(dir, name string) (note.Signer, error) {
	path := filepath.Join(dir, fleetKeyFile)
	signer, err := fleet.LoadKey(path)
	if errors.Is(err, os.ErrNotExist) {
		var vkey string
		if signer, vkey, err = fleet.MakeKey(path, name); err == nil {
			err = writeWhole(filepath.Join(dir, fleetVKeyFile), []byte(vkey+"\n"))
		}
	}
	if err == nil && signer.Name() != name {
		err = fmt.Errorf("%s is the key of the fleet %q: say --name %[2]s, or use another state folder", path, signer.Name())
	}
	return signer, err
}
