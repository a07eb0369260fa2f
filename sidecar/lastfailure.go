package sidecar

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// failureFile says in a home when a run on it has last ended with ExitUnknownState, and why. The figures of a process that
// ends so are gone before anybody has read them: the next one tells of it.
const failureFile = "failure"

// failureWithin bounds the writing of it: the disk may be what has failed.
const failureWithin = time.Second

// keepFailure writes the file of a macronode. Where it cannot, the log has said it, and a start will hardly succeed.
func (h *home) keepFailure(now time.Time, why string) {
	if h == nil || !h.durable {
		return
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		next := h.path(failureFile + ".next") // whole, or that before: nobody may have the time to write it again
		if os.WriteFile(next, fmt.Appendf(nil, "%d %s\n", now.Unix(), why), 0o600) == nil {
			_ = os.Rename(next, h.path(failureFile))
		}
	}()
	select {
	case <-written:
	case <-time.After(failureWithin):
	}
}

// Failure is when a run on a home has last ended with ExitUnknownState, and why.
type Failure struct {
	TimeMs int64  `json:"time_ms"`
	Why    string `json:"why"`
}

// lastFailure returns what is in the file; nil where there is none, or none that can be read.
func (h *home) lastFailure() *Failure {
	text, err := os.ReadFile(h.path(failureFile))
	if err != nil {
		return nil
	}
	when, why, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	unix, err := strconv.ParseInt(when, 10, 64)
	if err != nil {
		return nil
	}
	return &Failure{TimeMs: unix * 1000, Why: why}
}

// unix is the time in Unix seconds; 0 of none.
func (f *Failure) unix() int64 {
	if f == nil {
		return 0
	}
	return f.TimeMs / 1000
}
