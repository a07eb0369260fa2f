package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/fleet"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/liar"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

const interval = 10 * time.Second

// network is servers without a network, so that time in it can be simulated. A host that is
// silent answers nothing until it is given up.
type network struct {
	mu      sync.Mutex
	servers map[string]*liar.Server
	silent  map[string]bool
	open    int // requests under way
	openMax int
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.open++
	n.openMax = max(n.openMax, n.open)
	server, silent := n.servers[r.URL.Host], n.silent[r.URL.Host]
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.open--
		n.mu.Unlock()
	}()
	if silent {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	time.Sleep(10 * time.Millisecond)
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// newNetwork returns count honest servers and the targets of a fleet of them. Every other one has SHA-256.
func newNetwork(t *testing.T, count int) (*network, []fleet.Target) {
	t.Helper()
	n := &network{servers: map[string]*liar.Server{}, silent: map[string]bool{}}
	var targets []fleet.Target
	for i := range count {
		server, err := liar.New([]merkle.HashKind{merkle.Blake3, merkle.SHA256}[i%2], byte(i), byte(i))
		if err != nil {
			t.Fatal(err)
		}
		server.Size = 60
		host := fmt.Sprintf("ledger-%03d:5082", i)
		n.servers[host] = server
		targets = append(targets, fleet.Target{URL: "https://" + host, VKey: server.VKey})
	}
	return n, targets
}

// told collects what a fleet tells of changes.
type told struct {
	mu      sync.Mutex
	at      map[string]time.Time // when a ledger got into a state: "STATE HOST"
	changes int
}

func (o *told) changed(row fleet.Row, _ string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == nil {
		o.at = map[string]time.Time{}
	}
	o.at[row.State+" "+strings.TrimPrefix(row.URL, "https://")] = time.Now()
	o.changes++
}

func newFleet(t *testing.T, n *network, o *told, dir string) *fleet.Fleet {
	t.Helper()
	f, err := fleet.New(fleet.Options{
		Dir: dir, HTTP: &http.Client{Transport: n}, Interval: interval, Parallel: 64,
		Write:   func(path string, text []byte) error { return os.WriteFile(path, text, 0o600) },
		Changed: o.changed, Failed: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// follow runs a fleet for as long as do takes.
func follow(t *testing.T, f *fleet.Fleet, targets []fleet.Target, do func(ctx context.Context)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	if err := f.Follow(ctx, targets); err != nil {
		t.Error(err)
	}
	do(ctx)
	stop()
	f.Wait()
}

func counted(f *fleet.Fleet) fleet.Count { return fleet.CountRows(f.Rows()) }

// Whatever goes wrong at the worst moment, right behind a look, is named within two intervals, and
// nothing else is.
func TestNamedWithinTwoIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 120
		n, targets := newNetwork(t, all)
		o := new(told)
		dir := t.TempDir()
		f := newFleet(t, n, o, dir)
		follow(t, f, targets, func(context.Context) {
			time.Sleep(interval + time.Second)
			synctest.Wait()
			if c := counted(f); c.OK != all {
				t.Fatalf("after one interval: %+v", c)
			}
			wrong := map[string]string{}
			began := time.Now()
			n.mu.Lock()
			for i := range 30 {
				host := fmt.Sprintf("ledger-%03d:5082", i*3)
				server := n.servers[host]
				switch i % 5 {
				case 0:
					server.History, wrong[host] = 1, monitor.Fork
				case 1:
					server.History, server.Size, wrong[host] = 1, 80, monitor.Fork
				case 2:
					server.Size, wrong[host] = 50, monitor.Rollback
				case 3:
					n.silent[host], wrong[host] = true, fleet.Silent
				case 4:
					server.Size, wrong[host] = 80, monitor.Unproven
					server.Lie = func(status int, p *monitor.Page) int { p.Consistency = nil; return status }
				}
			}
			for host, server := range n.servers {
				if wrong[host] == "" {
					server.Size = 90
				}
			}
			n.mu.Unlock()
			time.Sleep(2 * interval)
			synctest.Wait()
			for _, row := range f.Rows() {
				host := strings.TrimPrefix(row.URL, "https://")
				if want := wrong[host]; want == "" && (row.State != fleet.OK || row.Known.Size != 90) || want != "" && row.State != want {
					t.Errorf("%s is %s %s at %d, want %q", host, row.State, row.Why, row.Known.Size, want)
				}
			}
			slowest := time.Duration(0)
			for host, state := range wrong {
				slowest = max(slowest, o.at[state+" "+host].Sub(began))
			}
			if slowest > 2*interval || slowest < interval {
				t.Errorf("the last one is named after %v", slowest)
			}
			if n.openMax > 64 {
				t.Errorf("%d requests were under way at once", n.openMax)
			}
			t.Logf("%d of %d were named, the last one after %v", len(wrong), all, slowest)
		})
	})
}

// A fork and a rollback stay named, also behind a restart, until their evidence is taken away; what
// was silent or withheld a proof is ok again with its next good answer.
func TestAlarmsThatLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, targets := newNetwork(t, 4)
		dir := t.TempDir()
		lie := func(status int, p *monitor.Page) int { p.Consistency = nil; return status }
		hosts := func(i int) *liar.Server { return n.servers[fmt.Sprintf("ledger-%03d:5082", i)] }
		f := newFleet(t, n, new(told), dir)
		follow(t, f, targets, func(context.Context) {
			time.Sleep(2 * interval)
			synctest.Wait()
			hosts(0).History, hosts(1).Size, hosts(2).Size, hosts(2).Lie = 1, 50, 61, lie
			n.mu.Lock()
			n.silent["ledger-003:5082"] = true
			n.mu.Unlock()
			time.Sleep(2 * interval)
			synctest.Wait()
			if c := counted(f); c.Refuted != 3 || c.Silent != 1 {
				t.Fatalf("%+v: %+v", c, f.Rows())
			}
			hosts(0).History, hosts(1).Size, hosts(2).Lie = 0, 70, nil
			n.mu.Lock()
			n.silent = map[string]bool{}
			n.mu.Unlock()
			time.Sleep(2 * interval)
			synctest.Wait()
			if c := counted(f); c.Refuted != 2 || c.OK != 2 {
				t.Errorf("after they went on: %+v: %+v", c, f.Rows())
			}
		})
		f = newFleet(t, n, new(told), dir)
		follow(t, f, targets, func(context.Context) {
			time.Sleep(2 * interval)
			synctest.Wait()
			rows := f.Rows()
			if rows[0].State != monitor.Fork || rows[1].State != monitor.Rollback || !strings.Contains(rows[0].Why, "fork: ") || rows[1].Known.Size != 70 {
				t.Errorf("after a restart: %+v", rows)
			}
		})
		evidence, err := filepath.Glob(filepath.Join(dir, "*.alarm"))
		if err != nil || len(evidence) != 2 {
			t.Fatalf("%v, %v", evidence, err)
		}
		for _, path := range evidence {
			if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "\n\ntest/") {
				t.Errorf("%s: %q, %v", path, text, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		f = newFleet(t, n, new(told), dir)
		follow(t, f, targets, func(context.Context) {
			time.Sleep(2 * interval)
			synctest.Wait()
			if c := counted(f); c.OK != 4 {
				t.Errorf("without the evidence: %+v", f.Rows())
			}
		})
	})
}

