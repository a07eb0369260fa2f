package sidecar

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/wire"
)

var update = flag.Bool("update", false, "write the golden files")

// The names, kinds and label names of all metrics of ours are pinned: those that every ledger has, and those
// of a ledger on disk with an archive and a stream, which is not there.
func TestMetricNames(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(2)
	c := Defaults(Macronode)
	c.Home, c.Archive.Dir = filepath.Join(t.TempDir(), "home"), t.TempDir()
	c.HTTPS.Addr, c.Log.Level = "127.0.0.1:0", "error"
	c.Stream.NATS.URL = "nats://127.0.0.1:1"
	onDisk, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := onDisk.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	lines := map[string]bool{}
	for _, s := range []*Sidecar{o.Sidecar, onDisk} {
		for _, line := range metricLines(t, s) {
			lines[line] = true
		}
	}
	const golden = "testdata/metrics.txt"
	got := strings.Join(slices.Sorted(maps.Keys(lines)), "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("go test ./sidecar -run MetricNames -update writes it anew (-golden +got):\n%s", diff)
	}
}

// specified are the metrics that the specification names, with their labels: they are not to be renamed with the golden list.
var specified = strings.Fields(`ledger_commits_total ledger_commit_latency_seconds ledger_roots_published_total ledger_seq_gap_detected_total
	ledger_safe_mode queue_depth{q} queue_capacity{q} busy_rejections_total{q} rejected_total{reason} auth_failures_total{peer}
	tls_handshake_failures_total uds_denied_total wal_fsync_fail_total committer_batch_latency_seconds sequencer_batch_size
	http_requests_total{method,route,status} http_request_duration_seconds{route} pebble_compaction_seconds{db} pebble_stall_seconds_total{db}
	pebble_wal_fsync_seconds pebble_level_bytes{db,level} pebble_cache_bytes disk_free_bytes disk_reserve_bytes cert_not_after_seconds token_expiring`)

// TestMetricsOfTheSpecification finds each of them in the golden list, and beside each value that has a limit the limit.
func TestMetricsOfTheSpecification(t *testing.T) {
	text, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		name := words[0]
		if has[name] = true; len(words) > 2 {
			has[name+"{"+words[2]+"}"] = true
		}
	}
	for _, name := range specified {
		if !has[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for value, limit := range map[string]string{
		"queue_depth": "queue_capacity", "requests_in_flight_bytes": "requests_in_flight_bytes_max", "uds_connections": "uds_connections_max",
		"https_connections": "https_connections_max", "ledger_accounts_cached": "ledger_accounts_cached_max",
		"ledger_recent_identities": "ledger_recent_identities_max", "pebble_cache_bytes": "pebble_cache_bytes_max",
		"pebble_memtable_bytes": "pebble_memtable_bytes_max", "disk_free_bytes": "disk_reserve_bytes",
	} {
		if !has[value] || !has[limit] {
			t.Errorf("%s and its limit %s: %v, %v", value, limit, has[value], has[limit])
		}
	}
}

// metricLines returns a line for each metric of s that is ours: name, kind, labels.
func metricLines(t *testing.T, s *Sidecar) (lines []string) {
	t.Helper()
	families, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	process, runtime := false, false
	for _, family := range families {
		name := family.GetName()
		switch {
		case strings.HasPrefix(name, "go_"):
			runtime = true
			continue
		case strings.HasPrefix(name, "process_"):
			process = true
			continue
		}
		labels := map[string]bool{}
		for _, metric := range family.Metric {
			for _, label := range metric.Label {
				labels[label.GetName()] = true
			}
			if h := metric.Histogram; h != nil && name != "pebble_wal_fsync_seconds" && (len(h.Bucket) == 0 || h.Schema == nil) {
				t.Errorf("%s is not both a classic and a native histogram", name)
			}
		}
		line := name + " " + strings.ToLower(family.GetType().String())
		if len(labels) > 0 {
			line += " " + strings.Join(slices.Sorted(maps.Keys(labels)), ",")
		}
		lines = append(lines, line)
	}
	if !process || !runtime {
		t.Errorf("process metrics: %v, runtime metrics: %v", process, runtime)
	}
	return lines
}

// No label takes a value that a peer chooses.
func TestLabelsAreBounded(t *testing.T) {
	o := newOuter(t, nil)
	for range 3 {
		for _, path := range []string{"/a", "/b", "/roots?x=1", "/roots", "/metrics"} {
			for _, method := range []string{"GET", "HEAD", "POST", "BREW", "WHEN"} {
				o.get(method, path)
			}
		}
	}
	for reason := range 256 {
		o.metrics.rejected(wire.Reason(reason), 1)
	}
	o.metrics.authFailed("token")
	families, err := o.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string][]string{
		"route": {"/roots", "/metrics", "other"}, "method": {"GET", "HEAD", "PUT", "other"}, "outcome": {"done", "missing", "conflict", "refused", "no_answer"}, "status": {"200", "304", "400", "403", "404", "405", "410", "500"},
		"q": {"commit", "commit_share", "ingress", "inflight_bytes"}, "db": {"log", "state"}, "peer": {"token", "tls"}, "level": {"0", "1", "2", "3", "4", "5", "6"}, "profile": {Micronode}, "hash": {"blake3"}, "version": {Version()},
	}
	for _, reason := range wire.Reasons() {
		allowed["reason"] = append(allowed["reason"], reason.String())
	}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "go_") {
			continue
		}
		for _, metric := range family.Metric {
			for _, label := range metric.Label {
				if !slices.Contains(allowed[label.GetName()], label.GetValue()) {
					t.Errorf("%s has %s=%q", family.GetName(), label.GetName(), label.GetValue())
				}
			}
		}
	}
}

