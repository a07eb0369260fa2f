package sidecartest

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestStartIsOneLine starts the real program twice: each start has one line "ready" with all that matters of it, and the
// second one, behind a kill, says what it has replayed.
func TestStartIsOneLine(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	for _, size := range []float64{0, 1} {
		p := StartProcess(t, bin, home)
		var ready []map[string]any
		waitUntil(t, "the line of the start", func() bool {
			ready = nil
			for line := range strings.Lines(p.Output()) {
				var fields map[string]any
				if json.Unmarshal([]byte(line), &fields) == nil && fields["message"] == "ready" {
					ready = append(ready, fields)
				}
			}
			return len(ready) > 0
		})
		if len(ready) != 1 {
			t.Fatalf("%d lines say that it is ready:\n%s", len(ready), p.Output())
		}
		for _, name := range []string{
			"time", "level", "profile", "home", "socket", "https", "name", "log_id", "epoch", "hash", "size", "root", "replayed", "verify_key",
			"cert_not_after", "pid", "version", "go", "took",
		} {
			if value, ok := ready[0][name]; !ok || value == "" {
				t.Errorf("the line has no %s: %v", name, ready[0])
			}
		}
		if ready[0]["home"] != home || ready[0]["size"] != size || ready[0]["replayed"] != size {
			t.Errorf("the line says home %v, size %v, replayed %v, want %s, %v, %[5]v", ready[0]["home"], ready[0]["size"], ready[0]["replayed"], home, size)
		}
		if _, exit := p.CLI("mint", "bank", "1"); exit != 0 {
			t.Errorf("mint: exit status %d", exit)
		}
		p.Kill()
	}
}
