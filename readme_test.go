package ronledger_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
)

var (
	testedBlock = regexp.MustCompile("(?s)<!-- tested(?:: exits with (\\d+))? -->\n```sh\n(.*?)```\n(?:\n```text\n(.*?)```)?")
	exitComment = regexp.MustCompile(`\s+# exits with (\d+)$`)
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := sidecartest.RemoveBuilt(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// tour is a running sidecar, found by the commands of a document as a reader's would be: below HOME.
type tour struct {
	process     *sidecartest.Process
	environment []string
}

func startTour(t *testing.T) *tour {
	t.Helper()
	bin := sidecartest.Build(t)
	home := sidecartest.ShortDir(t)
	state := filepath.Join(home, ".local", "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	return &tour{
		process: sidecartest.StartProcess(t, bin, filepath.Join(state, "ron-ledger")),
		environment: append(os.Environ(), "HOME="+home, "XDG_STATE_HOME=", "RON_LEDGER_HOME=", "RON_LEDGER_SOCKET=", "RON_LEDGER_TOKEN=",
			"PATH="+filepath.Dir(bin.CLI)+string(os.PathListSeparator)+os.Getenv("PATH")),
	}
}

// run carries out a text of the shell and returns what it printed and its exit status.
func (c *tour) run(text, dir string) (string, int) {
	command := exec.Command("bash", "-euo", "pipefail", "-c", text)
	command.Env, command.Dir = c.environment, dir
	output, _ := command.CombinedOutput() // the status says how it ended
	return string(output), command.ProcessState.ExitCode()
}

func (c *tour) end(t *testing.T) {
	t.Helper()
	if exit := c.process.Stop(); exit != 0 {
		t.Errorf("ron-ledgerd exits with %d after SIGTERM\n%s", exit, c.process.Output())
	}
}

func testedBlocks(t *testing.T, file string) [][]string {
	t.Helper()
	blocks := testedBlock.FindAllStringSubmatch(read(t, file), -1)
	if len(blocks) == 0 {
		t.Fatalf("%s: no block is marked <!-- tested -->", file)
	}
	return blocks
}

// TestDocsReadmeCommands carries out the commands of the README that are marked as
// tested, in their order, on a sidecar of its own. A command exits with 0, or with
// what the comment behind it says.
func TestDocsReadmeCommands(t *testing.T) {
	c := startTour(t)
	for _, block := range testedBlocks(t, "README.md") {
		for line := range strings.Lines(block[2]) {
			line = strings.TrimRight(line, "\n")
			want := 0
			if m := exitComment.FindStringSubmatch(line); m != nil {
				want, _ = strconv.Atoi(m[1])
			}
			output, got := c.run(line, "")
			if got != want {
				t.Errorf("README.md: %q exits with %d, want %d\n%s", line, got, want, output)
			}
			t.Logf("%s\n%s", line, output)
		}
	}
	c.end(t)
}

// TestDocsBlocks carries out the blocks of the tutorial and of the screens, and compares what
// they print with what stands below them, where … stands for anything.
func TestDocsBlocks(t *testing.T) {
	for _, file := range []string{"docs/TUTORIAL.md", "docs/SCREENS.md"} {
		c, dir := startTour(t), t.TempDir()
		for _, block := range testedBlocks(t, file) {
			want, _ := strconv.Atoi(block[1])
			output, got := c.run(block[2], dir)
			if got != want {
				t.Fatalf("%s: the block exits with %d, want %d\n%s%s", file, got, want, block[2], output)
			}
			pattern := strings.ReplaceAll(regexp.QuoteMeta(block[3]), "…", `.*?`)
			if !regexp.MustCompile(`(?s)^` + pattern + `$`).MatchString(output) {
				t.Errorf("%s: the block\n%sprints\n%swhere there stands\n%s", file, block[2], output, block[3])
			}
		}
		c.end(t)
	}
}
