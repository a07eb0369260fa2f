package ronledger_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ciStages returns the commands of the stages of .ci/run.
func ciStages(t *testing.T) map[string]string {
	t.Helper()
	stages := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^stage (\S+) +'[^']*' +(.+)$`).FindAllStringSubmatch(read(t, ".ci/run"), -1) {
		stages[m[1]] = m[2]
	}
	if len(stages) < 10 {
		t.Fatalf("%d stages were found in .ci/run", len(stages))
	}
	// sizes is a function there, and what it runs is not in the line.
	if m := regexp.MustCompile(`(?s)\nsizes\(\) \{(.*?)\n\}`).FindStringSubmatch(read(t, ".ci/run")); m != nil {
		stages["build"] += m[1]
	}
	return stages
}

// stagesOf returns the stages of CI that run a test which is in a file.
func stagesOf(t *testing.T, name, file string) []string {
	t.Helper()
	switch {
	case strings.HasPrefix(file, "k8s/check/") && strings.HasPrefix(name, "TestMonitoring"):
		return []string{"monitoring"}
	case strings.HasPrefix(file, "k8s/check/"):
		return []string{"k8s-check"}
	case regexp.MustCompile(`(?m)^//go:build .*\b(clients|fleet|oracle|mutations|invariants)\b`).MatchString(read(t, file)):
		return nil // behind a tag
	case path.Dir(file) == "." && strings.HasPrefix(name, "TestDocs"):
		return []string{"docs", "test"}
	}
	return []string{"test"}
}

var (
	checkName   = regexp.MustCompile(`\b(Test[A-Z]\w*)(?:/(\w+))?`)
	checkRecipe = regexp.MustCompile("`just ([a-z][a-z0-9-]*)")
)

// TestDocsReleaseChecks finds every test and recipe that docs/RELEASE-CHECKS.md names, and holds each line of its first table
// to stages of CI that run what it names.
func TestDocsReleaseChecks(t *testing.T) {
	text := read(t, "docs/RELEASE-CHECKS.md")
	held, cluster, ok := strings.Cut(text, "\n## What wants a real cluster\n")
	if !ok {
		t.Fatal("docs/RELEASE-CHECKS.md has no section about what wants a real cluster")
	}
	known, stages, lines := testsByName(t), ciStages(t), 0
	for row := range strings.Lines(held) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), " | ")
		switch {
		case !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| line ") || strings.HasSuffix(row, "** | | |\n"):
			continue
		case len(cells) != 3:
			t.Errorf("docs/RELEASE-CHECKS.md: %d cells, want 3: %s", len(cells), row)
			continue
		}
		lines++
		line, what, named := strings.TrimSpace(cells[0]), cells[1], strings.Split(strings.TrimSpace(cells[2]), ", ")
		var runs []string
		run := func(what string, in []string) {
			if !slices.ContainsFunc(in, func(stage string) bool { return slices.Contains(named, stage) }) {
				t.Errorf("docs/RELEASE-CHECKS.md, %q: %s runs in the stages %q, the line names %q", line, what, in, named)
			}
			runs = append(runs, in...)
		}
		for _, m := range checkName.FindAllStringSubmatch(what, -1) {
			var in []string
			for _, file := range known[m[1]] {
				in = append(in, stagesOf(t, m[1], file)...)
			}
			if m[2] != "" {
				if _, err := os.Stat("tools/ledgerctl/testdata/script/" + m[2] + ".txtar"); err != nil {
					t.Errorf("docs/RELEASE-CHECKS.md, %q: there is no script %s: %v", line, m[2], err)
				}
			}
			run(m[1], in)
		}
		for _, m := range checkRecipe.FindAllStringSubmatch(what, -1) {
			var in []string
			for stage, command := range stages {
				if regexp.MustCompile(`\bjust ` + m[1] + `(\s|$)`).MatchString(command) {
					in = append(in, stage)
				}
			}
			run("just "+m[1], in)
		}
		for _, stage := range named {
			if stages[stage] == "" || !slices.Contains(runs, stage) {
				t.Errorf("docs/RELEASE-CHECKS.md, %q: the stage %q does not exist, or runs nothing of %s", line, stage, what)
			}
		}
	}
	if lines < 30 {
		t.Errorf("docs/RELEASE-CHECKS.md: %d lines say what they are held by", lines)
	}
	for _, m := range checkName.FindAllStringSubmatch(cluster, -1) {
		if known[m[1]] == nil {
			t.Errorf("docs/RELEASE-CHECKS.md: %s stands in for something, and is no test", m[1])
		}
	}
}
