package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
)

// documented is the row of a command in docs/JSON.md: its members, and which of them may be absent.
type documented struct {
	members  map[string]bool // true: optional
	anything bool            // more may follow
}

var (
	jsonRow    = regexp.MustCompile(`(?m)^\| ([^|]*) \| ([^|]*) \| ([^|]*) \|$`)
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	jsonRowOdd = "`…`"
)

func documentedJSON(t *testing.T) map[string]*documented {
	t.Helper()
	text, err := os.ReadFile("../../docs/JSON.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]*documented{}
	for _, m := range jsonRow.FindAllStringSubmatch(string(text), -1) {
		row := &documented{members: map[string]bool{}, anything: strings.Contains(m[3], jsonRowOdd)}
		for _, span := range codeSpan.FindAllStringSubmatch(m[3], -1) {
			if name, optional := strings.CutSuffix(span[1], "?"); name != "…" {
				row.members[name] = optional
			}
		}
		for _, span := range codeSpan.FindAllStringSubmatch(m[1], -1) {
			rows[span[1]] = row
		}
	}
	return rows
}

// membersOf adds the names of the members of a value, those inside behind a dot.
func membersOf(into map[string]bool, prefix string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			into[prefix+name] = true
			membersOf(into, prefix+name+".", inner)
		}
	case []any:
		for _, inner := range value {
			membersOf(into, prefix, inner)
		}
	}
}

// jsonScene is a ledger with some of everything, and what commands are told about it.
type jsonScene struct {
	t         *testing.T
	dir, home string
	sidecar   *sidecar.Sidecar
	seen      map[string]map[string]bool // members by command
	values    map[string]int             // how many values a command has printed
	always    map[string]map[string]int  // and in how many of them each member was
}

func newJSONScene(t *testing.T) *jsonScene {
	t.Helper()
	dir, err := os.MkdirTemp("", "rl") // a socket has to have a short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	j := &jsonScene{t: t, dir: dir, home: filepath.Join(dir, "home"), seen: map[string]map[string]bool{}, values: map[string]int{}, always: map[string]map[string]int{}}
	config := sidecar.Defaults(sidecar.Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level, config.Accumulator.Hash = j.home, "127.0.0.1:0", "error", "sha256"
	config.Archive.Dir, config.Archive.Interval = j.file("archive"), sidecar.Duration(1e9)
	if j.sidecar, err = sidecar.Start(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.stop)
	return j
}

func (j *jsonScene) stop() {
	if j.sidecar != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's own may have ended
		defer cancel()
		if err := j.sidecar.Close(ctx); err != nil {
			j.t.Error(err)
		}
		j.sidecar = nil
	}
}

func (j *jsonScene) file(name string) string { return filepath.Join(j.dir, name) }

// run carries out a command with --json, which ends with one of the statuses, and takes note of what it prints.
func (j *jsonScene) run(stdin string, statuses []int, command string, args ...string) []any {
	j.t.Helper()
	var out, errs strings.Builder
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, env: func(string) string { return "" }}
	words := append(strings.Fields(strings.TrimPrefix(command, "ledgerctl ")), args...)
	if !slices.Contains(args, "--home") {
		words = append(words, "--home", j.home)
	}
	status := a.run(j.t.Context(), append(words, "--json"))
	if !slices.Contains(statuses, status) {
		j.t.Fatalf("%s %v: status %d\n%s%s", command, args, status, out.String(), errs.String())
	}
	if len(args) > 1 && args[0] == "--format" || slices.Contains(args, "--checkpoint") {
		command += " " + strings.Join(args[:min(len(args), 2)], " ") // it has a row of its own
	}
	if j.seen[command] == nil {
		j.seen[command], j.always[command] = map[string]bool{}, map[string]int{}
	}
	var values []any
	for decoder := json.NewDecoder(strings.NewReader(out.String())); ; {
		var value any
		if err := decoder.Decode(&value); err == io.EOF {
			break
		} else if err != nil {
			j.t.Fatalf("%s %v prints what is no JSON: %v\n%s", command, args, err, out.String())
		}
		members := map[string]bool{}
		membersOf(members, "", value)
		for name := range members {
			j.seen[command][name] = true
			j.always[command][name]++
		}
		j.values[command]++
		values = append(values, value)
	}
	if len(values) == 0 {
		j.t.Errorf("%s %v prints nothing\n%s", command, args, errs.String())
	}
	return values
}

const jsonEntries = `{"kind":"Mint","account":"bank","amount":"1000","nonce":"00000000-0000-7000-8000-000000000001","memo":"x"}
{"kind":"Hold","account":"bank","amount":"100","nonce":"00000000-0000-7000-8000-000000000002"}
{"kind":"Capture","account":"bank","counterparty":"shop","amount":"60","ref":"00000000-0000-7000-8000-000000000002","nonce":"00000000-0000-7000-8000-000000000003"}
{"kind":"Transfer","account":"nobody","counterparty":"shop","amount":"60"}
`

