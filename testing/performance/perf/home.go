package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

const entryBytes = 200 // of a bench, unless it says otherwise

// homePoint is what a home is like at one size. Times are in milliseconds.
type homePoint struct {
	Entries           uint64  `json:"entries"`
	EntriesPerSecond  float64 `json:"entries_per_second"` // of a burst of pointBurst
	P50               float64 `json:"p50_ms"`             // of its requests
	P99               float64 `json:"p99_ms"`
	RSSMiB            float64 `json:"rss_mib"` // behind the burst
	DiskBytesPerEntry float64 `json:"disk_bytes_per_entry"`
	ReadyCleanMs      float64 `json:"ready_clean_ms"`
	ReadyKilledMs     float64 `json:"ready_killed_ms"`
	ProofP50          float64 `json:"proof_p50_ms"` // inclusion proofs of random entries, one after the other
	ProofP99          float64 `json:"proof_p99_ms"`
	FindP50           float64 `json:"find_p50_ms"` // random entries by account and nonce
	FindP99           float64 `json:"find_p99_ms"`

	WriteAmplification float64 `json:"write_amplification,omitempty"`       // bytes to the disk over bytes of entries, of the loads that filled it
	VerifyPerSecond    float64 `json:"verify_entries_per_second,omitempty"` // of ledgerctl verify, where that was asked for
}

const (
	pointBurst = 1_000_000 // entries
	pointReads = 1000
)

// settled is how long a home is left alone behind a load, so that what is compacted
// behind it counts as written too.
const settled = 2 * time.Second

// fill brings a home to a size, with the load that bench calls max, and returns how many
// entries it booked and the bytes that were written for them.
func (h *harness) fill(ctx context.Context, home string, entries uint64) (booked, written float64, err error) {
	n, err := h.startNode(ctx, home, macronode)
	if err != nil {
		return 0, 0, err
	}
	before, err := n.size(ctx)
	after := before
	if err == nil && before < entries {
		say("fill from %d to %d entries", before, entries)
		if _, err = h.burst(ctx, home, entries-before); err == nil {
			time.Sleep(settled)
			after, err = n.size(ctx)
		}
	}
	booked, written = float64(after-before), n.written()
	return booked, written, errors.Join(err, n.stop())
}

// burst books so many entries as fast as they are taken, and up to a fifth of a second
// more: that is how often bench looks.
func (h *harness) burst(ctx context.Context, home string, entries uint64) (*benchResult, error) {
	return h.bench(ctx, "--home", home, "--profile", "max", "--warmup", "0s", "--duration", "1h", "--entries", strconv.FormatUint(entries, 10))
}

func (n *node) size(ctx context.Context) (uint64, error) {
	c, err := n.dial(ctx)
	if err != nil {
		return 0, err
	}
	report, err := c.Status(ctx)
	if err := errors.Join(err, c.Close()); err != nil {
		return 0, err
	}
	var status struct {
		Size uint64 `json:"size"`
	}
	return status.Size, json.Unmarshal(report, &status)
}

// point measures a home that has stopped: opened, read, loaded, killed, opened again.
func (h *harness) point(ctx context.Context, home string) (p homePoint, err error) {
	disk, err := diskBytes(home)
	if err != nil {
		return p, err
	}
	n, err := h.startNode(ctx, home, macronode)
	if err != nil {
		return p, err
	}
	p.ReadyCleanMs = ms(n.ready)
	if p.Entries, err = n.size(ctx); err != nil {
		return p, errors.Join(err, n.kill())
	}
	p.DiskBytesPerEntry = float64(disk) / float64(p.Entries)
	if err := n.reads(ctx, &p); err != nil {
		return p, errors.Join(err, n.kill())
	}
	b, err := h.burst(ctx, home, pointBurst)
	if err != nil {
		return p, errors.Join(err, n.kill())
	}
	p.EntriesPerSecond, p.P50, p.P99, p.RSSMiB = b.EntriesPerSecond, b.Latency.P50, b.Latency.P99, n.rssMiB()
	if err := n.kill(); err != nil {
		return p, err
	}
	if n, err = h.startNode(ctx, home, macronode); err != nil {
		return p, err
	}
	p.ReadyKilledMs = ms(n.ready)
	return p, n.stop()
}

// reads takes the latencies of proofs and of look-ups by identity.
func (n *node) reads(ctx context.Context, p *homePoint) error {
	c, err := n.dial(ctx)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, p.Entries))
	var proofs, finds []time.Duration
	for range pointReads {
		seq := 1 + random.Uint64N(p.Entries)
		started := time.Now()
		if _, err := c.Prove(ctx, &wire.Prove{From: seq}); err != nil {
			return errors.Join(err, c.Close())
		}
		proofs = append(proofs, time.Since(started))
		var account string
		var nonce wire.Nonce
		for row, err := range c.Entries(ctx, seq, seq) {
			if err != nil {
				return errors.Join(err, c.Close())
			}
			account, nonce = string(row.Record.Entry().Account()), row.Record.Entry().Nonce()
		}
		started = time.Now()
		row, ok, err := c.Find(ctx, account, nonce)
		finds = append(finds, time.Since(started))
		if err != nil || !ok || row.Seq != seq {
			return errors.Join(fmt.Errorf("find entry %d by its nonce: found %v, as %d", seq, ok, row.Seq), err, c.Close())
		}
	}
	p.ProofP50, p.ProofP99 = quantiles(proofs)
	p.FindP50, p.FindP99 = quantiles(finds)
	return c.Close()
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }

func quantiles(times []time.Duration) (p50, p99 float64) {
	slices.Sort(times)
	return ms(times[len(times)/2]), ms(times[len(times)*99/100])
}

// verify runs ledgerctl verify on a home that has stopped and returns entries a second.
func (h *harness) verify(ctx context.Context, home string) (float64, error) {
	say("verify %s", home)
	text, status, err := h.ledgerctl(ctx, "verify", "--home", home, "--json")
	if err != nil {
		return 0, err
	}
	var report struct {
		Entries uint64  `json:"entries"`
		Seconds float64 `json:"seconds"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return 0, fmt.Errorf("read what verify says: %w\n%s", err, text)
	}
	if status != 0 || report.Entries == 0 || report.Seconds <= 0 {
		return 0, fmt.Errorf("verify %s: status %d, %s", home, status, text)
	}
	return float64(report.Entries) / report.Seconds, nil
}

// newHome makes an empty folder for a home.
func (h *harness) newHome() (string, error) { return os.MkdirTemp(h.scratch, "home-") }
