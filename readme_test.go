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
	testedBlock = regexp.MustCompile("(?s)<!-- tested -->\n```sh\n(.*?)```")
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

// TestDocsReadmeCommands carries out the commands of the README that are marked as
// tested, in their order, on a sidecar of its own. A command exits with 0, or with
// what the comment behind it says.
func TestDocsReadmeCommands(t *testing.T) {
	blocks := testedBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md: no block is marked <!-- tested -->")
	}
	bin := sidecartest.Build(t)
	state := sidecartest.ShortDir(t)
	process := sidecartest.StartProcess(t, bin, filepath.Join(state, "ron-ledger"))
	environment := append(os.Environ(), "XDG_STATE_HOME="+state, "RON_LEDGER_HOME=", "RON_LEDGER_SOCKET=", "RON_LEDGER_TOKEN=",
		"PATH="+filepath.Dir(bin.CLI)+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimRight(line, "\n")
			want := 0
			if m := exitComment.FindStringSubmatch(line); m != nil {
				want, _ = strconv.Atoi(m[1])
			}
			command := exec.Command("bash", "-c", line)
			command.Env = environment
			output, err := command.CombinedOutput()
			if got := command.ProcessState.ExitCode(); got != want {
				t.Errorf("README.md: %q exits with %d, want %d (%v)\n%s", line, got, want, err, output)
			}
			t.Logf("%s\n%s", line, output)
		}
	}
	if exit := process.Stop(); exit != 0 {
		t.Errorf("ron-ledgerd exits with %d after SIGTERM\n%s", exit, process.Output())
	}
}
