package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/spawn"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// Options says what a bench works with.
type Options struct {
	Client   client.Options // how to reach the sidecar; unused where the plan starts one
	Home     string         // where its certificate is found; "" for nowhere
	Stderr   io.Writer      // takes what a sidecar says that the plan starts
	Progress io.Writer      // a terminal that shows how far it is; nil for none

	// Journal reads the entries of a file in requests of at most so many entries and, but for the last of each,
	// bytes. A batch is valid until the next one.
	Journal func(path string, entries, bytes int) iter.Seq2[*client.Batch, error]
}

// bench is one run: what it loads, and what it has found out.
type bench struct {
	plan     *Plan
	options  Options
	control  *client.Client // asks for the status
	status   serverStatus   // as it was before the load
	conns    []*connection
	payloads []*payload
	roots    *rootReaders // nil: none
	sampler  *sampler
	joined   int    // loops that have ended
	growth   growth // what a soak watches
	result   Result
}

// Run carries out a plan that is settled. There is a result beside the error where the bench itself was done, and
// something behind it failed.
func Run(ctx context.Context, p *Plan, o Options) (r *Result, err error) {
	b := &bench{plan: p, options: o}
	if p.spawn {
		server, err := spawn.Start(ctx, spawn.Options{Dir: p.dir, CPUProfile: p.cpuProfile, Stderr: o.Stderr,
			Args: []string{"--profile", p.node, "--https", "127.0.0.1:0", "--log-level", "warn"}})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, server.Stop(), server.Remove()) }()
		b.options.Client, b.options.Home = server.Client("ledgerctl bench"), server.Home
		b.result.ReadyMs = server.ReadyAfter.Seconds() * 1e3
	}
	if err := b.run(ctx); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if p.spawn {
		if b.result.Calibration, err = calibrate(b.options.Home); err != nil {
			return nil, err
		}
	}
	b.result.Levels = serviceLevels(p, &b.result)
	if p.hdrFile != "" {
		err = writeHdr(p.hdrFile, b.result.latencies)
	}
	return &b.result, err
}

// run connects, mints, loads and reads the figures.
func (b *bench) run(ctx context.Context) (err error) {
	if b.control, err = client.Dial(ctx, b.options.Client); err != nil {
		return fmt.Errorf("connect to %s: %w", b.options.Client.Socket, err)
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
		ca = scrape.HomeCertificate(b.options.Home)
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
	digits := digitsOf(b.plan.accounts)
	for i := range b.plan.connections {
		c, err := dial(ctx, b.options.Client)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", b.options.Client.Socket, err)
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
			f := wire.Fields{Kind: wire.KindMint, Account: accountName(i), Amount: wire.Amount{Lo: mintAmount}, Timestamp: time.Now().UnixMilli()}
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
