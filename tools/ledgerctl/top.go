package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/screen"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var once bool
	cmd := &cobra.Command{
		Use: "top", Short: "watch the sidecar, live",
		Long: `Top shows once a second what the sidecar does: entries and commits, latencies of commits
and of syncs, the queue, the size of batches, roots that are read, connections by uid, disk, and
what was rejected. Keys: p pauses, s sorts the rejects by name or by number, q ends.

The figures are those of STATUS and, with the certificate tls.crt in the home, of /metrics.
With --once, and where the output is no terminal, it prints one screen, of one interval.`,
		Example: "  ledgerctl top\n  ledgerctl top --once --every 10s",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return usagef("--every %v: at least 100ms are wanted", every)
			}
			return a.with(cmd.Context(), func(c *client.Client) error { return a.top(cmd.Context(), c, every, once) })
		},
	}
	cmd.Flags().DurationVar(&every, "every", time.Second, "time between two samples")
	cmd.Flags().BoolVar(&once, "once", false, "print one screen and end")
	return cmd
}

func (a *app) top(ctx context.Context, c *client.Client, every time.Duration, once bool) error {
	s := &topSampler{client: c}
	if home, err := a.homePath(); err == nil {
		s.ca = scrape.HomeCertificate(home)
	}
	if err := s.sample(ctx, every); err != nil {
		return err
	}
	if once || !a.terminal(a.stdout) {
		return a.topOnce(ctx, s, every)
	}
	return a.topLive(ctx, s, every)
}

func (a *app) topOnce(ctx context.Context, s *topSampler, every time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(every):
	}
	if err := s.sample(ctx, every); err != nil {
		return err
	}
	if a.json {
		return printJSON(a.stdout, s.screen)
	}
	for _, line := range s.screen.Draw(defaultWidth, defaultHeight) {
		if _, err := fmt.Fprintln(a.stdout, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// topLive draws until q or the end of ctx.
func (a *app) topLive(ctx context.Context, s *topSampler, every time.Duration) error {
	return a.fullScreen(func(out *os.File) error { return a.topKeys(ctx, out, s, every) })
}

func (a *app) topKeys(ctx context.Context, out *os.File, s *topSampler, every time.Duration) error {
	keys := readKeys(a.stdin)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := a.drawScreen(out, s.screen.Draw); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case key := <-keys:
			switch key {
			case 'q', 3: // and Ctrl-C, which is a key of a raw terminal
				return nil
			case 'p':
				s.screen.Paused = !s.screen.Paused
			case 's':
				s.screen.ByName = !s.screen.ByName
			}
		case <-tick.C:
			if s.screen.Paused {
				continue
			}
			if err := s.sample(ctx, every); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// topSampler turns the state of a sidecar and its counters into what the screen shows.
type topSampler struct {
	client *client.Client
	ca     string
	screen screen.Top
	before scrape.Metrics
	last   time.Time
}

// topStatus is what top reads of the status.
type topStatus struct {
	report
	Name          string        `json:"name"`
	Profile       string        `json:"profile"`
	Queue         int           `json:"queue"`
	QueueCapacity int           `json:"queue_capacity"`
	Connections   int           `json:"connections"`
	HTTPS         string        `json:"https"`
	Peers         []screen.Peer `json:"connections_by_uid"`
	UptimeS       float64       `json:"uptime_s"`
}

func (s *topSampler) sample(ctx context.Context, every time.Duration) error {
	text, err := s.client.Status(ctx)
	if err != nil {
		return errors.Join(errors.New("read the status"), err)
	}
	var status topStatus
	if err := json.Unmarshal(text, &status); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	t := &s.screen
	t.Name, t.Profile, t.Root, t.Size, t.Degraded = status.Name, status.Profile, status.Root, status.Size, status.Degraded
	t.Uptime = time.Duration(status.UptimeS * float64(time.Second))
	t.QueueCapacity, t.Connections, t.Peers = status.QueueCapacity, status.Connections, status.Peers
	m := scrape.Read(ctx, status.HTTPS, s.ca)
	now := time.Now()
	seconds := max(now.Sub(s.last).Seconds(), 1e-3)
	s.last = now
	t.Unmeasured = ""
	if m == nil {
		t.Unmeasured = "/metrics cannot be read with tls.crt of the home"
	}
	if m != nil && s.before != nil {
		t.Queue.Add(float64(status.Queue))
		s.measure(m, seconds)
	}
	s.before = m
	return nil
}

// measure adds a sample to every line.
func (s *topSampler) measure(m scrape.Metrics, seconds float64) {
	t := &s.screen
	rate := func(name string) float64 { return max(m.Sum(name)-s.before.Sum(name), 0) / seconds }
	t.Entries.Add(rate("ledger_entries_total"))
	t.Commits.Add(rate("ledger_commits_total"))
	t.Roots.Add(rate("http_requests_total"))
	commits := m.Buckets("ledger_commit_latency_seconds", s.before)
	t.P50.Add(milliseconds(scrape.Quantile(0.5, commits)))
	t.P99.Add(milliseconds(scrape.Quantile(0.99, commits)))
	t.Fsync.Add(milliseconds(scrape.Quantile(0.99, m.Buckets(scrape.Fsync, s.before))))
	batch := 0.0
	if commits := t.Commits[len(t.Commits)-1]; commits > 0 {
		batch = t.Entries[len(t.Entries)-1] / commits
	}
	t.Batch.Add(batch)
	t.Readers = int(m.Gauge("https_connections"))
	t.DiskFree, t.DiskTotal = m.Gauge("disk_free_bytes"), m.Gauge("disk_total_bytes")
	t.Rejects = t.Rejects[:0]
	earlier := map[string]float64{}
	for reason, total := range s.before.ByLabel("rejected_total") {
		earlier[reason] = total
	}
	for reason, total := range m.ByLabel("rejected_total") {
		if total > 0 {
			t.Rejects = append(t.Rejects, screen.Count{Name: reason, Total: total, Rate: (total - earlier[reason]) / seconds})
		}
	}
}

// milliseconds of a quantile, 0 where nothing happened.
func milliseconds(seconds float64) float64 {
	if !(seconds > 0) {
		return 0
	}
	return seconds * 1e3
}
