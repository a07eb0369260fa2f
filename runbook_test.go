package ronledger_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocsRunbookAlerts holds every alert to a section that says what it means, what to look at and what
// to do, with a command that is tested.
func TestDocsRunbookAlerts(t *testing.T) {
	_, sections, _ := strings.Cut(read(t, "docs/RUNBOOK.md"), "## Alerts that page")
	var named []string
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)`).FindAllStringSubmatch(read(t, "k8s/monitoring/alerts.yaml"), -1) {
		named = append(named, m[1])
	}
	if len(named) < 20 {
		t.Fatalf("%d alerts", len(named))
	}
	for section := range strings.SplitSeq(sections, "\n### ") {
		name, body, _ := strings.Cut(section, "\n")
		if !slices.Contains(named, name) {
			continue
		}
		named = slices.DeleteFunc(named, func(n string) bool { return n == name })
		for _, part := range []string{"**Means.**", "**Look.**", "**Do.**"} {
			if !strings.Contains(body, part) {
				t.Errorf("docs/RUNBOOK.md: %s has no %s", name, part)
			}
		}
		if !strings.Contains(body, "```sh\n") {
			t.Errorf("docs/RUNBOOK.md: %s has no command that is tested", name)
		}
	}
	if len(named) > 0 {
		t.Errorf("docs/RUNBOOK.md has no section for %s", strings.Join(named, ", "))
	}
}
