package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// panel is a panel of the dashboard, as far as it asks for something.
type panel struct {
	Title   string `json:"title"`
	Type    string `json:"type"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

func panels(t *testing.T) (all []panel) {
	t.Helper()
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, monitoring+"dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		switch {
		case p.Type == "row":
		case len(p.Targets) == 0:
			t.Errorf("panel %q asks for nothing", p.Title)
		default:
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard has no panels")
	}
	return all
}

// patience is how long something may take to come about on a busy machine.
const patience = time.Minute

// start runs a program until the test ends, and shows what it said when the test has failed.
func start(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	var output bytes.Buffer
	command.Env, command.Stdout, command.Stderr = append(os.Environ(), env...), &output, &output
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
		_ = command.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, &output)
		}
	})
}

// eventually tries until there is no error.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// prometheus is a running server.
type prometheus struct{ url string }

// freeAddress returns one that nobody has: Prometheus takes a port, not a listener. It lies below those that the system gives
// to who asks for any, so that nobody gets it before Prometheus has it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		listener, err := net.Listen("tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
}

// startPrometheus scrapes a sidecar over TLS, every second, and evaluates the alerts.
func startPrometheus(t *testing.T, target, ca string, features string) prometheus {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(monitoring + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: ron-ledger
    scheme: https
    tls_config: {ca_file: %q, server_name: localhost}
    static_configs: [{targets: [%q]}]
`, rules, ca, target)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	start(t, nil, "prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=warn", "--enable-feature="+features)
	return prometheus{"http://" + addr}
}

// get asks the API; what comes back is in data.
func (p prometheus) get(path string, query url.Values, data any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return err
	}
	if body.Status != "success" {
		return fmt.Errorf("%s: %s", body.Status, body.Error)
	}
	return json.Unmarshal(body.Data, data)
}

// query wants at least one sample.
func (p prometheus) query(expr string) error {
	var data struct{ Result []json.RawMessage }
	if err := p.get("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return err
	}
	if len(data.Result) == 0 {
		return fmt.Errorf("nothing for %s", expr)
	}
	return nil
}

// sidecarUnderLoad starts a durable sidecar and a load, and returns the address of its HTTPS port and the
// certificate to trust.
func sidecarUnderLoad(t *testing.T) (address, ca string) {
	t.Helper()
	dir := programs(t)
	home, err := os.MkdirTemp("", "rl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	home = filepath.Join(home, "home")
	start(t, nil, dir+"/ron-ledgerd", "--home", home, "--https", "127.0.0.1:0", "--log-level", "error")
	cli := func(args ...string) ([]byte, error) {
		return exec.Command(dir+"/ledgerctl", append([]string{"--home", home}, args...)...).Output()
	}
	eventually(t, "the sidecar is ready", func() error { _, err := cli("health", "--ready"); return err })
	var status struct {
		HTTPS string `json:"https"`
	}
	text, err := cli("status", "--json")
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil {
		t.Fatalf("read the status: %v", err)
	}
	if _, err := cli("transfer", "nobody", "demo/alice", "1"); err == nil { // is refused, and counted
		t.Error("a transfer of money that is not there was booked")
	}
	// The load lasts until the test ends it, however long the queries take.
	start(t, nil, dir+"/ledgerctl", "--home", home, "bench", "--rate", "200", "--connections", "4", "--readers", "2", "--duration", "15m", "--warmup", "100ms")
	return status.HTTPS, filepath.Join(home, "tls.crt")
}

// Every query of the dashboard has an answer from a real Prometheus that scrapes a real sidecar under load, every rule can be
// evaluated, exemplars and native histograms arrive.
func TestMonitoringDashboard(t *testing.T) {
	target, ca := sidecarUnderLoad(t)
	classic := startPrometheus(t, target, ca, "exemplar-storage")
	native := startPrometheus(t, target, ca, "native-histograms")
	asked := 0
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "10s", "$job", ".*", "$instance", ".*").Replace(target.Expr)
			eventually(t, p.Title, func() error { return classic.query(expr) })
			asked++
		}
	}
	t.Logf("%d queries of the dashboard answered", asked)
	eventually(t, "native histograms", func() error {
		return native.query(`histogram_quantile(0.99, rate(ledger_commit_latency_seconds[10s])) > 0`)
	})
	eventually(t, "exemplars", func() error {
		var series []struct {
			Exemplars []struct{ Labels map[string]string }
		}
		now := time.Now()
		query := url.Values{"query": {"ledger_commit_latency_seconds_bucket"}, "start": {now.Add(-time.Hour).Format(time.RFC3339)}, "end": {now.Add(time.Hour).Format(time.RFC3339)}}
		if err := classic.get("/api/v1/query_exemplars", query, &series); err != nil {
			return err
		}
		if len(series) == 0 || series[0].Exemplars[0].Labels["request"] == "" || series[0].Exemplars[0].Labels["connection"] == "" {
			return fmt.Errorf("exemplars: %v", series)
		}
		return nil
	})
	eventually(t, "alerts", func() error { return rulesAreHealthy(t, classic) })
}

// rulesAreHealthy wants every rule evaluated without an error.
func rulesAreHealthy(t *testing.T, p prometheus) error {
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError, State string }
		}
	}
	if err := p.get("/api/v1/rules", nil, &rules); err != nil {
		return err
	}
	_, all := alerts(t)
	n := 0
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if n++; r.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if n != len(all) {
		return fmt.Errorf("%d rules of %d", n, len(all))
	}
	return nil
}
