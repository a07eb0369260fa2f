package mutations_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// mutated returns the file with the measure taken out, and false where the row does not fit any more.
func (m *mutation) mutated(t *testing.T) (string, bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		t.Errorf("%s: %v", m.name, err)
		return "", false
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		t.Errorf("%s: %s holds the text to take out %d times, not once: change the row with the measure:\n%s", m.name, m.file, n, m.old)
		return "", false
	}
	return strings.Replace(string(b), m.old, m.new, 1), true
}

// TestRowsFit: each row finds its text once, and changes something.
func TestRowsFit(t *testing.T) {
	seen, samples := map[string]bool{}, 0
	for i := range mutations {
		m := &mutations[i]
		if text, ok := m.mutated(t); ok && (text == "" || m.old == m.new) || seen[m.name] {
			t.Errorf("%s: changes nothing, or is there twice", m.name)
		}
		seen[m.name] = true
		if m.sample {
			samples++
		}
	}
	if samples == 0 {
		t.Error("no row is a sample for CI")
	}
}
