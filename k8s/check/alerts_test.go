package check

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write prometheusrule.yaml anew")

const monitoring = "../monitoring/"

func alerts(t *testing.T) (file ruleFile, all []rule) {
	t.Helper()
	if err := decode([]byte(read(t, monitoring+"alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alerts")
	}
	return file, all
}

// Each alert leads to a section of the runbook that says what it means, what to look at and what to do; and there is no
// such section without an alert.
func TestAlertsAreInTheRunbook(t *testing.T) {
	_, all := alerts(t)
	runbook := read(t, "../../docs/RUNBOOK.md")
	sections := map[string]string{}
	for _, part := range strings.Split(runbook, "\n### ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[title] = text
	}
	for _, r := range all {
		text, ok := sections[r.Alert]
		if !ok {
			t.Errorf("docs/RUNBOOK.md has no section %s", r.Alert)
			continue
		}
		for _, word := range []string{"**Means.**", "**Look.**", "**Do.**"} {
			if !strings.Contains(text, word) {
				t.Errorf("docs/RUNBOOK.md, %s: there is no %s", r.Alert, word)
			}
		}
		if want := "docs/RUNBOOK.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s leads to %s, want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if severity := r.Labels["severity"]; severity != "page" && severity != "warning" {
			t.Errorf("%s has the severity %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what it is about", r.Alert)
		}
		delete(sections, r.Alert)
	}
	for title := range sections {
		if strings.HasPrefix(title, "Ledger") {
			t.Errorf("docs/RUNBOOK.md has a section %s, which is no alert", title)
		}
	}
}

// The thresholds are those of the service levels.
func TestAlertThresholds(t *testing.T) {
	_, all := alerts(t)
	for name, want := range map[string]struct{ expr, wait, severity string }{
		"LedgerCommitSlow":     {"> 0.08", "5m", "warning"},
		"LedgerCommitVerySlow": {"> 0.15", "5m", "page"},
		"LedgerSafeMode":       {"ledger_safe_mode == 1", "", "page"},
		"LedgerSequenceGap":    {"increase(ledger_seq_gap_detected_total[5m]) > 0", "", "page"},
		"LedgerQueueFull":      {"> 0.8", "1m", "warning"},
		"LedgerBusy":           {"> 0.01", "5m", "warning"},
		"LedgerFailures":       {"> 0.001", "5m", "page"},
		"LedgerSyncSlow":       {"> 0.003", "15m", "warning"},
		"LedgerStalls":         {"> 0.005", "5m", "warning"},
		"LedgerDescriptors":    {"> 0.3", "10m", "warning"},
		"LedgerDiskPressure":   {"disk_pressure == 1", "", "page"},
		"LedgerDiskFilling":    {"disk_free_bytes < 2 * disk_reserve_bytes", "15m", "warning"},
		"LedgerWriteFailed":    {"increase(wal_fsync_fail_total[5m]) > 0", "", "page"},

		"LedgerCertificateExpiring": {"cert_not_after_seconds - time() < 14 * 86400", "1h", "warning"},
		"LedgerCertificateEnding":   {"cert_not_after_seconds - time() < 2 * 86400", "", "page"},
	} {
		i := slices.IndexFunc(all, func(r rule) bool { return r.Alert == name })
		if i < 0 {
			t.Errorf("there is no %s", name)
		} else if r := all[i]; !strings.Contains(r.Expr, want.expr) || r.For != want.wait || r.Labels["severity"] != want.severity {
			t.Errorf("%s: %s for %q, %s; want %+v", name, r.Expr, r.For, r.Labels["severity"], want)
		}
	}
}

// The rule of the operator is the file of alerts.
func TestPrometheusRule(t *testing.T) {
	file, _ := alerts(t)
	spec, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	const header = "# alerts.yaml as Prometheus Operator wants it: go test ./k8s/check -run PrometheusRule -update writes it.\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: ron-ledger\nspec:\n"
	want := header + regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSpace(string(spec)), "  ") + "\n"
	if *update {
		if err := os.WriteFile(monitoring+"prometheusrule.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, monitoring+"prometheusrule.yaml"); got != want {
		t.Error("prometheusrule.yaml is not what alerts.yaml makes: run in k8s/check: go test -run PrometheusRule -update .")
	}
}

// metricNames are the names that the golden lists of the sidecar and of ledgerctl fleet know, with those of the series of
// histograms.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{"up": true, "ALERTS": true}
	for line := range strings.Lines(read(t, "../../sidecar/testdata/metrics.txt") + read(t, "../../tools/ledgerctl/fleet/testdata/metrics.txt")) {
		words := strings.Fields(line)
		known[words[0]] = true
		if words[1] == "histogram" || words[1] == "summary" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[words[0]+suffix] = true
			}
		}
	}
	return known
}

var metricWord = regexp.MustCompile(`\b[a-z]+(?:_[a-z0-9]+)+\b|\bup\b`)

// unknown returns the metrics that an expression names and the sidecar does not have.
func unknown(expr string, known map[string]bool) (names []string) {
	expr = regexp.MustCompile(`"[^"]*"|\$__rate_interval|(?:by|on|without|ignoring) \([^)]*\)`).ReplaceAllString(expr, "")
	for _, word := range metricWord.FindAllString(expr, -1) {
		function := slices.Contains([]string{"histogram_quantile", "predict_linear", "group_left", "count_values"}, word)
		if !function && !known[word] && !strings.HasPrefix(word, "go_") && !strings.HasPrefix(word, "process_") {
			names = append(names, word)
		}
	}
	return names
}

// Alerts and dashboard name no metric that the sidecar does not have.
func TestMetricsExist(t *testing.T) {
	known := metricNames(t)
	_, all := alerts(t)
	for _, r := range all {
		if names := unknown(r.Expr, known); len(names) > 0 {
			t.Errorf("%s asks for %v", r.Alert, names)
		}
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			if names := unknown(target.Expr, known); len(names) > 0 {
				t.Errorf("panel %q asks for %v", p.Title, names)
			}
		}
	}
	if got := unknown(`rate(ledger_entrys_total{job="a_b"}[$__rate_interval])`, known); len(got) != 1 {
		t.Errorf("a misspelt metric is not found: %v", got)
	}
}

// Each alert is let fire, and not fire, by promtool.
func TestMonitoringAlerts(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		command := exec.Command("promtool", args...)
		command.Dir = monitoring
		output, err := command.CombinedOutput()
		if err != nil || !bytes.Contains(output, []byte("SUCCESS")) {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	tests := read(t, monitoring+"alerts_test.yaml")
	_, all := alerts(t)
	for _, r := range all {
		for _, how := range []string{"fires", "is quiet"} {
			if !regexp.MustCompile(fmt.Sprintf(`(?m)^  - name: "%s %s`, r.Alert, how)).MatchString(tests) {
				t.Errorf("no test in which %s %s", r.Alert, how)
			}
		}
	}
}
