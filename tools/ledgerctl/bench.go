package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

const benchHelp = `Bench measures a sidecar: one that it starts itself (--spawn, in a temporary home
that is removed again) or the one that is running. It books real entries.

Closed loop, without --rate: each connection keeps --inflight requests of --batch
entries under way. Open loop, with --rate: requests are sent on schedule, whatever
the answers do, and latencies count from when a request was due.

Profiles set what is not set by hand:
  micronode   open loop, 300 requests/s, batches log-normal with median 8, p90 32
  macronode   open loop, 1,200 requests/s, median 16, p90 64
  burst       macronode, then ten times the rate for 5 s, then as before
  max         closed loop, 64 connections, 4 requests of 256 entries each
  roots       macronode, with --readers readers over HTTPS: one in ten polls long,
              the others once a second
  soak        requests of one entry at 60 % of what a closed loop of the same reaches
              just before, with 20 readers, for 30 minutes; judges growth of memory,
              goroutines and descriptors, and of latency

With --replay the entries of a journal (JSON Lines, .gz too) are sent once, in their
order, over one connection.

At the end each service level that the figures allow to judge is held against them.
Exit status 0: all were kept; 1: one was missed, or the bench failed.`

func (a *app) benchCommand() *cobra.Command {
	p := defaultBenchPlan()
	cmd := &cobra.Command{
		Use: "bench", Short: "measure a sidecar under load", Long: benchHelp,
		Example: "  ledgerctl bench --spawn --profile macronode\n  ledgerctl bench --spawn --connections 64 --batch 1000 --json",
		Args:    exactly(0),
	}
	f := cmd.Flags()
	f.StringVar(&p.profile, "profile", "", "micronode, macronode, burst, max, roots or soak")
	f.BoolVar(&p.spawn, "spawn", false, "start a sidecar for the bench; RON_LEDGER_* variables configure it")
	f.StringVar(&p.dir, "dir", os.TempDir(), "folder for the home of that sidecar: its disk is what is measured")
	f.StringVar(&p.node, "node", p.node, "profile of that sidecar: micronode or macronode")
	f.IntVar(&p.connections, "connections", p.connections, "connections")
	f.IntVar(&p.inflight, "inflight", p.inflight, "closed loop: requests under way on each connection")
	f.IntVar(&p.batch, "batch", p.batch, "entries a request; open loop: their median")
	f.IntVar(&p.batchP90, "batch-p90", 0, "open loop: 90th percentile of the entries a request (default: all alike)")
	f.IntVar(&p.entryBytes, "entry-bytes", p.entryBytes, "size of an entry")
	f.Float64Var(&p.rate, "rate", 0, "open loop: requests a second, over all connections")
	f.DurationVar(&p.duration, "duration", p.duration, "how long to measure")
	f.DurationVar(&p.warmup, "warmup", p.warmup, "how long to load before measuring")
	f.Uint64Var(&p.entries, "entries", 0, "closed loop: end when so many entries are booked, whatever --duration says")
	f.StringVar(&p.replay, "replay", "", "send the entries of this journal, in the form that append reads")
	f.StringVar(&p.nonces, "nonces", p.nonces, "uuidv7 or random")
	f.IntVar(&p.accounts, "accounts", p.accounts, "accounts that the money moves between")
	f.IntVar(&p.readers, "readers", 0, "readers of /roots over HTTPS")
	f.StringVar(&p.ca, "ca", "", "certificate of the HTTPS port (default HOME/tls.crt)")
	f.StringVar(&p.hdrFile, "hdr", "", "write the latencies to this file, as an HdrHistogram log")
	f.StringVar(&p.cpuProfile, "cpuprofile", "", "write a CPU profile of the started sidecar to this file")
	_ = f.MarkHidden("cpuprofile")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := p.settle(f.Changed); err != nil {
			return err
		}
		return a.bench(cmd.Context(), &p)
	}
	return cmd
}

// bench is one run: what it loads, and what it has found out.
type bench struct {
	plan     *benchPlan
	stderr   io.Writer // progress; nil for none
	open     func(path string) (*input, error)
	options  client.Options
	control  *client.Client // asks for the status
	status   serverStatus   // as it was before the load
	conns    []*benchConn
	payloads []*payload
	roots    *rootReaders // nil: none
	sampler  *sampler
	joined   int    // loops that have ended
	growth   growth // what a soak watches
	result   benchResult
}

// bench runs a plan and prints what came of it.
func (a *app) bench(ctx context.Context, p *benchPlan) (err error) {
	b := &bench{plan: p, open: a.openInput}
	if a.terminal(a.stderr) {
		b.stderr = a.stderr
	}
	if b.options, err = a.options(); err != nil {
		return err
	}
	home, _ := a.homePath() // without one there is no certificate to find
	if p.spawn {
		server, readyAfter, err := a.spawnSidecar(ctx, p.dir, p.node, p.cpuProfile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Stop(), server.Remove()) }()
		b.options, home = server.Client("ledgerctl bench"), server.Home
		b.result.ReadyMs = readyAfter.Seconds() * 1e3
	}
	if err := b.run(ctx, home); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if p.spawn {
		b.result.Calibration, err = calibrate(home)
		if err != nil {
			return err
		}
	}
	return b.report(a)
}

