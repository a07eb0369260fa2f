package bench

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rustyonions/ron-ledger/wire"
)

func TestScheduleDue(t *testing.T) {
	s := schedule{{100, time.Second}, {1000, 500 * time.Millisecond}, {100, time.Second}}
	if got := s.count(); got != 100+500+100 {
		t.Errorf("%d requests, want 700", got)
	}
	if got := s.length(); got != 2500*time.Millisecond {
		t.Errorf("length %v, want 2.5s", got)
	}
	for _, c := range []struct {
		request int
		due     time.Duration
	}{
		{0, 0}, {1, 10 * time.Millisecond}, {99, 990 * time.Millisecond},
		{100, time.Second}, {101, 1001 * time.Millisecond}, {599, 1499 * time.Millisecond},
		{600, 1500 * time.Millisecond}, {699, 2490 * time.Millisecond}, {700, 2500 * time.Millisecond},
	} {
		if got := s.due(c.request); got != c.due {
			t.Errorf("request %d is due at %v, want %v", c.request, got, c.due)
		}
	}
}

func TestScheduleNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s schedule
		for range rapid.IntRange(1, 4).Draw(t, "phases") {
			s = append(s, phase{rapid.Float64Range(1, 5000).Draw(t, "rate"), time.Duration(rapid.Int64Range(1e6, 1e9).Draw(t, "length"))})
		}
		last := time.Duration(-1)
		for i := range s.count() {
			due := s.due(i)
			if due < last || due > s.length() {
				t.Fatalf("request %d is due at %v, after %v, in a schedule of %v", i, due, last, s.length())
			}
			last = due
		}
	})
}

func TestLogNormal(t *testing.T) {
	for _, c := range []struct{ median, p90 int }{{8, 32}, {16, 64}, {16, 0}, {1, 1}} {
		d := newLogNormal(c.median, c.p90, 2048)
		rng := rand.New(rand.NewPCG(1, 1))
		var sizes []float64
		for range 40_000 {
			sizes = append(sizes, float64(d.size(rng.NormFloat64())))
		}
		if got := percentileOf(sizes, 0.5); math.Abs(got-float64(c.median)) > 1 {
			t.Errorf("median %v, want %d", got, c.median)
		}
		if want := float64(max(c.p90, c.median)); math.Abs(percentileOf(sizes, 0.9)-want) > 0.05*want+1 {
			t.Errorf("p90 %v, want %v", percentileOf(sizes, 0.9), want)
		}
		if low, high := percentileOf(sizes, 0), percentileOf(sizes, 1); low < 1 || high > 2048 {
			t.Errorf("sizes in %v..%v", low, high)
		}
	}
}

// Ranges that lie end to end are whole in any order; a gap, an overlap and a range
// that counts wrong are not.
func TestChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint64Range(0, 1<<40).Draw(t, "start")
		at := start
		type span struct{ first, last uint64 }
		var spans []span
		for range rapid.IntRange(2, 20).Draw(t, "spans") {
			n := rapid.Uint64Range(1, 50).Draw(t, "n")
			spans = append(spans, span{at + 1, at + n})
			at += n
		}
		count := func(spans []span) (c chain) {
			c.add(0, 0, 0) // a request without new entries
			for _, s := range spans {
				var one chain
				one.add(s.first, s.last, uint32(s.last-s.first+1))
				c.merge(&one)
			}
			return c
		}
		spans = rapid.Permutation(spans).Draw(t, "order")
		if c := count(spans); !c.whole(start, at) || c.whole(start, at+1) {
			t.Fatal("ranges end to end are not whole")
		}
		i := rapid.IntRange(0, len(spans)-1).Draw(t, "i")
		moved := append([]span(nil), spans...)
		moved[i].first, moved[i].last = moved[i].first+1, moved[i].last+1
		if c := count(moved); c.whole(start, at) {
			t.Fatal("a range that moved by one went unnoticed")
		}
		c := count(spans)
		c.add(at+1, at+2, 1)
		if c.whole(start, at+2) || c.whole(start, at+1) {
			t.Fatal("a range that counts wrong went unnoticed")
		}
	})
}