// The ledgers may be others from one moment to the next.
func TestTargetsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, targets := newNetwork(t, 6)
		f := newFleet(t, n, new(told), t.TempDir())
		follow(t, f, targets[:4], func(ctx context.Context) {
			time.Sleep(2 * interval)
			if err := f.Follow(ctx, targets[2:]); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * interval)
			synctest.Wait()
			if c := counted(f); c.Ledgers != 4 || c.OK != 4 || f.Rows()[0].URL != targets[2].URL {
				t.Errorf("%+v", f.Rows())
			}
			if err := f.Follow(ctx, []fleet.Target{targets[0], targets[0]}); err == nil || counted(f).Ledgers != 4 {
				t.Errorf("a ledger twice: %v, %+v", err, counted(f))
			}
		})
	})
}

// Once looks twice at who does not answer.
func TestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, targets := newNetwork(t, 8)
		n.silent["ledger-005:5082"] = true
		n.servers["ledger-002:5082"].Lie = func(int, *monitor.Page) int { return http.StatusBadGateway }
		f := newFleet(t, n, new(told), t.TempDir())
		if err := f.Once(t.Context(), targets); err != nil {
			t.Fatal(err)
		}
		if c := counted(f); c.OK != 6 || c.Silent != 2 {
			t.Errorf("%+v", f.Rows())
		}
		metrics := string(f.Metrics(nil))
		for _, line := range []string{
			`ledger_fleet_ledgers{state="silent"} 2`, `ledger_monitor_looks_total{url="https://ledger-005:5082"} 2`,
			`ledger_monitor_size{url="https://ledger-000:5082"} 60`, `ledger_monitor_failures_total{url="https://ledger-002:5082"} 2`,
		} {
			if !strings.Contains(metrics, line+"\n") {
				t.Errorf("%s is not in\n%s", line, metrics)
			}
		}
	})
}

// State that another key has signed, or that is damaged, is not taken up.
func TestStateIsChecked(t *testing.T) {
	n, targets := newNetwork(t, 2)
	dir := t.TempDir()
	f := newFleet(t, n, new(told), dir)
	if err := f.Once(t.Context(), targets[:1]); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	note, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	note[len(note)-10] ^= 1
	if err := errors.Join(os.WriteFile(files[0], note, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := newFleet(t, n, new(told), dir).Once(t.Context(), targets[:1]); err == nil || !strings.Contains(err.Error(), files[0]) {
		t.Errorf("a damaged state is taken: %v", err)
	}
}

// The golden list is what alerts and dashboards may ask for.
func TestMetricsAreListed(t *testing.T) {
	n, targets := newNetwork(t, 1)
	f := newFleet(t, n, new(told), t.TempDir())
	if err := f.Once(t.Context(), targets); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for line := range strings.Lines(string(f.Metrics(&fleet.Line{Time: time.Now(), Ledgers: 1}))) {
		if family, ok := strings.CutPrefix(line, "# TYPE "); ok {
			listed = append(listed, family)
		}
	}
	slices.Sort(listed)
	golden, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(listed, ""); got != string(golden) {
		t.Errorf("the metrics are\n%s", got)
	}
}
