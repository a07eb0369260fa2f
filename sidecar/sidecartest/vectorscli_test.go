package sidecartest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// throughCLI replays the vector through ledgerctl, as far as a person can say it
// there: entries of bad bytes have no JSON.
func (v *vector) throughCLI(t *testing.T, f *fixture, p *Process, hash string) {
	if len(v.Request.Hex) > 0 {
		return
	}
	if v.books() {
		v.prepare(t, f.dialFree(t, p))
	}
	cli := &vectorCLI{t, f, p, t.TempDir()}
	switch {
	case v.Unreadable != nil:
		_, stderr, exit := cli.append(&v.Request, "")
		want := fmt.Sprintf(":1:%d: member %q: %s", v.Unreadable.Column, v.Unreadable.Member, v.Unreadable.Detail)
		if exit != 1 || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, it says %q, want …%s", exit, stderr, want)
		}
	case v.OtherConnections > 0:
		if _, stderr, exit := cli.append(&v.Request, ""); exit != 1 || !strings.Contains(stderr, v.Error.Reason) {
			t.Errorf("exit %d, it says %q", exit, stderr)
		}
	case v.Crowd > 0:
		cli.crowd(v)
	case v.Request.DryRun:
		cli.single(v, true)
	default:
		cli.single(v, false)
		cli.whole(v, hash)
		cli.balances(v)
	}
}

// vectorCLI runs ledgerctl.
type vectorCLI struct {
	t   *testing.T
	f   *fixture
	p   *Process
	dir string
}

func (c *vectorCLI) run(args ...string) (stdout, stderr string, exit int) {
	c.t.Helper()
	return RunCLI(c.t, c.p.bin, c.p.Home, append(args, "--json", "--token-file", c.f.Token)...)
}

// append sends a request as a file.
func (c *vectorCLI) append(r *vectorRequest, rejects string) (stdout, stderr string, exit int) {
	c.t.Helper()
	path := filepath.Join(c.dir, "entries.jsonl")
	if err := os.WriteFile(path, append(bytes.Join(r.lines(), []byte("\n")), '\n'), 0o600); err != nil {
		c.t.Fatal(err)
	}
	args := []string{"append", path, "--judge-again"}
	if r.Atomic {
		args = append(args, "--atomic")
	}
	if r.IdemID != "" {
		args = append(args, "--idem-id", r.IdemID)
	}
	if rejects != "" {
		args = append(args, "--rejects", rejects)
	}
	return c.run(args...)
}

// cliSummary is what append --json prints.
type cliSummary struct {
	Summary
	Size uint64 `json:"size"`
}

// whole sends the request and holds the summary and the rejected lines against
// the answer.
func (c *vectorCLI) whole(v *vector, hash string) {
	c.t.Helper()
	rejects := filepath.Join(c.dir, "rejects.jsonl")
	stdout, stderr, exit := c.append(&v.Request, rejects)
	want := cliSummary{Size: v.Answer.Size, Summary: Summary{Accepted: v.Answer.Accepted, LastSeq: v.Answer.Last, Root: v.Answer.Root[hash]}}
	var rejected []vectorResult
	for _, r := range v.Answer.Results {
		if r.Outcome == "duplicate" {
			want.Duplicate++
			want.LastSeq = max(want.LastSeq, r.Seq)
		} else {
			rejected = append(rejected, r)
		}
	}
	want.Rejected = len(v.Request.Entries) - want.Accepted - want.Duplicate
	var got cliSummary
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got != want || exit != exitFor(want.Rejected > 0) {
		c.t.Errorf("append: exit %d, %+v, want %+v\n%s", exit, got, want, stderr)
	}
	c.checkRejects(rejects, want.Rejected, rejected)
}

func exitFor(rejected bool) int {
	if rejected {
		return 3
	}
	return 0
}

// checkRejects holds the rejected lines against the results; the other lines of an
// atomic file point at one of those.
func (c *vectorCLI) checkRejects(path string, count int, rejected []vectorResult) {
	c.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if count != len(lines) && count+len(text) > 0 {
		c.t.Errorf("%d lines are rejected, want %d:\n%s", len(lines), count, text)
	}
	for _, want := range rejected {
		start := fmt.Sprintf(`{"line":%d,"reason":%q,"detail":%q,`, want.Index+1, want.Reason, want.Detail)
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, start) }) {
			c.t.Errorf("no line starts with %s:\n%s", start, text)
		}
	}
}

