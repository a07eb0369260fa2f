package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// rejectsShown is how many rejected lines are shown where no file keeps them.
const rejectsShown = 10

// rejectsOutput takes the rejected entries: into a file, or the first few to
// stderr.
type rejectsOutput struct {
	file     *os.File
	buffered *bufio.Writer
	stderr   io.Writer
	count    int
}

func (a *app) openRejects(path string) (*rejectsOutput, error) {
	r := &rejectsOutput{stderr: a.stderr}
	if path == "" {
		return r, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write --rejects: %w", err)
	}
	r.file, r.buffered = f, bufio.NewWriter(f)
	return r, nil
}

// rejectionJSON is a line of --rejects.
type rejectionJSON struct {
	Line   int             `json:"line"`
	Reason string          `json:"reason"`
	Detail string          `json:"detail"`
	Entry  json.RawMessage `json:"entry"`
}

func (r *rejectsOutput) add(rejected rejection) error {
	r.count++
	if r.file != nil {
		fields := rejected.entry.Fields()
		entry := wire.AppendJSON(nil, &fields, wire.Recorded{})
		return printJSON(r.buffered, rejectionJSON{rejected.line, rejected.reason, rejected.detail, entry})
	}
	if r.count > rejectsShown {
		return nil
	}
	_, err := fmt.Fprintf(r.stderr, "line %d: %s\n", rejected.line, refusalWords(rejected.reason, rejected.detail))
	return err
}

// refusalWords is a reason with what the sidecar said about it, if it did.
func refusalWords(reason, detail string) string {
	if detail == "" {
		return reason
	}
	return reason + ": " + detail
}

func (r *rejectsOutput) close() error {
	if r.file == nil {
		if more := r.count - rejectsShown; more > 0 {
			fmt.Fprintf(r.stderr, "and %d more: --rejects FILE keeps them all\n", more)
		}
		return nil
	}
	return errors.Join(r.buffered.Flush(), r.file.Close())
}

// printSummary says what became of a file.
func (a *app) printSummary(s *summary, took time.Duration) error {
	if a.json {
		return printJSON(a.stdout, s)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "accepted   %d\nduplicate  %d\nrejected   %d\n", s.Accepted, s.Duplicate, s.Rejected)
	for _, reason := range slices.Sorted(maps.Keys(s.reasons)) {
		fmt.Fprintf(&b, "  %-20s  %d\n", reason, s.reasons[reason])
	}
	fmt.Fprintf(&b, "last seq   %d\nsize       %d\nroot       %s\n", s.LastSeq, s.Size, s.Root)
	if _, err := io.WriteString(a.stdout, b.String()); err != nil {
		return err
	}
	entries := s.Accepted + s.Duplicate + s.Rejected
	if a.terminal(a.stderr) {
		fmt.Fprintf(a.stderr, "%d entries in %.1f s, %.0f/s\n", entries, took.Seconds(), float64(entries)/took.Seconds())
	}
	return nil
}
