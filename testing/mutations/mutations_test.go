//go:build mutations

package mutations_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// testMax bounds the test of one row, and with it one that hangs where its measure is gone.
const testMax = 3 * time.Minute

var nothingRan = regexp.MustCompile(`no tests to run|\[build failed\]|\[setup failed\]|matched no packages`)

// TestMutations takes out one measure after another: the samples alone, the rows whose name holds
// MUTATIONS, or, where that is "all", every one. The tree is not touched: the compiler is given another text for the file,
// also when a test builds the programs.
func TestMutations(t *testing.T) {
	which := os.Getenv("MUTATIONS")
	ran := 0
	for i := range mutations {
		m := &mutations[i]
		if which == "" && !m.sample || which != "" && which != "all" && !strings.Contains(m.name, which) {
			continue
		}
		ran++
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) { m.mustBeMissed(t) })
	}
	if ran == 0 {
		t.Fatalf("no row is named %q", which)
	}
	t.Logf("%d measures were taken out", ran)
}

// mustBeMissed runs the test on the changed source, and wants it to fail.
func (m *mutation) mustBeMissed(t *testing.T) {
	text, ok := m.mutated(t)
	if !ok {
		return
	}
	overlay := m.overlay(t, text)
	ctx, cancel := context.WithTimeout(t.Context(), 2*testMax) // with the build
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-count", "1", "-timeout", testMax.String(), "-run", m.test, m.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	exit := new(exec.ExitError)
	switch {
	case ctx.Err() != nil || err != nil && !errors.As(err, &exit):
		t.Errorf("go test %s -run %s: %v\n%s", m.pkg, m.test, err, last(out))
	case nothingRan.Match(out):
		t.Errorf("nothing was tested: the row or the test has to be mended\n%s", last(out))
	case err == nil:
		t.Errorf("%s with this measure taken out of %s: the measure is not held by it\n%s", m.test+" of "+m.pkg+" passes", m.file, last(out))
	default:
		t.Logf("missed after %.1f s by %s:\n%s", time.Since(began).Seconds(), m.test, firstFailure(out))
	}
}

// overlay makes the file that tells the compiler what to read instead.
func (m *mutation) overlay(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	file, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err := errors.Join(err, os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(overlay, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// last is the end of an output.
func last(out []byte) string { return string(out[max(0, len(out)-3000):]) }

// firstFailure is the line that says what was missed.
func firstFailure(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") || strings.Contains(line, "panic") {
			return line
		}
	}
	return last(out)
}
