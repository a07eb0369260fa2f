package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A probe of a sidecar that takes connections and says nothing ends by itself.
func TestHealthOfTheSilent(t *testing.T) {
	dir, err := os.MkdirTemp("", "rl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	for _, question := range []string{"--startup", "--live", "--ready"} {
		var stdout, stderr bytes.Buffer
		a := &app{stdin: new(bytes.Buffer), stdout: &stdout, stderr: &stderr, env: func(string) string { return "" }}
		began := time.Now()
		exit := a.run(t.Context(), []string{"health", question, "--timeout", "100ms", "--socket", socket})
		if took := time.Since(began); exit != exitFailure || took < 100*time.Millisecond || took > 10*time.Second {
			t.Errorf("%s: exit status %d after %v, %s%s", question, exit, took, &stdout, &stderr)
		}
	}
}
