// Command peers runs what others would use for the same purpose, and ron-ledger, under the same loads on the same
// machine, one after the other, and prints one table. It is a module of its own, so that nothing of theirs becomes a dependency
// of the ledger.
//
// Every answer that is counted is durable with every peer; the settings stand beside the figures. Payloads are 200 bytes
// that do not compress. What runs in a process of its own has its CPU measured there; Pebble and Tessera are libraries, and
// theirs includes the generator's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peer is something that takes entries and says when they are durable.
type peer struct {
	name, settings string
	start          func(ctx context.Context, dir string, clients int) (*instance, error)
}

// instance is a peer that runs on an empty folder.
type instance struct {
	append func(ctx context.Context, client int, entries [][]byte) error // returns when they are durable
	pids   []int                                                         // of its processes; none: this one
	stop   func() error
}

var peers = []peer{pebblePeer, postgresPeer, tesseraPeer, jetStreamPeer, etcdPeer, immudbPeer}

// shape is one load.
type shape struct {
	name           string
	clients, batch int
	rate           float64 // requests a second; 0: closed loop
	bench          []string
}

var shapes = []shape{
	{"64 × 16", 64, 16, 0, []string{"--connections", "64", "--batch", "16"}},
	{"64 × 64", 64, 64, 0, []string{"--connections", "64", "--batch", "64"}},
	{"64 × 1,000", 64, 1000, 0, []string{"--connections", "64", "--batch", "1000"}},
	{"1 × 1", 1, 1, 0, []string{"--connections", "1", "--batch", "1"}},
	{"1,200 requests/s", 256, 0, 1200, []string{"--profile", "macronode"}},
}

// figures of one run.
type figures struct {
	EntriesPerSecond float64 `json:"entries_per_second"`
	P50              float64 `json:"p50_ms"`
	P99              float64 `json:"p99_ms"`
	CPUMicros        float64 `json:"cpu_us_per_entry"`
	RSSMiB           float64 `json:"rss_mib"`
	Errors           int     `json:"errors,omitempty"`
	FirstError       string  `json:"first_error,omitempty"`
}

// row is a peer under one shape: the median of its runs by throughput.
type row struct {
	Peer     string `json:"peer"`
	Settings string `json:"settings"`
	Shape    string `json:"shape"`
	Failure  string `json:"failure,omitempty"`
	figures
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		fail(serve(os.Args[2], os.Args[3]))
		return
	}
	dir := flag.String("dir", os.TempDir(), "folder for data: its disk is what is measured")
	out := flag.String("out", ".", "folder for peers.json and peers.md")
	ledgerctl := flag.String("ledgerctl", "", "the program whose bench measures ron-ledger; none: without it")
	only := flag.String("only", "", "names of peers, with commas; default: all")
	length := flag.Duration("duration", 5*time.Second, "of each load")
	runs := flag.Int("runs", 3, "of each load; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fail(run(ctx, *dir, *out, *ledgerctl, *only, *length, *runs))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, out, ledgerctl, only string, length time.Duration, runs int) (err error) {
	scratch, err := os.MkdirTemp(dir, "peers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	var rows []row
	for _, s := range shapes {
		if ledgerctl != "" {
			rows = append(rows, measured("ron-ledger", "socket, idempotency, balances, rules, Merkle root of every commit", s, runs, func() (figures, error) {
				return ours(ctx, ledgerctl, scratch, s, length)
			}))
		}
		for _, p := range peers {
			if only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
				continue
			}
			rows = append(rows, measured(p.name, p.settings, s, runs, func() (figures, error) {
				return p.measure(ctx, scratch, s, length)
			}))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return write(out, rows)
}

// measured repeats a run and takes the one in the middle.
func measured(name, settings string, s shape, runs int, once func() (figures, error)) row {
	r := row{Peer: name, Settings: settings, Shape: s.name}
	var all []figures
	for range runs {
		f, err := once()
		if err != nil {
			r.Failure = err.Error()
			fmt.Fprintf(os.Stderr, "peers: %s, %s: %v\n", name, s.name, err)
			return r
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b figures) int { return int(a.EntriesPerSecond - b.EntriesPerSecond) })
	r.figures = all[len(all)/2]
	fmt.Fprintf(os.Stderr, "peers: %s, %s: %.0f entries/s, p50 %.2f, p99 %.2f ms\n", name, s.name, r.EntriesPerSecond, r.P50, r.P99)
	return r
}

// measure runs one load on a new instance.
func (p *peer) measure(ctx context.Context, scratch string, s shape, length time.Duration) (f figures, err error) {
	dir, err := os.MkdirTemp(scratch, p.name+"-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	i, err := p.start(ctx, dir, s.clients)
	if err != nil {
		return f, fmt.Errorf("start: %w", err)
	}
	defer func() { err = errors.Join(err, i.stop()) }()
	if s.rate > 0 {
		return openLoop(ctx, i, s, length), nil
	}
	return closedLoop(ctx, i, s, length), nil
}

func write(out string, rows []row) error {
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "peers.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("| load | | entries/s | p50 / p99 ms | CPU an entry | RSS MiB |\n|---|---|---|---|---|---|\n")
	settings := map[string]string{}
	for _, r := range rows {
		settings[r.Peer] = r.Settings
		if r.Failure != "" {
			fmt.Fprintf(&b, "| %s | %s | did not run: %s | | | |\n", r.Shape, r.Peer, firstLine(r.Failure))
			continue
		}
		note := ""
		if r.Errors > 0 {
			note = fmt.Sprintf(" (%d requests failed: %s)", r.Errors, firstLine(r.FirstError))
		}
		fmt.Fprintf(&b, "| %s | %s | %.0f%s | %.3g / %.3g | %.2f µs | %.0f |\n", r.Shape, r.Peer, r.EntriesPerSecond, note, r.P50, r.P99, r.CPUMicros, r.RSSMiB)
	}
	b.WriteString("\n")
	for _, r := range rows {
		if s, ok := settings[r.Peer]; ok {
			fmt.Fprintf(&b, "- %s: %s\n", r.Peer, s)
			delete(settings, r.Peer)
		}
	}
	fmt.Print(b.String())
	return os.WriteFile(filepath.Join(out, "peers.md"), []byte(b.String()), 0o644)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
