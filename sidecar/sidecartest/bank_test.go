package sidecartest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestBankJournal sends the bank journal through the programs: what is accepted,
// what is rejected and every balance is known.
func TestBankJournal(t *testing.T) {
	bin, journal, home := Build(t), BankJournal(t), ShortDir(t)
	p := StartProcess(t, bin, home)
	rejects := filepath.Join(t.TempDir(), "rejects.jsonl")
	first, exit := p.Append("--rejects", rejects, journal)
	if exit != 3 || first.Accepted != BankAccepted || first.Duplicate != 0 || first.Rejected != BankRejected || first.LastSeq != BankAccepted {
		t.Fatalf("append: exit %d, %+v", exit, first)
	}
	checkRejects(t, rejects)
	listing, _ := p.CLI("balances")
	CheckBankBalances(t, listing)

	again, exit := p.Append(journal)
	if exit != 3 || again.Duplicate != BankAccepted || again.Accepted != 0 || again.LastSeq != first.LastSeq || again.Root != first.Root {
		t.Fatalf("append again: exit %d, %+v, want the root %s", exit, again, first.Root)
	}
	p.Kill()
	p = StartProcess(t, bin, home)
	again, _ = p.Append(journal)
	if again.Duplicate != BankAccepted || again.Root != first.Root {
		t.Fatalf("append after SIGKILL: %+v, want the root %s", again, first.Root)
	}
	if exit := p.Stop(); exit != 0 {
		t.Fatalf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckHome(t, home)
}

// checkRejects holds the lines and reasons of --rejects against the known ones.
func checkRejects(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var lines []int
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var rejected struct {
			Line   int
			Reason string
		}
		if err := json.Unmarshal(scanner.Bytes(), &rejected); err != nil {
			t.Fatal(err)
		}
		if rejected.Reason != "insufficient_funds" {
			t.Errorf("line %d: reason %s", rejected.Line, rejected.Reason)
		}
		lines = append(lines, rejected.Line)
	}
	if want := BankRejectedLines(t); !slices.Equal(lines, want) {
		t.Fatalf("rejected lines %v, want %v", lines, want)
	}
}

// TestRootDependsOnRecordsAlone appends the journal in several ways to ledgers
// that share log id, keys and token: the root comes out the same.
func TestRootDependsOnRecordsAlone(t *testing.T) {
	bin, journal := Build(t), BankJournal(t)
	keys := ShortDir(t)
	id := "RON_LEDGER_ACCUMULATOR_LOG_ID=00112233445566778899aabbccddeeff"
	origin := StartProcessEnv(t, bin, keys, []string{id})
	want, _ := origin.Append(journal)
	origin.Stop()
	keyring, token := filepath.Join(keys, "keyring"), filepath.Join(keys, "token")
	for _, way := range []struct {
		name   string
		daemon []string
		env    []string
		append []string
	}{
		{"small batches", nil, nil, []string{"--batch", "7"}},
		{"one request at a time", nil, nil, []string{"--inflight", "1", "--batch", "1000"}},
		{"five connections", nil, nil, []string{"--connections", "5"}},
		{"frequent checkpoints, small commits", nil,
			[]string{"RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=300", "RON_LEDGER_COMMIT_BATCH_MAX_ENTRIES=16"}, nil},
		{"micronode", []string{"--profile", "micronode"}, nil, nil},
	} {
		t.Run(way.name, func(t *testing.T) {
			home := ShortDir(t)
			env := append(way.env, id, "RON_LEDGER_KEYS_KEYRING="+keyring)
			p := StartProcessEnv(t, bin, home, env, way.daemon...)
			got, exit := p.Append(append(way.append, "--token-file", token, journal)...)
			if exit != 3 || got.Accepted != BankAccepted || got.Root != want.Root {
				t.Errorf("exit %d, %+v, want the root %s", exit, got, want.Root)
			}
			if exit := p.Stop(); exit != 0 {
				t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
			}
		})
	}
}

// TestMicronodeLeavesNothing holds a micronode to its word: while it works and
// after, there is nothing on disk but the socket and its lock, and the process has
// no other file open for writing.
func TestMicronodeLeavesNothing(t *testing.T) {
	bin, journal, home := Build(t), BankJournal(t), ShortDir(t)
	p := StartProcess(t, bin, home, "--profile", "micronode")
	summary, exit := p.Append(journal)
	if exit != 3 || summary.Accepted != BankAccepted {
		t.Fatalf("append: exit %d, %+v", exit, summary)
	}
	listing, _ := p.CLI("balances")
	CheckBankBalances(t, listing)
	if got, want := entriesOf(t, home), []string{"ledger.sock", "ledger.sock.lock"}; !slices.Equal(got, want) {
		t.Errorf("the home holds %v, want %v", got, want)
	}
	for _, file := range writable(t, p.PID()) {
		if strings.HasPrefix(file, "/") && !strings.HasPrefix(file, "/dev/") && file != filepath.Join(home, "ledger.sock.lock") {
			t.Errorf("the process has %s open for writing", file)
		}
	}
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	if left := entriesOf(t, home); len(left) > 0 {
		t.Errorf("the stop left %v", left)
	}
}

func entriesOf(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// writable returns what the process has open for writing, from /proc.
func writable(t *testing.T, pid int) (paths []string) {
	t.Helper()
	const accessMode = 0o3
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	for _, fd := range entriesOf(t, filepath.Join(proc, "fd")) {
		info, err := os.ReadFile(filepath.Join(proc, "fdinfo", fd))
		if err != nil {
			continue // closed since
		}
		for line := range strings.Lines(string(info)) {
			text, ok := strings.CutPrefix(line, "flags:")
			if !ok {
				continue
			}
			flags, err := strconv.ParseUint(strings.TrimSpace(text), 8, 64)
			if err != nil {
				t.Fatal(err)
			}
			target, err := os.Readlink(filepath.Join(proc, "fd", fd))
			if int(flags)&accessMode != os.O_RDONLY && err == nil {
				paths = append(paths, target)
			}
		}
	}
	if len(paths) == 0 {
		t.Fatalf("no open file of process %d could be read", pid)
	}
	return paths
}
