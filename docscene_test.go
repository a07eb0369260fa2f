package ronledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
)

// scene is what the commands of a document find: a folder that is HOME and the working folder.
type scene struct {
	checkout bool              // the folder is a checkout of the repository
	sidecar  bool              // one is running; where a block of the document serves, that one is
	config   string            // its configuration; $DIR is the folder
	files    map[string]string // further files
	before   string            // commands that the document leaves to its reader
}

// scenes are of the documents that have commands. $DIR stands for the folder.
var scenes = map[string]*scene{
	"README.md":        {checkout: true, sidecar: true},
	"docs/TUTORIAL.md": {checkout: true, sidecar: true},
	"docs/SCREENS.md":  {sidecar: true},
	"docs/RUNBOOK.md":  {}, // it starts its own
	"docs/BACKUP.md": {
		sidecar: true, config: "[archive]\ndir = \"$DIR/archive\"\ninterval = \"1s\"\n",
		before: "ledgerctl mint bank 1000\nuntil ledgerctl status | grep -q '^archive *at 1,'; do sleep 0.1; done",
	},
	"docs/PROOFS.md": {sidecar: true, files: map[string]string{
		"entries.jsonl": `{"kind":"Mint","account":"bank","amount":"1000"}` + "\n" + `{"kind":"Transfer","account":"bank","counterparty":"a","amount":"1"}` + "\n",
	}},
	"docs/CLIENTS.md": {checkout: true, sidecar: true, before: "ledgerctl mint acct/a 1000\nledgerctl mint acct/a 1000 --asset EUR"},
}

// stage is a scene that was set.
type stage struct {
	t           *testing.T
	dir, home   string
	environment []string
	process     *sidecartest.Process // nil: a block of the document serves
	serving     *exec.Cmd            // that block, once it was met
	served      bytes.Buffer         // what it printed; read when it has ended
	standIns    *strings.Replacer    // what documents write for what is elsewhere here
}