// all runs every command that prints JSON.
func (j *jsonScene) all() {
	ok := []int{exitOK}
	j.run(jsonEntries, []int{exitRejected}, "ledgerctl append", "-")
	j.run("", ok, "ledgerctl mint", "bank", "5")
	j.run("", ok, "ledgerctl burn", "bank", "5")
	j.run("", ok, "ledgerctl transfer", "bank", "shop", "1")
	j.run("", ok, "ledgerctl transfer", "bank", "shop", "1", "--dry-run")
	j.run("", []int{exitRejected}, "ledgerctl transfer", "nobody", "shop", "1")
	j.run("", ok, "ledgerctl hold", "bank", "5", "--nonce", exampleRef)
	j.run("", ok, "ledgerctl capture", "bank", "shop", exampleRef, "2")
	j.run("", ok, "ledgerctl release", "bank", exampleRef, "1")
	j.run("", []int{exitRejected}, "ledgerctl reverse", "bank", exampleRef)
	j.run("", ok, "ledgerctl get", "1..")
	j.run("", ok, "ledgerctl tail")
	j.run("", ok, "ledgerctl balance", "bank")
	j.run("", ok, "ledgerctl balances")
	j.run("", ok, "ledgerctl accounts")
	j.run("", ok, "ledgerctl statement", "bank")
	j.run("", ok, "ledgerctl roots")
	j.run("", ok, "ledgerctl roots", "--checkpoint")
	status, _ := j.run("", ok, "ledgerctl status")[0].(map[string]any)
	j.run("", ok, "ledgerctl top", "--once", "--every", "100ms")
	j.run("roots\ncommit 1\nentry 2\naccount bank\nnobody\nhelp\n", ok, "ledgerctl explore")
	j.run("", ok, "ledgerctl plot", "balance", "bank")
	j.run("", ok, "ledgerctl plot", "throughput", "--every", "100ms", "--during", "200ms")
	for _, question := range []string{"--live", "--ready", "--startup"} {
		j.run("", ok, "ledgerctl health", question)
	}
	j.run("", []int{exitFailure}, "ledgerctl health", "--ready", "--home", j.file("nowhere"))
	key := filepath.Join(j.home, "node.vkey")
	j.run("", ok, "ledgerctl receipt", "2")
	j.run("", ok, "ledgerctl receipt", "2", "--out", j.file("2.receipt"))
	j.run("", ok, "ledgerctl verify-receipt", j.file("2.receipt"), "--key", key)
	j.run("", ok, "ledgerctl verify")
	j.run("", ok, "ledgerctl monitor", "--once", "--url", fmt.Sprintf("https://%v", status["https"]), "--ca", filepath.Join(j.home, "tls.crt"), "--key", key, "--state", j.file("state"))
	j.run("", ok, "ledgerctl monitor compare", j.file("state"), j.file("state"), "--key", key)
	j.fleet(ok, fmt.Sprintf("https://%v %v", status["https"], status["verify_key"]))
	j.run("", ok, "ledgerctl export")
	j.run("", ok, "ledgerctl export", "--format", "tlog-tiles", "--out", j.file("tiles"))
	j.run("", []int{exitOK, exitFailure}, "ledgerctl bench", "--duration", "100ms", "--warmup", "0s", "--connections", "2", "--accounts", "10", "--batch", "2")
	j.operate(ok)
	j.copies(ok, key)
}

// fleet runs what is about many ledgers, of which there is one here.
func (j *jsonScene) fleet(ok []int, target string) {
	if err := os.WriteFile(j.file("targets"), []byte(target+"\n"), 0o600); err != nil {
		j.t.Fatal(err)
	}
	ca := filepath.Join(j.home, "tls.crt")
	j.run("", ok, "ledgerctl fleet", "--once", "--targets", j.file("targets"), "--state", j.file("fleet"), "--ca", ca, "--publish", j.file("line"))
	j.run("", ok, "ledgerctl receipt", "1", "--out", j.file("1.receipt"))
	j.run("", ok, "ledgerctl fleet prove", j.file("1.receipt"), "--state", j.file("fleet"), "--out", j.file("1.proof"))
	j.run("", ok, "ledgerctl fleet prove", j.file("1.receipt"), "--state", j.file("fleet"))
	j.run("", ok, "ledgerctl fleet verify", j.file("1.proof"), "--key", j.file("fleet/fleet.vkey"))
}

