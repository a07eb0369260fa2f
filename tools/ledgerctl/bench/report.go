package bench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/rustyonions/ron-ledger/wire"
)

// Result is what a bench found out. The names of its members are the contract
// of bench --json.
type Result struct {
	Profile     string  `json:"profile,omitempty"`
	Node        string  `json:"node"` // profile of the sidecar
	Loop        string  `json:"loop"` // open or closed
	Connections int     `json:"connections"`
	Inflight    int     `json:"inflight,omitempty"`
	Batch       int     `json:"batch"`
	BatchP90    int     `json:"batch_p90,omitempty"`
	EntryBytes  int     `json:"entry_bytes"`
	Nonces      string  `json:"nonces"`
	Replay      string  `json:"replay,omitempty"` // the journal that was sent
	Rate        float64 `json:"rate,omitempty"`

	Seconds           float64     `json:"seconds"`
	Entries           uint64      `json:"entries"`  // new ones answered in that time
	Requests          uint64      `json:"requests"` // decided in that time: answered with APPENDED
	EntriesPerSecond  float64     `json:"entries_per_second"`
	RequestsPerSecond float64     `json:"requests_per_second"`
	Latency           latencyJSON `json:"latency_ms"`
	DrainedMs         float64     `json:"burst_drained_ms,omitempty"`

	ServerCPU                  float64 `json:"server_cpu_cores"`
	ServerCPUMicrosPerEntry    float64 `json:"server_cpu_us_per_entry"`
	GeneratorCPU               float64 `json:"generator_cpu_cores"`
	GeneratorCPUMicrosPerEntry float64 `json:"generator_cpu_us_per_entry"`
	RSSMaxBytes                int64   `json:"rss_max_bytes"`
	Descriptors                int     `json:"descriptors_max"`
	DescriptorLimit            int     `json:"descriptors_limit"`
	QueueP99                   float64 `json:"commit_queue_p99_share"`
	ReadyMs                    float64 `json:"ready_ms,omitempty"` // from the start of the process to an answered HELLO
	OtherCPU                   float64 `json:"other_cpu_cores"`    // of everything else on the machine, the kernel's threads included

	// Of the whole run, warm-up included.
	BusyShare    float64           `json:"busy_share"`    // of the requests sent; an open loop sends them again
	FailureShare float64           `json:"failure_share"` // requests refused for another reason, or with a rejected entry
	Refused      map[string]uint64 `json:"refused"`       // requests by reason
	Rejected     map[string]uint64 `json:"rejected"`      // entries by reason
	Duplicates   uint64            `json:"duplicates"`
	Accepted     uint64            `json:"accepted"`
	StartSize    uint64            `json:"start_size"`
	EndSize      uint64            `json:"end_size"`
	Gapless      bool              `json:"gapless"` // the answers cover what lies between the sizes, once

	FsyncP99Ms   *float64         `json:"fsync_p99_ms,omitempty"`
	StalledShare *float64         `json:"stalled_share,omitempty"`
	Roots        *rootsJSON       `json:"roots,omitempty"`
	Soak         *soakJSON        `json:"soak,omitempty"`
	Calibration  *calibrationJSON `json:"calibration,omitempty"`
	Levels       []serviceLevel   `json:"service_levels"`

	drained   time.Duration
	latencies *hdrhistogram.Histogram
}

// latencyJSON is in milliseconds.
type latencyJSON struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

func (l latencyJSON) String() string {
	return fmt.Sprintf("%s / %s / %s / %s / %s", digits3(l.P50), digits3(l.P95), digits3(l.P99), digits3(l.P999), digits3(l.Max))
}