func TestMetricsCount(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(3)
	o.commit(4)
	o.metrics.rejected(wire.ReasonConflict, 5)
	o.metrics.denied()
	o.admission.hold(1, 2<<20)
	o.metrics.authFailed("token")
	body := o.get("GET", "/metrics").body
	for _, line := range []string{
		"ledger_commits_total 2", "ledger_entries_total 7", "ledger_roots_published_total 2", "ledger_size_entries 7",
		"ledger_safe_mode 0", "ledger_seq_gap_detected_total 0", "wal_fsync_fail_total 0",
		"ledger_commit_latency_seconds_count 2", "committer_batch_latency_seconds_count 2",
		"sequencer_batch_size_sum 7", `sequencer_batch_size_bucket{le="4"} 2`,
		`queue_capacity{q="commit"} 1000`, `queue_capacity{q="ingress"} 10`, `queue_depth{q="commit"} 0`,
		`busy_rejections_total{q="inflight_bytes"} 1`, `busy_rejections_total{q="commit_share"} 0`, `busy_rejections_total{q="ingress"} 0`, `busy_rejections_total{q="commit"} 0`,
		`rejected_total{reason="conflict"} 5`, `rejected_total{reason="busy"} 0`, `auth_failures_total{peer="token"} 1`,
		"uds_denied_total 1", "disk_reserve_bytes 0", "https_connections 1",
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	o.committer.Refuse(wire.ReasonSafeMode)
	if body := o.get("GET", "/metrics").body; !strings.Contains(body, "\nledger_safe_mode 1\n") || !strings.Contains(body, `http_requests_total{method="GET",route="/metrics",status="200"} 1`) {
		t.Errorf("safe mode or the request before is not told:\n%s", body)
	}
}

// What the hot path calls allocates nothing.
func TestObserveAllocatesNothing(t *testing.T) {
	o := newOuter(t, nil)
	info := &committer.CommitInfo{Entries: 64, Bytes: 12_800, QueuedNs: make([]int64, 64), OpenedNs: 1000, PublishedNs: 2_000_000}
	head := &committer.Head{}
	for range rootRingMax {
		head.Size++
		o.roots.ring.add(head)
	}
	if n := testing.AllocsPerRun(1000, func() {
		o.metrics.Observe(info)
		o.metrics.rejected(wire.ReasonBusy, 1)
		o.metrics.authFailed("token")
		head.Size++
		o.roots.add(head)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	o := newOuter(b, nil)
	info := &committer.CommitInfo{Entries: 1024, Bytes: 204_800, QueuedNs: make([]int64, 64), OpenedNs: 1000, PublishedNs: 2_000_000}
	b.ReportAllocs()
	for b.Loop() {
		o.metrics.Observe(info)
	}
}