// set builds a scene.
func (s *scene) set(t *testing.T, blocks []*block) *stage {
	t.Helper()
	bin := sidecartest.Build(t)
	dir := sidecartest.ShortDir(t)
	st := &stage{t: t, dir: dir, home: filepath.Join(dir, ".local", "state", "ron-ledger"), standIns: strings.NewReplacer("$DIR", dir)}
	st.environment = append(os.Environ(), "HOME="+dir, "TMPDIR="+filepath.Join(dir, "tmp"), "XDG_STATE_HOME=", "RON_LEDGER_HOME="+st.home, "RON_LEDGER_SOCKET=", "RON_LEDGER_TOKEN=",
		"RON_LEDGER_HTTPS=127.0.0.1:0", "PATH="+strings.Join([]string{filepath.Join(dir, "bin"), filepath.Dir(bin.CLI), os.Getenv("PATH")}, ":"))
	if err := errors.Join(os.MkdirAll(filepath.Dir(st.home), 0o700), os.Mkdir(filepath.Join(dir, "tmp"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if s.checkout {
		st.checkOut()
	}
	for name, text := range s.files {
		st.write(name, text)
	}
	for _, b := range blocks {
		if name, ok := strings.CutPrefix(b.info, "text "); ok {
			st.write(name, b.text)
		}
	}
	if s.sidecar && !serves(blocks) {
		var args []string
		if s.config != "" {
			st.write("ledger.toml", st.standIns.Replace(s.config))
			args = []string{"--config", filepath.Join(dir, "ledger.toml")}
		}
		st.process = sidecartest.StartProcess(t, bin, st.home, args...)
		st.meet()
	}
	if exit, output := st.run(script(s.before)); exit != 0 {
		t.Fatalf("%s\n%s", s.before, output)
	}
	t.Cleanup(st.strike)
	return st
}

// serves reports whether one of the blocks starts the sidecar, and will be carried out.
func serves(blocks []*block) bool {
	return slices.ContainsFunc(played(blocks), func(b *block) bool { return b.treatment() == serve })
}

// checkOut copies the repository, and lets the go command find its caches.
func (st *stage) checkOut() {
	files(st.t, func(file string) {
		if file == ".git" { // of a worktree, and it would be another's
			return
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.MkdirAll(filepath.Join(st.dir, filepath.Dir(file)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(st.dir, file), text, 0o700)
		}
		if err != nil {
			st.t.Fatal(err)
		}
	})
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	if err != nil {
		st.t.Fatalf("go env: %v", err)
	}
	var folders map[string]string
	if err := json.Unmarshal(out, &folders); err != nil {
		st.t.Fatal(err)
	}
	for name, folder := range folders {
		st.environment = append(st.environment, name+"="+folder)
	}
}

func (st *stage) write(name, text string) {
	if err := os.WriteFile(filepath.Join(st.dir, name), []byte(text), 0o600); err != nil {
		st.t.Fatal(err)
	}
}

// meet finds out where the sidecar is that documents have at the default address.
func (st *stage) meet() {
	exit, text := st.run("ledgerctl status --json")
	var status struct {
		HTTPS string `json:"https"`
	}
	if err := json.Unmarshal([]byte(text), &status); exit != 0 || err != nil || status.HTTPS == "" {
		st.t.Fatalf("ledgerctl status: %d, %v\n%s", exit, err, text)
	}
	st.standIns = strings.NewReplacer("127.0.0.1:5082", status.HTTPS, "/mnt/archive", filepath.Join(st.dir, "archive"))
}

var exitComment = regexp.MustCompile(`^(.*?) +# exits with (\d+)(?:, or with (\d+)\b.*)?$`)

// script has the shell stop at the first line that does not exit with 0, or with what the comment behind it says.
func script(text string) string {
	var lines strings.Builder
	lines.WriteString("set -euo pipefail\n")
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := exitComment.FindStringSubmatch(line); m != nil {
			line = "status=0; { " + m[1] + "\n} || status=$?; case $status in " + m[2] + "|" + m[2+min(len(m[3]), 1)] + ") ;; *) echo \"exits with $status\"; exit 99;; esac"
		}
		lines.WriteString(line + "\n")
	}
	return lines.String()
}

// commandTimeout is how long one block may take, compilers included.
const commandTimeout = 4 * time.Minute

// run carries out a text of the shell. Its output goes to a file, since a sidecar that it starts goes on.
func (st *stage) run(text string) (exit int, output string) {
	ctx, cancel := context.WithTimeout(st.t.Context(), commandTimeout)
	defer cancel()
	file, err := os.CreateTemp(st.dir, ".output")
	if err != nil {
		st.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	shell := exec.CommandContext(ctx, "bash", "-c", text)
	shell.Dir, shell.Env, shell.Stdout, shell.Stderr = st.dir, st.environment, file, file
	err = shell.Run()
	printed, readErr := os.ReadFile(file.Name())
	if readErr != nil || shell.ProcessState == nil {
		st.t.Fatalf("%v, %v\n%s", err, readErr, text)
	}
	return shell.ProcessState.ExitCode(), string(printed)
}

// serve starts a block that runs until the document ends, and waits until its sidecar answers.
func (st *stage) serve(b *block) {
	st.serving = exec.Command("bash", "-c", "set -e\n"+b.text)
	st.serving.Dir, st.serving.Env, st.serving.Stdout, st.serving.Stderr = st.dir, st.environment, &st.served, &st.served
	st.serving.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the interrupt at the end is for all of it, as that of a terminal is
	if err := st.serving.Start(); err != nil {
		st.t.Fatal(err)
	}
	for deadline := time.Now().Add(commandTimeout); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("unix", filepath.Join(st.home, "ledger.sock"))
		if err == nil {
			_ = conn.Close()
			st.meet()
			return
		}
		if time.Now().After(deadline) {
			st.t.Fatalf("%v: no sidecar answers: %v", b, err)
		}
	}
}

// play carries out one block and holds its output against what stands below it, where … stands for anything.
func (st *stage) play(b *block) {
	st.t.Helper()
	exit, output := st.run(script(st.standIns.Replace(b.text)))
	if exit != 0 {
		st.t.Fatalf("%v: the block exits with %d\n%s%s", b, exit, b.text, output)
	}
	st.t.Logf("%v\n%s%s", b, b.text, output)
	if b.output == nil {
		return
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(b.output.text), "…", `.*?`)
	if !regexp.MustCompile(`(?s)^` + pattern + `$`).MatchString(output) {
		st.t.Errorf("%v: the block\n%sprints\n%swhere there stands\n%s", b, b.text, output, b.output.text)
	}
}

// strike ends what serves, which has to end well, and after a failure what a document has left behind.
func (st *stage) strike() {
	if st.process != nil {
		if exit := st.process.Stop(); exit != 0 {
			st.t.Errorf("ron-ledgerd exits with %d after SIGTERM\n%s", exit, st.process.Output())
		}
	}
	if st.serving != nil {
		if err := syscall.Kill(-st.serving.Process.Pid, syscall.SIGINT); err != nil {
			st.t.Errorf("end the block that serves: %v", err)
		}
		_ = st.serving.Wait() // go run has a status of its own after an interrupt
		if !strings.Contains(st.served.String(), `"message":"stopped"`) {
			st.t.Errorf("the sidecar was not stopped in order\n%s", st.served.String())
		}
	}
	st.endLeft()
}

// endLeft ends the sidecar that a document leaves running. It may have ended, and its number belong to another process.
func (st *stage) endLeft() {
	text, err := os.ReadFile(filepath.Join(st.dir, "ledger.pid"))
	if err != nil {
		return // it began none
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		st.t.Error(err)
		return
	}
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && at == st.dir {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			st.t.Errorf("end what the document left running: %v", err)
		}
	}
}

// played returns the blocks that are carried out here.
func played(blocks []*block) (list []*block) {
	for _, b := range blocks {
		if kind, how := kinds[b.info], b.treatment(); kind == "program" && leisure || kind == "run" && (how == carryOut || how != never && leisure) {
			list = append(list, b)
		}
	}
	return list
}

// TestDocsBlocks carries out the examples of each document, in their order.
func TestDocsBlocks(t *testing.T) {
	for _, d := range documents(t) {
		blocks := blocksOf(t, &d)
		list := played(blocks)
		if len(list) == 0 {
			continue
		}
		t.Run(filepath.Base(d.path), func(t *testing.T) {
			st := scenes[d.path].set(t, blocks)
			for _, b := range list {
				switch {
				case kinds[b.info] == "program":
					st.play(frameOf(b).around(st, b))
				case b.treatment() == serve:
					st.serve(b)
				default:
					st.play(b)
				}
			}
		})
	}
}