// digits3 prints a figure with about three digits that say something.
func digits3(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

func (r *Result) describe(p *Plan, s serverStatus) {
	r.Profile, r.Node, r.Loop = p.profile, s.Profile, "closed"
	r.Connections, r.Inflight, r.Batch, r.BatchP90 = p.connections, p.inflight, p.batch, p.batchP90
	r.EntryBytes, r.Nonces, r.Rate = p.entryBytes, p.nonces, p.rate
	r.Replay = p.replay
	if p.rate > 0 {
		r.Loop, r.Inflight = "open", 0
	}
}

// count takes what the answers of the whole run said.
func (r *Result) count(t *tally) {
	requests := max(float64(t.requests.Load()+sum(t.refused)), 1)
	busy := t.refused[wire.ReasonBusy]
	r.BusyShare = float64(busy) / requests
	r.FailureShare = float64(sum(t.refused)-busy+sum(t.rejected)) / requests
	r.Refused, r.Rejected, r.Duplicates = byName(t.refused), byName(t.rejected), t.duplicates
}

func byName(counts map[wire.Reason]uint64) map[string]uint64 {
	named := make(map[string]uint64, len(counts))
	for reason, n := range counts {
		named[reason.String()] += n
	}
	return named
}

// Print prints two tables: the figures, and the service levels.
func (r *Result) Print(w io.Writer) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	for _, row := range r.rows() {
		t.AppendRow(table.Row{row[0], row[1]})
	}
	levels := table.NewWriter()
	levels.SetStyle(table.StyleLight)
	levels.AppendHeader(table.Row{"service level", "measured", "limit", ""})
	for _, l := range r.Levels {
		sign, verdict := "≤ ", "pass"
		if l.AtLeast {
			sign = "≥ "
		}
		if !l.Pass {
			verdict = "FAIL"
		}
		levels.AppendRow(table.Row{l.Name, digits3(l.Measured), sign + digits3(l.Limit), verdict})
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n%s%s\n", r.title(), t.Render(), plotLatencies(r.latencies), levels.Render())
	return err
}

func (r *Result) title() string {
	if r.Replay != "" {
		return fmt.Sprintf("%s: replay of %s, %d entries a request, %d in flight, %.2f s", r.Node, r.Replay, r.Batch, r.Inflight, r.Seconds)
	}
	load := fmt.Sprintf("closed loop, %d × %d, %d in flight", r.Connections, r.Batch, r.Inflight)
	if r.Loop == "open" {
		load = fmt.Sprintf("open loop, %.0f requests/s, batch %d", r.Rate, r.Batch)
		if r.BatchP90 > 0 {
			load += fmt.Sprintf(" (p90 %d)", r.BatchP90)
		}
	}
	title := fmt.Sprintf("%s: %s, %d bytes, %s, %.1f s", r.Node, load, r.EntryBytes, r.Nonces, r.Seconds)
	if r.Profile != "" {
		title = r.Profile + " on " + title
	}
	return title
}

// rows returns the figures with their names. What was not measured is left out.
func (r *Result) rows() (rows [][2]string) {
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	add("entries/s", "%.0f", r.EntriesPerSecond)
	add("requests/s", "%.0f", r.RequestsPerSecond)
	add("latency ms: p50 / p95 / p99 / p99.9 / max", "%v", r.Latency)
	if r.DrainedMs > 0 {
		add("burst drained after its end", "%s ms", digits3(r.DrainedMs))
	}
	if r.RSSMaxBytes > 0 {
		add("sidecar CPU an entry", "%.2f µs", r.ServerCPUMicrosPerEntry)
		add("sidecar CPU", "%.1f %% of a core", 100*r.ServerCPU)
		add("sidecar RSS, highest", "%.0f MiB", float64(r.RSSMaxBytes)/mib)
		add("sidecar descriptors, most", "%d of %d", r.Descriptors, r.DescriptorLimit)
	}
	add("commit queue, p99", "%.1f %% full", 100*r.QueueP99)
	if r.FsyncP99Ms != nil {
		add("fsync p99", "%s ms", digits3(*r.FsyncP99Ms))
	}
	if r.StalledShare != nil {
		add("writes stalled", "%.2f %% of the time", 100**r.StalledShare)
	}
	if r.ReadyMs > 0 {
		add("ready after start", "%.0f ms", r.ReadyMs)
	}
	add("generator CPU", "%.1f %% of a core, %.2f µs an entry", 100*r.GeneratorCPU, r.GeneratorCPUMicrosPerEntry)
	add("CPU of everything else", "%.1f %% of a core", 100*r.OtherCPU)
	add("busy", "%.3f %% of requests", 100*r.BusyShare)
	add("failures", "%.3f %% of requests%s", 100*r.FailureShare, reasonsWord(r.Refused, r.Rejected))
	add("sequence", "%s", r.sequenceWord())
	if r.Roots != nil {
		add("/roots ms: p50 / p95 / p99 / p99.9 / max", "%v (%d polls)", r.Roots.Poll, r.Roots.Polls)
		add("root lag ms: p50 / p95 / p99 / p99.9 / max", "%v (%d roots)", r.Roots.Lag, r.Roots.Seen)
	}
	if s := r.Soak; s != nil {
		add("maximum of the same requests before", "%.0f requests/s", s.MaxRequestsPerSecond)
		add("p99 ms, first / last part", "%s / %s", digits3(s.EarlyP99Ms), digits3(s.LateP99Ms))
		add("RSS MiB, begin / end", "%.0f / %.0f", float64(s.Begin.RSSBytes)/mib, float64(s.End.RSSBytes)/mib)
		add("goroutines, begin / end", "%d / %d", s.Begin.Goroutines, s.End.Goroutines)
		add("descriptors, begin / end", "%d / %d", s.Begin.Descriptors, s.End.Descriptors)
	}
	if c := r.Calibration; c != nil {
		add("calibration: BLAKE3 of 224 bytes", "%.0f/s", c.Blake3HashesPerSecond)
		add("calibration: 3 KB and fdatasync, p50 / p99", "%s / %s ms", digits3(c.FdatasyncP50Ms), digits3(c.FdatasyncP99Ms))
	}
	return rows
}

func (r *Result) sequenceWord() string {
	if r.Gapless {
		return fmt.Sprintf("%d to %d without a gap, %d duplicates", r.StartSize+1, r.EndSize, r.Duplicates)
	}
	return fmt.Sprintf("%d to %d, but %d were answered as new: a gap, or someone else writes", r.StartSize+1, r.EndSize, r.Accepted)
}

func reasonsWord(counts ...map[string]uint64) string {
	var words []string
	for _, c := range counts {
		for name, n := range c {
			words = append(words, fmt.Sprintf("%s %d", name, n))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}
