package sidecar

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestLastFailureIsTold has a run end with the state of the ledger unknown: the metrics of the next one say when.
func TestLastFailureIsTold(t *testing.T) {
	c := Defaults(Macronode)
	c.Home, c.HTTPS.Addr, c.Log.Level = t.TempDir(), "127.0.0.1:0", "error"
	if err := os.Chmod(c.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	told := func() string {
		t.Helper()
		s, err := Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := s.metrics.write(&text); err != nil {
			t.Error(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(text.String()) {
			if value, ok := strings.CutPrefix(line, "ledger_last_failure_timestamp_seconds "); ok {
				return strings.TrimSpace(value)
			}
		}
		return "nothing"
	}
	if got := told(); got != "0" {
		t.Errorf("before any failure it is %s", got)
	}
	h := &home{dir: c.Home, durable: true}
	h.keepFailure(time.Unix(1700000000, 0), "append to the log: input/output error")
	if got := told(); got != "1.7e+09" {
		t.Errorf("after a failure it is %s", got)
	}
	if f := h.lastFailure(); f == nil || *f != (Failure{1700000000000, "append to the log: input/output error"}) {
		t.Errorf("it is told as %+v", f)
	}
	if err := os.WriteFile(h.path(failureFile), []byte("no number"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := told(); got != "0" {
		t.Errorf("of a file that cannot be read it is %s", got)
	}
	h.keepFailure(time.Now(), "once")
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		for range 200 {
			h.keepFailure(time.Now(), "again and again")
		}
	}()
	for ended := false; !ended; {
		select {
		case <-writing:
			ended = true
		default:
		}
		if h.lastFailure() == nil {
			t.Fatal("a process that ended while it wrote the file would have left none")
		}
	}
	if err := os.Remove(h.path(failureFile)); err != nil {
		t.Fatal(err)
	}
	(&home{dir: c.Home}).keepFailure(time.Now(), "a micronode keeps nothing")
	(*home)(nil).keepFailure(time.Now(), "no home yet")
	if h.lastFailure() != nil {
		t.Error("a micronode has written it")
	}
}
