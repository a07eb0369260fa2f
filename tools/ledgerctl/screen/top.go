package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// HistoryMax is how many samples a sparkline has at most.
const HistoryMax = 120

// History is one figure over time, oldest first.
type History []float64

// Add puts a sample behind the others; the oldest makes room.
func (h *History) Add(v float64) {
	*h = append(*h, v)
	if len(*h) > HistoryMax {
		*h = slices.Delete(*h, 0, len(*h)-HistoryMax)
	}
}

// last is the newest sample, 0 before there is one.
func (h History) last() float64 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1]
}

// Count is how often something happened, and how often a second of late.
type Count struct {
	Name  string  `json:"name"`
	Total float64 `json:"total"`
	Rate  float64 `json:"rate"`
}

// Peer is a uid and its connections.
type Peer struct {
	UID         uint32 `json:"uid"`
	Connections int    `json:"connections"`
}

// Top is what ledgerctl top shows, and prints with --json. Latencies are in milliseconds, rates a second; of a History
// the last is the newest.
type Top struct {
	Name          string        `json:"name"`
	Profile       string        `json:"profile"`
	Root          string        `json:"root"`
	Degraded      string        `json:"degraded"` // empty: it takes entries
	Uptime        time.Duration `json:"uptime_ns"`
	Size          uint64        `json:"size"`
	Entries       History       `json:"entries"`
	Commits       History       `json:"commits"`
	P50           History       `json:"commit_p50_ms"`
	P99           History       `json:"commit_p99_ms"`
	Fsync         History       `json:"fsync_p99_ms"`
	Batch         History       `json:"batch"`
	Roots         History       `json:"roots"`
	Queue         History       `json:"queue"`
	QueueCapacity int           `json:"queue_capacity"`
	Connections   int           `json:"connections"`
	Peers         []Peer        `json:"connections_by_uid"` // who has most first; not all of many
	Readers       int           `json:"readers"`
	DiskFree      float64       `json:"disk_free_bytes"`
	DiskTotal     float64       `json:"disk_total_bytes"`
	Rejects       []Count       `json:"rejects"`
	Unmeasured    string        `json:"unmeasured"` // why there are no figures of /metrics

	Paused bool `json:"-"`
	ByName bool `json:"-"`
}

// rejectRows is how many reasons are shown at 24 lines.
const rejectRows = 5

// Draw returns the screen, each line of that width. It has at least 80 by 24 in mind, and cuts
// what does not fit.
func (t *Top) Draw(width, height int) []string {
	state := "ready"
	if t.Degraded != "" {
		state = "NOT READY: " + t.Degraded
	}
	lines := []string{
		fmt.Sprintf("%s  %s  up %s  %s", t.Name, t.Profile, Span(t.Uptime), state),
		fmt.Sprintf("size %d  root %s", t.Size, t.Root),
		"",
	}
	spark := max(width-34, 10)
	for _, row := range []struct {
		name, unit string
		values     History
	}{
		{"entries", "/s", t.Entries}, {"commits", "/s", t.Commits}, {"roots read", "/s", t.Roots},
		{"commit p50", "ms", t.P50}, {"commit p99", "ms", t.P99}, {"fsync p99", "ms", t.Fsync},
		{"batch", "", t.Batch}, {"queue", fmt.Sprintf("of %d", t.QueueCapacity), t.Queue},
	} {
		lines = append(lines, fmt.Sprintf("%-11s %9s %-8s  %s", row.name, short(row.values.last()), row.unit, Sparkline(row.values, spark)))
	}
	lines = append(lines, "", fmt.Sprintf("connections %d of applications, %d of readers", t.Connections, t.Readers))
	lines = append(lines, t.peers(width)...)
	if t.DiskTotal > 0 {
		lines = append(lines, fmt.Sprintf("disk        %s of %s free", size(t.DiskFree), size(t.DiskTotal)))
	}
	if t.Unmeasured != "" {
		lines = append(lines, "no figures: "+t.Unmeasured)
	}
	lines = append(append(lines, ""), t.rejects()...)
	foot := "q quit   p pause   s sort rejects by " + map[bool]string{true: "number", false: "name"}[t.ByName]
	if t.Paused {
		foot += "   PAUSED"
	}
	return frame(lines, foot, width, height)
}

// peers says whose the connections are, as far as a line has room.
func (t *Top) peers(width int) []string {
	if len(t.Peers) == 0 {
		return nil
	}
	line, left := "by uid      ", t.Connections
	for _, p := range t.Peers {
		word := fmt.Sprintf("%d: %d   ", p.UID, p.Connections)
		if len(line)+len(word)+len("others: 1000000") > max(width, 80) {
			break
		}
		line, left = line+word, left-p.Connections
	}
	if left > 0 {
		line += fmt.Sprintf("others: %d", left)
	}
	return []string{line}
}

func (t *Top) rejects() []string {
	lines := []string{fmt.Sprintf("%-28s %12s %10s", "rejected because of", "total", "/s")}
	list := slices.Clone(t.Rejects)
	slices.SortFunc(list, func(a, b Count) int {
		if byTotal := cmp.Compare(b.Total, a.Total); byTotal != 0 && !t.ByName {
			return byTotal
		}
		return cmp.Compare(a.Name, b.Name)
	})
	for i, c := range list {
		if i == rejectRows {
			return append(lines, fmt.Sprintf("and %d more reasons", len(list)-i))
		}
		lines = append(lines, fmt.Sprintf("%-28s %12s %10s", c.Name, short(c.Total), short(c.Rate)))
	}
	if len(list) == 0 {
		lines = append(lines, "nothing")
	}
	return lines
}

// frame makes a screen of lines, with the last line of it at the bottom.
func frame(lines []string, foot string, width, height int) []string {
	if len(lines) > height-1 {
		lines = lines[:height-1]
	}
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, foot)
	for i, line := range lines {
		lines[i] = fit(line, width)
	}
	return lines
}

// short writes a figure in at most seven characters, with three digits that count.
func short(v float64) string {
	for _, unit := range []struct {
		from float64
		word string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		by := min(unit.from, 1e9)
		if unit.word == "k" {
			by = 1e3
		}
		if v >= unit.from {
			return fmt.Sprintf("%.3g%s", v/by, unit.word)
		}
	}
	if v >= 100 || v == float64(int(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func size(bytes float64) string {
	unit := 0
	for bytes >= 1024 && unit < 5 {
		bytes /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %s", bytes, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}[unit])
}

// Span is a duration by its two greatest units.
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	switch days := d / (24 * time.Hour); {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return strings.TrimSuffix(d.String(), "0s") + map[bool]string{true: "0s"}[d == 0]
}
