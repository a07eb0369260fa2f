package ronledger_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := sidecartest.RemoveBuilt(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// block is a fenced block of a document.
type block struct {
	file   string
	line   int
	info   string // what stands behind the fence
	text   string
	output *block // the block of plain text below a command, nil for none: what it prints
}

func (b *block) String() string { return fmt.Sprintf("%s:%d", b.file, b.line) }

// treatment is what is done with a block.
type treatment int

const (
	carryOut  treatment = iota // in a shell, in the order of the document, among the blocks before it
	serve                      // starts the sidecar that the blocks behind it use, and runs until they are done
	atLeisure                  // carried out by `just docs` alone: it compiles, or takes long, or wants what not everyone has
	never
)

// apart are the blocks of commands that are not just carried out. A row is of the blocks that begin so, in one
// document or in all.
var apart = []struct {
	file, begins string
	treatment    treatment
	why          string
}{
	{"", "kubectl ", never, "wants a cluster; TestOverlays renders and decodes what is applied"},
	{"docs/DEPLOY.md", "docker build", never, "wants a container engine and a cluster; TestDockerfile and TestPod do the same without"},
	{"docs/DEPLOY.md", "export AWS_ACCESS_KEY_ID", never, "wants an object store and a cluster; TestAdopt does the same without"},
	{"docs/DEPLOY.md", "export AWS_ACCESS_KEY_ID", never, "wants an object store and a cluster; TestAdopt and TestTakeOver do the same without"},
	{"README.md", "go test ./...", never, "is what runs this; TestDocsFirstScreen finds it in .ci/run"},
	{"README.md", "go run ./sidecar/ron-ledgerd", serve, "compiles; without, a program that is already built stands in"},
	{"docs/TUTORIAL.md", "CGO_ENABLED=0 go build", serve, "compiles; without, a program that is already built stands in"},
	{"README.md", "go run ./tools/ledgerctl demo", atLeisure, "compiles"},
	{"README.md", "ledgerctl roots --url", atLeisure, "wants curl"},
	{"README.md", "ledgerctl bench", atLeisure, "takes a quarter of a minute"},
}

// leisure is set by `just docs`.
var leisure = os.Getenv("DOCS") == "all"

func (b *block) treatment() treatment {
	for _, row := range apart {
		if (row.file == "" || row.file == b.file) && strings.HasPrefix(b.text, row.begins) {
			return row.treatment
		}
	}
	return carryOut
}

// kinds are the words behind a fence, with what is done: "run" and the like are examples, of "shown" nobody makes use as
// it stands.
var kinds = map[string]string{
	"sh": "run", "toml": "loaded", "json": "decoded", "go": "program", "python": "program", "js": "program", "text": "shown",
}

var command = regexp.MustCompile(`(?m)^(\$ |(sudo |env )?(ledgerctl|ron-ledgerd|go (run|build|test)|just|kubectl|docker|curl) )`)

// blocksOf returns the fenced blocks of a document. Plain text right below a command is its output. A block "text NAME"
// is a file of that name for the commands below.
func blocksOf(t *testing.T, d *document) (all []*block) {
	t.Helper()
	var open *block
	var text strings.Builder
	adjacent := false // nothing but blank lines since the last block
	number := 0
	for line := range strings.Lines(d.text) {
		number++
		trimmed := strings.TrimSpace(line)
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			open = &block{file: d.path, line: number, info: strings.TrimPrefix(trimmed, "```")}
			text.Reset()
		case open != nil && trimmed == "```":
			open.text = text.String()
			if last := len(all) - 1; open.info == "text" && adjacent && all[last].info == "sh" {
				all[last].output = open
			}
			all = append(all, open)
			open, adjacent = nil, true
		case open != nil:
			text.WriteString(line)
		case trimmed != "":
			adjacent = false
		}
	}
	if open != nil {
		t.Fatalf("%v: the block has no end", open)
	}
	return all
}

// TestDocsBlocksAreKnown holds every fenced block of every document to a treatment: what is an example is carried out,
// loaded, decoded or compiled, or has its reason in a table. It also finds commands that hide in blocks without one.
func TestDocsBlocksAreKnown(t *testing.T) {
	used := make([]bool, len(apart))
	for _, d := range documents(t) {
		for _, b := range blocksOf(t, &d) {
			kind, _, _ := strings.Cut(b.info, " ")
			what := kinds[kind]
			switch {
			case b.info == "" && command.MatchString(b.text), what == "shown" && b.output == nil && command.MatchString(b.text):
				t.Errorf("%v: there is a command in a block of plain text: write ```sh, and it is carried out", b)
			case b.info != "" && what == "":
				t.Errorf("%v: nothing is known of blocks of %q: give them a treatment in docblocks_test.go", b, b.info)
			case what == "run" && scenes[b.file] == nil && b.treatment() != never:
				t.Errorf("%v: no scene for the commands of this document: add one in docscene_test.go", b)
			case what == "program" && frameOf(b) == nil:
				t.Errorf("%v: no frame for the program: add one in docprogram_test.go", b)
			}
			for i, row := range apart {
				used[i] = used[i] || (row.file == "" || row.file == b.file) && strings.HasPrefix(b.text, row.begins)
			}
		}
		for line := range strings.Lines(d.prose) {
			if indented, ok := strings.CutPrefix(line, "    "); ok && (command.MatchString(indented) || tomlLine.MatchString(indented)) {
				t.Errorf("%s: an indented example is not carried out: fence it: %s", d.path, strings.TrimSpace(line))
			}
		}
	}
	for i, row := range apart {
		if !used[i] {
			t.Errorf("no block of %s begins with %q: take the row out", row.file, row.begins)
		}
	}
}