// operate runs what operators do.
func (j *jsonScene) operate(ok []int) {
	file := j.file("other.toml")
	if err := os.WriteFile(file, []byte("[uds]\nidle_timeout = \"5m\"\n"), 0o600); err != nil {
		j.t.Fatal(err)
	}
	j.run("", ok, "ledgerctl config print", "--running")
	j.run("", ok, "ledgerctl config check", file)
	j.run("", []int{exitFailure}, "ledgerctl config diff", file)
	j.run("", []int{exitOK, exitFailure}, "ledgerctl config reload")
	j.run("", ok, "ledgerctl admin log-level")
	j.run("", ok, "ledgerctl metrics", "uds_", "rejected_total")
	j.run("", ok, "ledgerctl trace slow")
	minted, _ := j.run("", ok, "ledgerctl token mint", "--caveat", "op = read")[0].(map[string]any)
	j.run("", ok, "ledgerctl token mint", "--caveat", "op = read", "--out", j.file("read.token"))
	j.run("", ok, "ledgerctl token narrow", j.file("read.token"), "--uid", "1")
	j.run("", ok, "ledgerctl token narrow", j.file("read.token"), "--uid", "1", "--out", j.file("narrow.token"))
	j.run("", ok, "ledgerctl token inspect", j.file("read.token"))
	j.run("", ok, "ledgerctl token revoke", "--capability", fmt.Sprint(minted["capability"]))
	j.run("", ok, "ledgerctl token revoke", "--kid", "0011223344556677")
	added, _ := j.run("", ok, "ledgerctl key add")[0].(map[string]any)
	j.run("", ok, "ledgerctl key list")
	j.run("", ok, "ledgerctl key retire", fmt.Sprint(added["kid"]))
	j.run("", ok, "ledgerctl key remove", fmt.Sprint(added["kid"]))
	j.run("", ok, "ledgerctl version")
	j.run("", ok, "ledgerctl man", j.file("man"))
}

// copies runs what is about copies, and stops the sidecar for it.
func (j *jsonScene) copies(ok []int, key string) {
	j.run("", ok, "ledgerctl snapshot create", "--out", j.file("snapshot"))
	j.run("", ok, "ledgerctl snapshot create --to-archive")
	j.run("", ok, "ledgerctl snapshot verify", j.file("snapshot"), "--key", key)
	j.run("", ok, "ledgerctl snapshot restore", j.file("snapshot"), "--home", j.file("from-snapshot"))
	j.stop() // which archives the rest
	j.run("", ok, "ledgerctl archive verify", j.file("archive"), "--key", key)
	j.run("", ok, "ledgerctl restore", "--archive", j.file("archive"), "--home", j.file("from-archive"), "--key", key)
	j.run("", ok, "ledgerctl recover")
}

// row is what a command has printed, as docs/JSON.md writes it.
func (j *jsonScene) row(command string) string {
	var row strings.Builder
	for _, name := range slices.Sorted(maps.Keys(j.seen[command])) {
		if j.always[command][name] < j.values[command] {
			name += "?"
		}
		row.WriteString(" `" + name + "`")
	}
	return row.String()
}

// ranElsewhere are the commands that cannot be run in this process, with what runs them with --json.
var ranElsewhere = map[string]string{"ledgerctl chaos": "testdata/script/chaos.txtar"}

// TestJSONIsDocumented runs every command with --json, and holds the members of what it prints against docs/JSON.md, in
// both directions. Members may be added there; none may be taken away or renamed.
func TestJSONIsDocumented(t *testing.T) {
	rows := documentedJSON(t)
	j := newJSONScene(t)
	j.all()
	for _, c := range commandTree(t) {
		if ranElsewhere[c.CommandPath()] == "" && c.Runnable() && (!c.HasSubCommands() || c.Name() == "fleet" || c.Name() == "monitor") && ownForm[c.CommandPath()] == "" && j.seen[c.CommandPath()] == nil {
			t.Errorf("%s is not run here: does it print JSON? If its output has a form of its own, name it in ownForm", c.CommandPath())
		}
	}
	for command, members := range j.seen {
		row := rows[command]
		if row == nil {
			t.Errorf("docs/JSON.md has no row for %s: it prints%s", command, j.row(command))
			continue
		}
		for name := range members {
			if _, known := row.members[name]; !known && !row.anything {
				t.Errorf("docs/JSON.md: %s prints %q, which its row does not have", command, name)
			}
		}
		for name, optional := range row.members {
			if n := j.always[command][name]; n < j.values[command] && !optional {
				t.Errorf("docs/JSON.md: %s has %q in %d of %d values: mark it with ? if it may be absent", command, name, n, j.values[command])
			}
		}
	}
	for command := range rows {
		if j.seen[command] == nil && ranElsewhere[command] == "" {
			t.Errorf("docs/JSON.md has a row for %s, which prints no JSON", command)
		}
	}
}

// TestJSONOrNot holds the commands whose output has a form of its own to saying so.
func TestJSONOrNot(t *testing.T) {
	commands := map[string]*cobra.Command{}
	for _, c := range commandTree(t) {
		commands[c.CommandPath()] = c
	}
	for command := range ownForm {
		c := commands[command]
		if c == nil {
			t.Errorf("ownForm names %s, which does not exist", command)
			continue
		}
		a := &app{json: true}
		if err := a.checkOutput(c); err == nil || !strings.Contains(err.Error(), "prints no JSON") {
			t.Errorf("%s --json: %v", command, err)
		}
	}
}
