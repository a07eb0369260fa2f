package sidecartest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSlowCommitIsTraced has every commit of the real program be too slow: the first is told with the file of its trace, which
// go tool trace reads; another within the minute is counted and writes none. Where the limit is long nothing is written.
func TestSlowCommitIsTraced(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	traces := func(home string) []string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(home, "traces", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	p := StartProcessEnv(t, bin, home, []string{"RON_LEDGER_TRACE_SLOW_COMMIT=1us"})
	book := func(p *Process, account string) {
		t.Helper()
		if _, exit := p.CLI("mint", account, "1"); exit != 0 {
			t.Fatalf("mint: exit status %d", exit)
		}
	}
	book(p, "a")
	waitUntil(t, "a slow commit in the log", func() bool { return strings.Contains(p.Output(), `"a commit was slow"`) })
	files := traces(home)
	if len(files) != 1 || !strings.Contains(p.Output(), `"trace":"`+files[0]+`"`) {
		t.Fatalf("the traces are %q, and the log says\n%s", files, p.Output())
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	events, err := exec.Command("go", "tool", "trace", "-d=parsed", files[0]).CombinedOutput()
	if err != nil || !strings.Contains(string(events), "StateTransition") {
		t.Errorf("go tool trace: %v\n%.2000s", err, events)
	}
	book(p, "b")
	waitUntil(t, "the second one to be counted, behind its answer", func() bool {
		text, _ := p.CLI("metrics", "ledger_slow_commits_total")
		return text == "ledger_slow_commits_total 2\n"
	})
	if len(traces(home)) != 1 {
		t.Errorf("after another one: %q", traces(home))
	}
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}

	quick := StartProcessEnv(t, bin, ShortDir(t), []string{"RON_LEDGER_TRACE_SLOW_COMMIT=1m"})
	book(quick, "a")
	if exit := quick.Stop(); exit != 0 || len(traces(quick.Home)) != 0 || strings.Contains(quick.Output(), "a commit was slow") {
		t.Errorf("exit status %d, %q\n%s", exit, traces(quick.Home), quick.Output())
	}
}
