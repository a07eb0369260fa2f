package ronledger_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
)

var anyBlock = regexp.MustCompile("(?s)(<!-- tested -->\n)?```sh\n(.*?)```")

// TestDocsRunbookCommands carries out the commands of the runbook in their order, on a machine's
// worth of folders: a home that the runbook itself starts, stops, backs up, loses and restores.
// The home is $RON_LEDGER_HOME, archives and copies are below the working folder. A command exits
// with 0, or with what the comment behind it says.
func TestDocsRunbookCommands(t *testing.T) {
	text := read(t, "docs/RUNBOOK.md")
	bin := sidecartest.Build(t)
	dir := sidecartest.ShortDir(t)
	environment := append(os.Environ(), "XDG_STATE_HOME=", "RON_LEDGER_HOME="+filepath.Join(dir, "home"), "RON_LEDGER_SOCKET=", "RON_LEDGER_TOKEN=",
		"RON_LEDGER_HTTPS=127.0.0.1:0", "TMPDIR="+dir, "PATH="+filepath.Dir(bin.CLI)+string(os.PathListSeparator)+os.Getenv("PATH"))
	blocks := anyBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) < 10 {
		t.Fatalf("docs/RUNBOOK.md has %d blocks of commands", len(blocks))
	}
	t.Cleanup(func() { stopRunbook(t, dir) })
	for _, block := range blocks {
		if block[1] == "" {
			if !strings.HasPrefix(block[2], "kubectl ") {
				t.Errorf("docs/RUNBOOK.md: a block is not marked <!-- tested -->, and is not of kubectl alone:\n%s", block[2])
			}
			continue
		}
		for line := range strings.Lines(block[2]) {
			line = strings.TrimRight(line, "\n")
			want := 0
			if m := exitComment.FindStringSubmatch(line); m != nil {
				want, _ = strconv.Atoi(m[1])
			}
			got, output := runLine(t, dir, environment, line)
			if got != want {
				t.Fatalf("docs/RUNBOOK.md: %q exits with %d, want %d\n%s", line, got, want, output)
			}
			t.Logf("%s\n%s", line, output)
		}
	}
}

// runLine runs one line of shell. Its output goes to a file, since a sidecar that it starts goes on.
func runLine(t *testing.T, dir string, environment []string, line string) (exit int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	file, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	command := exec.CommandContext(ctx, "bash", "-c", line)
	command.Dir, command.Env, command.Stdout, command.Stderr = dir, environment, file, file
	err = command.Run()
	text, readErr := os.ReadFile(file.Name())
	if readErr != nil || command.ProcessState == nil {
		t.Fatalf("%q: %v, %v", line, err, readErr)
	}
	return command.ProcessState.ExitCode(), string(text)
}

// stopRunbook ends what a failed run has left.
func stopRunbook(t *testing.T, dir string) {
	pid, err := os.ReadFile(filepath.Join(dir, "ledger.pid"))
	if err != nil {
		return
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(pid))); err == nil {
		if process, err := os.FindProcess(n); err == nil && process.Signal(os.Interrupt) == nil {
			t.Log("the runbook left a sidecar behind")
		}
	}
}

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
		if !strings.Contains(body, "<!-- tested -->\n```sh\n") {
			t.Errorf("docs/RUNBOOK.md: %s has no command that is tested", name)
		}
	}
	if len(named) > 0 {
		t.Errorf("docs/RUNBOOK.md has no section for %s", strings.Join(named, ", "))
	}
}