// single asks with the command for a single entry what would become of it.
func (c *vectorCLI) single(v *vector, whole bool) {
	c.t.Helper()
	args, ok := v.Request.command(c.t)
	if !ok {
		if whole {
			c.t.Error("no command can say this")
		}
		return
	}
	stdout, stderr, exit := c.run(append(args, "--dry-run")...)
	var got struct {
		Outcome, Nonce, Reason, Detail string
		Seq                            uint64
		DryRun                         bool `json:"dry_run"`
		Entry                          json.RawMessage
		Balances                       []vectorBalance
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		c.t.Fatalf("%v: exit %d: %v\n%s%s", args, exit, err, stdout, stderr)
	}
	want := vectorResult{Outcome: "accepted"}
	if len(v.Answer.Results) > 0 {
		want = v.Answer.Results[0]
	}
	if got.Outcome != want.Outcome || got.Reason != want.Reason || got.Detail != want.Detail || got.Seq != want.Seq || !got.DryRun ||
		exit != exitFor(want.Outcome == "rejected") {
		c.t.Errorf("%v: exit %d, it says %s, want %+v", args, exit, stdout, want)
	}
	if v.Request.Balances && !slices.Equal(got.Balances, v.Answer.Balances) {
		c.t.Errorf("%v: it would leave %v, want %v", args, got.Balances, v.Answer.Balances)
	}
}

// command says a request of one entry as a command.
func (r *vectorRequest) command(t *testing.T) (args []string, ok bool) {
	t.Helper()
	commands := map[wire.Kind]string{
		wire.KindTransfer: "transfer", wire.KindMint: "mint", wire.KindBurn: "burn", wire.KindHold: "hold",
		wire.KindCapture: "capture", wire.KindRelease: "release", wire.KindReverse: "reverse",
	}
	if len(r.Entries) != 1 || r.Atomic {
		return nil, false
	}
	var f wire.Fields
	if err := wire.ParseJSONEntry(r.Entries[0], &f, wire.JSONDefaults{}); err != nil {
		t.Fatal(err)
	}
	if commands[f.Kind] == "" {
		return nil, false
	}
	args = []string{commands[f.Kind], f.Account}
	if f.Kind.HasCounterparty() {
		args = append(args, f.Counterparty)
	}
	if f.Kind.HasRef() {
		args = append(args, f.Ref.String())
	}
	if f.Kind != wire.KindReverse {
		args = append(args, f.Amount.String())
		args = append(args, "--asset", f.Asset.String())
	}
	return append(args, "--nonce", f.Nonce.String(), "--memo", string(f.Memo)), true
}

// balances holds the listing against the balances of the answer.
func (c *vectorCLI) balances(v *vector) {
	c.t.Helper()
	if len(v.Answer.Balances) == 0 {
		return
	}
	stdout, stderr, exit := c.run("balances")
	if exit != 0 {
		c.t.Fatalf("balances: exit %d: %s", exit, stderr)
	}
	for _, want := range v.Answer.Balances {
		line, err := json.Marshal(want)
		if err != nil {
			c.t.Fatal(err)
		}
		if !slices.Contains(strings.Split(stdout, "\n"), string(line)) {
			c.t.Errorf("balances does not list %s:\n%s", line, stdout)
		}
	}
}

// crowd sends a file in several requests at once: ledgerctl sends again what was
// refused, and all of it is booked once.
func (c *vectorCLI) crowd(v *vector) {
	c.t.Helper()
	const requests = 30 // fewer than the crowd: ledgerctl waits before it tries again
	var lines []json.RawMessage
	for range requests {
		for _, e := range v.afresh(c.t).All() {
			fields := e.Fields()
			lines = append(lines, wire.AppendJSON(nil, &fields, wire.Recorded{}))
		}
	}
	stdout, stderr, exit := c.appendInSmallRequests(lines)
	var got cliSummary
	size := uint64(len(v.Before) + len(lines))
	// What overtook a refused request was booked by a try that does not count: a duplicate.
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || exit != 0 || got.Accepted+got.Duplicate != len(lines) || got.Size != size {
		c.t.Errorf("append: exit %d, %+v\n%s", exit, got, stderr)
	}
}

func (c *vectorCLI) appendInSmallRequests(lines []json.RawMessage) (stdout, stderr string, exit int) {
	path := filepath.Join(c.dir, "crowd.jsonl")
	var file bytes.Buffer
	for _, line := range lines {
		file.Write(append(line, '\n'))
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return c.run("append", path, "--judge-again", "--batch", "3", "--inflight", "4", "--retry", "30s")
}
