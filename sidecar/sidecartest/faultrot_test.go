package sidecartest

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
)

const (
	rotHome    = "RON_LEDGER_TEST_ROT_HOME"
	rotEntries = 400
)

// rotStory is short, so that every byte of its home can be damaged.
func rotStory(t *testing.T) *Story {
	t.Helper()
	profile := Profile{Accounts: 4, Assets: 2, CheckpointEntries: 50, BatchMaxEntries: 16, Pipeline: 2}
	profile.Hash = profiles[0].Hash
	s, err := NewStory(profile, Generate(profile, 11, rotEntries))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRotVictim is no test but the process that TestRot and others kill: it tells the story in
// the home that the environment names, says how far it came, and waits for its end.
func TestRotVictim(t *testing.T) {
	home := os.Getenv(rotHome)
	if home == "" {
		return
	}
	s := rotStory(t)
	l, err := s.begin(nil, home, &progress{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	if err := l.tell(len(s.steps)); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("acknowledged %d\n", l.at.acked.Load())
	select {}
}

// killedHome returns a copy, in memory, of the home of a committer that acknowledged the whole
// story and was then ended by SIGKILL, so that its log lies in the WAL.
func killedHome(t *testing.T, s *Story) (*store.FS, string) {
	t.Helper()
	dir := t.TempDir() + "/home"
	victim := exec.Command(os.Args[0], "-test.run", "^TestRotVictim$")
	victim.Env = append(os.Environ(), rotHome+"="+dir)
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	acked := uint64(0)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &acked); err == nil {
			break
		}
	}
	if err := victim.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = victim.Wait() // it was killed
	if acked != s.Size() {
		t.Fatalf("the victim acknowledged %d of %d", acked, s.Size())
	}
	fs, err := store.CopyHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fs, dir
}

// closedHome returns the home of a ledger that told the story and was closed.
func closedHome(t *testing.T, s *Story) (*store.FS, string) {
	t.Helper()
	fs := store.NewCrashFS()
	l, err := s.begin(fs, "/home", &progress{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	if err := l.tell(len(s.steps)); err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	return fs.CrashClone(100, 0), "/home"
}

// rot flips one bit of every stride-th byte of the files that match, and counts what was found.
// Every flip gets its own copy of the home.
func rot(t *testing.T, s *Story, home *store.FS, dir string, stride int, match func(string) bool) {
	t.Helper()
	files, err := home.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	table, examples := map[string]map[Found]int{}, map[string]string{}
	bytes, at := map[string]int{}, 0
	for _, path := range files {
		whole, err := home.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kind := fileKind(path)
		if !match(kind) {
			continue
		}
		bytes[kind] += len(whole)
		if table[kind] == nil {
			table[kind] = map[Found]int{}
		}
		for ; at < len(whole); at += stride {
			damaged := slices.Clone(whole)
			damaged[at] ^= 1 << (at % 8)
			found, why := inspect(t, s, home, dir, path, damaged, fmt.Sprintf("bit %d of byte %d", at%8, at))
			table[kind][found]++
			if why != nil {
				examples[kind+", "+string(found)] = why.Error()
			}
		}
		at -= len(whole)
	}
	t.Log("\n" + rotTable(table, bytes))
	for _, what := range slices.Sorted(maps.Keys(examples)) {
		t.Logf("%s: %s", what, examples[what])
	}
}

// inspect opens a copy of the home in which one file holds something else.
func inspect(t *testing.T, s *Story, home *store.FS, dir, path string, b []byte, what string) (Found, error) {
	t.Helper()
	fs := home.CrashClone(100, 0)
	if err := fs.WriteFile(path, b); err != nil {
		t.Fatal(err)
	}
	found, why := s.Inspect(fs, dir, s.Size())
	if found == FoundSilent {
		t.Errorf("%s of %s: %v", what, path, why)
	}
	if found == FoundRefused && strings.HasPrefix(fileKind(path), "state ") {
		if again, why := s.Inspect(fs, dir, s.Size()); again != FoundHarmless {
			t.Errorf("%s of %s: the second start did not make the state again: %s: %v", what, path, again, why)
		}
	}
	return found, why
}

var founds = []Found{FoundHarmless, FoundRefused, FoundSafeMode, FoundStopped, FoundAudit, FoundSilent}

func rotTable(table map[string]map[Found]int, sizes map[string]int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-18s %8s %8s", "file", "bytes", "flips")
	for _, found := range founds {
		fmt.Fprintf(&text, " %15s", found)
	}
	for _, kind := range slices.Sorted(maps.Keys(table)) {
		flips := 0
		for _, n := range table[kind] {
			flips += n
		}
		fmt.Fprintf(&text, "\n%-18s %8d %8d", kind, sizes[kind], flips)
		for _, found := range founds {
			fmt.Fprintf(&text, " %15d", table[kind][found])
		}
	}
	return text.String()
}

// TestRot flips one bit in every BITROT_STRIDE-th byte of every file of two small homes, one
// of a process that was killed and one that was closed: an error at the start, safe mode or the
// audit says so, or everything that was acknowledged is there and right.
func TestRot(t *testing.T) {
	stride := int(setting(t, "BITROT_STRIDE", 197))
	s := rotStory(t)
	for name, home := range map[string]func(*testing.T, *Story) (*store.FS, string){"killed": killedHome, "closed": closedHome} {
		t.Run(name, func(t *testing.T) {
			fs, dir := home(t, s)
			if found, err := s.Inspect(fs.CrashClone(100, 0), dir, s.Size()); found != FoundHarmless {
				t.Fatalf("undamaged: %s: %v", found, err)
			}
			rot(t, s, fs, dir, stride, func(string) bool { return true })
		})
	}
}

// TestRotOfTheLiveWAL flips bits in the WAL of a killed process, every BITROT_STRIDE-th byte,
// and cuts it short: all acknowledged commits are there, or the start refuses, or safe mode names
// what is missing. It fails when the head file is not written (in store.Append), or not held
// against the log (in committer.recover): Pebble opens cleanly over some of this damage.
func TestRotOfTheLiveWAL(t *testing.T) {
	stride := int(setting(t, "BITROT_STRIDE", 41))
	s := rotStory(t)
	home, dir := killedHome(t, s)
	rot(t, s, home, dir, stride, func(kind string) bool { return kind == "log WAL" })
	files, err := home.Files(dir + "/log")
	if err != nil {
		t.Fatal(err)
	}
	count := map[Found]int{}
	for _, path := range files {
		whole, err := home.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if fileKind(path) != "log WAL" {
			continue
		}
		used := len(bytes.TrimRight(whole, "\x00"))
		for size := 0; size < used; size += stride * 3 {
			found, _ := inspect(t, s, home, dir, path, whole[:size], fmt.Sprintf("cut to %d bytes", size))
			count[found]++
		}
	}
	t.Logf("cut short: %v", count)
	if count[FoundSafeMode] == 0 {
		t.Error("no cut led to safe mode: the test has tested nothing")
	}
}