func (b *bench) report(a *app) error {
	b.result.Levels = serviceLevels(b.plan, &b.result)
	if b.plan.hdrFile != "" {
		if err := writeHdr(b.plan.hdrFile, b.result.latencies); err != nil {
			return err
		}
	}
	if a.json {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(&b.result); err != nil {
			return err
		}
	} else if err := b.result.print(a.stdout); err != nil {
		return err
	}
	return missed(b.result.Levels)
}

// run connects, mints, loads and reads the figures.
func (b *bench) run(ctx context.Context, home string) (err error) {
	if b.control, err = client.Dial(ctx, b.options); err != nil {
		return fmt.Errorf("connect to %s: %w", b.options.Socket, err)
	}
	defer func() { err = errors.Join(err, b.control.Close()) }()
	defer b.hangUp()
	if err := b.connect(ctx); err != nil {
		return err
	}
	if b.plan.replay == "" {
		if err := b.mint(ctx); err != nil {
			return err
		}
	}
	if b.status, err = b.readStatus(ctx); err != nil {
		return err
	}
	ca := b.plan.ca
	if ca == "" {
		ca = homeCertificate(home)
	}
	b.sampler = newSampler(b, ca)
	if b.plan.readers > 0 {
		if b.roots, err = startRootReaders(ctx, b.plan.readers, b.status, ca); err != nil {
			return err
		}
		defer b.roots.stop()
		for _, c := range b.conns {
			c.acked = b.roots.acked
		}
	}
	if err := b.load(ctx); err != nil {
		return err
	}
	return b.conclude(ctx)
}

// load runs the loop that the plan asks for.
func (b *bench) load(ctx context.Context) error {
	switch {
	case b.plan.replay != "":
		return b.runReplay(ctx)
	case b.plan.profile == profileSoak && b.plan.schedule == nil:
		if err := b.pilot(ctx); err != nil {
			return err
		}
		return b.runOpen(ctx)
	case b.plan.schedule != nil:
		return b.runOpen(ctx)
	}
	return b.runClosed(ctx)
}

// connect opens the connections and prepares their payloads.
func (b *bench) connect(ctx context.Context) error {
	digits := accountDigits(b.plan.accounts)
	for i := range b.plan.connections {
		c, err := dialBench(ctx, b.options)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", b.options.Socket, err)
		}
		b.conns = append(b.conns, c)
		if i == 0 {
			if err := b.plan.fit(&c.welcome); err != nil {
				return err
			}
		}
		seed := uint64(time.Now().UnixNano()) + uint64(i)<<48
		load, err := newPayload(b.plan.maxBatch, b.plan.entryBytes, digits, b.plan.nonces == noncesRandom, seed)
		if err != nil {
			return err
		}
		b.payloads = append(b.payloads, load)
	}
	return nil
}

// mintAmount is far more than any bench moves out of one account.
const mintAmount = 1 << 50

// mint gives every account its money.
func (b *bench) mint(ctx context.Context) error {
	var batch client.Batch
	nonces := nonceMaker{}
	nonces.at(time.Now())
	for i := 0; i < b.plan.accounts; {
		batch.Reset()
		for ; i < b.plan.accounts && batch.Len() < 1000; i++ {
			f := wire.Fields{Kind: wire.KindMint, Account: benchAccount(i), Amount: wire.Amount{Lo: mintAmount}, Timestamp: time.Now().UnixMilli()}
			nonces.put(f.Nonce[:], b.payloads[0].src)
			if err := batch.Add(&f); err != nil {
				return err
			}
		}
		result, err := b.control.Append(ctx, &batch)
		if err != nil {
			return fmt.Errorf("mint: %w", err)
		}
		if len(result.Results) > 0 {
			return fmt.Errorf("mint: entry %d: %v: %s", result.Results[0].Index, result.Results[0].Reason, result.Results[0].Detail)
		}
	}
	return nil
}

func (b *bench) hangUp() {
	for _, c := range b.conns {
		_ = c.Close()
	}
}

// join waits for the loops that still run. After a failure the connections are
// closed, which ends them; so they are when answers do not come.
func (b *bench) join(failures <-chan error, failure error) error {
	if failure != nil {
		b.hangUp()
	}
	patience := time.After(answerPatience)
	var errs []error
	for b.joined < len(b.conns) {
		select {
		case err := <-failures:
			b.joined++
			if failure == nil && err != nil {
				errs = append(errs, err)
			}
		case <-patience:
			errs = append(errs, fmt.Errorf("wait for answers: %d connections have none for %v", len(b.conns)-b.joined, answerPatience))
			b.hangUp()
		}
	}
	return errors.Join(errs...)
}

// answerPatience is how long after the load the last answers may take.
const answerPatience = 60 * time.Second

// writeHdr writes a histogram of microseconds as a log that HdrHistogram tools read.
func writeHdr(path string, h *hdrhistogram.Histogram) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write --hdr: %w", err)
	}
	w := hdrhistogram.NewHistogramLogWriter(file)
	err = errors.Join(w.OutputLogFormatVersion(), w.OutputComment("[latencies of requests in microseconds]"),
		w.OutputLegend(), w.OutputIntervalHistogram(h), file.Close())
	if err != nil {
		return fmt.Errorf("write --hdr: %w", err)
	}
	return nil
}