func TestParseProcess(t *testing.T) {
	stat := "4711 (a) b ) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7 0 100 1000 100"
	if cpu, err := parseStat(stat); err != nil || cpu != 3*time.Second {
		t.Errorf("CPU %v, %v; want 3s", cpu, err)
	}
	if _, err := parseStat("4711 (a) S 1"); err == nil {
		t.Error("a short line was read")
	}
	machine := "cpu  100 20 30 4000 500 6 7 8 9 0\ncpu0 1 1 1 1 1 1 1 1 1 0\n"
	if cpu, err := parseMachineStat(machine); err != nil || cpu != 1710*time.Millisecond {
		t.Errorf("CPU of the machine %v, %v; want 1.71s", cpu, err)
	}
	if _, err := parseMachineStat("cpu 1 2"); err == nil {
		t.Error("a short line was read")
	}
	if rss, err := parseRSS("Name:\ta\nVmRSS:\t   1234 kB\n"); err != nil || rss != 1234<<10 {
		t.Errorf("RSS %d, %v", rss, err)
	}
	if _, err := parseRSS("Name:\ta\n"); err == nil {
		t.Error("no VmRSS was read")
	}
	limits := "Limit   Soft Limit  Hard Limit  Units\nMax open files            20000   30000  files\n"
	if n := parseDescriptorLimit(limits); n != 20000 {
		t.Errorf("limit %d, want 20000", n)
	}
	if cpu, err := processCPU(os.Getpid()); err != nil || cpu < 0 {
		t.Errorf("own CPU %v, %v", cpu, err)
	}
}

// judge holds a result against its levels.
func judge(p *Plan, r *Result) error {
	r.Levels = serviceLevels(p, r)
	return r.Missed()
}

func TestServiceLevels(t *testing.T) {
	p := NewPlan()
	p.profile = "macronode"
	if err := p.Settle(func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	good := Result{Node: "macronode", RequestsPerSecond: 1200, Gapless: true, Latency: latencyJSON{P95: 1, P99: 2}}
	if err := judge(&p, &good); err != nil {
		t.Errorf("a good run: %v", err)
	}
	for name, spoil := range map[string]func(*Result){
		"requests_per_second":         func(r *Result) { r.RequestsPerSecond = 1100 },
		"commit_p95_ms":               func(r *Result) { r.Latency.P95 = 81 },
		"commit_p99_ms":               func(r *Result) { r.Latency.P99 = 151 },
		"busy_share":                  func(r *Result) { r.BusyShare = 0.02 },
		"failure_share":               func(r *Result) { r.FailureShare = 0.002 },
		"duplicates":                  func(r *Result) { r.Duplicates = 1 },
		"sequence_gaps":               func(r *Result) { r.Gapless = false },
		"rss_max_mib":                 func(r *Result) { r.RSSMaxBytes = 3 << 30 },
		"descriptors_share":           func(r *Result) { r.Descriptors, r.DescriptorLimit = 40, 100 },
		"server_cpu_share_of_machine": func(r *Result) { r.ServerCPU = 1000 },
		"commit_queue_p99_share":      func(r *Result) { r.QueueP99 = 0.9 },
	} {
		bad := good
		spoil(&bad)
		if err := judge(&p, &bad); err == nil || !strings.HasSuffix(err.Error(), ": "+name) {
			t.Errorf("%s was not missed alone: %v", name, err)
		}
	}
}

func TestBenchReport(t *testing.T) {
	fsync := 0.25
	r := Result{
		Profile: "macronode", Node: "macronode", Loop: "open", Rate: 1200, Batch: 16, BatchP90: 64, EntryBytes: 200, Nonces: noncesUUIDv7,
		EntriesPerSecond: 34_567.8, Latency: latencyJSON{0.5, 1.25, 12.5, 125, 1250}, RSSMaxBytes: 111 << 20, Gapless: true, EndSize: 9,
		FsyncP99Ms: &fsync, Refused: map[string]uint64{"busy": 3},
		Levels: []serviceLevel{{"commit_p95_ms", 1.25, 80, false, true}, {"requests_per_second", 1, 1188, true, false}},
	}
	var out bytes.Buffer
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"macronode on macronode: open loop, 1200 requests/s, batch 16 (p90 64), 200 bytes, uuidv7",
		"34568", "0.500 / 1.25 / 12.5 / 125 / 1250", "111 MiB", "1 to 9 without a gap", "0.250 ms", "(busy 3)",
		"≤ 80.0", "pass", "≥ 1188", "FAIL",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, &out)
		}
	}
}

func TestBenchPlan(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"profile":     func(p *Plan) { p.profile = "fast" },
		"connections": func(p *Plan) { p.connections = 0 },
		"accounts":    func(p *Plan) { p.accounts = 1 },
		"duration":    func(p *Plan) { p.duration = 0 },
		"entry-bytes": func(p *Plan) { p.entryBytes = 201 },
		"nonces":      func(p *Plan) { p.nonces = "uuid" },
		"node":        func(p *Plan) { p.node = "meganode" },
		"cpuprofile":  func(p *Plan) { p.cpuProfile = "x" },
		"burst":       func(p *Plan) { p.profile, p.duration = profileBurst, time.Second },
	} {
		p := NewPlan()
		change(&p)
		if err := p.Settle(func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), "--") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := NewPlan()
	if err := p.fit(&wire.Welcome{MaxFrame: 1000}); err == nil {
		t.Error("a batch beyond the longest frame was planned")
	}
}
