// The rules of the repository that are about all of it: who imports whom, what a
// package comment says, what no file holds. docs_test.go has those of the documents.
package ronledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rustyonions/ron-ledger"

// imports says which packages of this module each of them may import; all marks
// those that may import any. It is the table of docs/DESIGN.md, "Packages".
var imports = map[string][]string{
	"peercred":                      {},
	"peercred/capability":           {},
	"wire":                          {},
	"wire/client":                   {"wire", "committer/merkle"},
	"wire/client/clienttest":        {"sidecar", "wire", "wire/client"},
	"wire/client/writers":           {"wire", "wire/client", "committer/merkle"},
	"committer/merkle":              {},
	"committer/merkle/lanesgen":     {},
	"store":                         {},
	"committer":                     {"wire", "store", "committer/merkle"},
	"committer/audit":               {"wire", "store", "committer/merkle"},
	"archive/bucket":                {"store"},
	"archive/bucket/fakes3":         {},
	"archive/bucket/fakes3/serves3": {"archive/bucket/fakes3"},
	"archive":                       {"store", "committer/merkle"},
	"stream":                        {"store", "wire"},
	"configs":                       {},
	"sidecar":                       {"peercred", "peercred/capability", "wire", "committer", "committer/audit", "committer/merkle", "store", "archive", "archive/bucket", "stream", "configs"},
	"sidecar/ron-ledgerd":           {"sidecar"},
	"sidecar/sidecartest":           {all},
	"testing/performance/perf":      {"wire/client", "wire"},
	"testing/scale":                 {"sidecar", "wire/client", "wire"},
	"tools/ledgerctl":               {"wire/client", "wire", "peercred/capability", "committer/merkle", "sidecar", "tools/ledgerctl/bench", "tools/ledgerctl/chaos", "tools/ledgerctl/fleet", "tools/ledgerctl/intake", "tools/ledgerctl/monitor", "tools/ledgerctl/scrape", "tools/ledgerctl/screen", "tools/ledgerctl/spawn"},
	"tools/ledgerctl/bench":         {"wire/client", "wire", "peercred/capability", "committer/merkle", "sidecar", "tools/ledgerctl/scrape", "tools/ledgerctl/spawn"},
	"tools/ledgerctl/chaos":         {"wire/client", "wire/client/writers", "wire", "sidecar", "tools/ledgerctl/scrape", "tools/ledgerctl/spawn"},
	"tools/ledgerctl/fleet":         {"committer/merkle", "tools/ledgerctl/monitor"},
	"tools/ledgerctl/intake":        {"wire"},
	"tools/ledgerctl/liar":          {"committer/merkle", "tools/ledgerctl/monitor"},
	"tools/ledgerctl/monitor":       {"committer/merkle"},
	"tools/ledgerctl/scrape":        {},
	"tools/ledgerctl/screen":        {},
	"tools/ledgerctl/spawn":         {"wire/client", "sidecar"},
	"k8s/example":                   {"wire/client", "wire"},
}

const all = "*"

// confined says which packages alone may import a module, or what lies below it.
var confined = []struct {
	module string
	to     []string
	why    string
}{
	{"github.com/cockroachdb/pebble", []string{"store"}, "the store is the one place that knows Pebble"},
	{"github.com/nats-io", []string{"stream"}, "package stream is the one place that knows NATS"},
	{"github.com/aws", []string{"archive/bucket"}, "the bucket is the one place that knows an object store's client"},
	{"golang.org/x/sys/unix", []string{"peercred", "store"}, "system calls are made by peercred, and by store for free disk space"},
}

// clockless are the packages whose results depend on nothing but their arguments.
var clockless = []string{"committer", "committer/merkle", "wire"}

// clock are the functions of package time that read a clock or wait for one.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

const linesMax = 450

// pkg is what go list says about one package.
type pkg struct {
	Dir, ImportPath                    string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

// name is the path below the module; empty for the root.
func (p *pkg) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-pgo=off", "-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...").Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("go list ./...: %v\n%s", err, exit.Stderr)
	} else if err != nil {
		t.Fatalf("go list ./...: %v", err)
	}
	var list []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		list = append(list, p)
	}
}

// rowOf returns the row of imports for a package: its own, or that of
// sidecar/sidecartest for what lies below it.
func rowOf(name string) (allowed []string, known bool) {
	if strings.HasPrefix(name, "sidecar/sidecartest/") {
		name = "sidecar/sidecartest"
	}
	allowed, known = imports[name]
	return allowed, known
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := p.name()
		if len(p.GoFiles) == 0 {
			continue // the root holds tests alone
		}
		seen[name] = true
		allowed, known := rowOf(name)
		if !known {
			t.Errorf("package %s is not in the table: add its row to imports in repo_test.go and to docs/DESIGN.md, or put the code where it belongs", name)
			continue
		}
		checked := p.Imports
		if len(allowed) == 0 { // what stands alone is also tested alone
			checked = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		}
		for _, imported := range checked {
			other, ours := strings.CutPrefix(imported, module+"/")
			if ours && other != name && !slices.Contains(allowed, all) && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s: it may import %s; move the code, or hand over what is needed as a value or a function", name, other, orNone(allowed))
			}
		}
	}
	for name := range imports {
		if !seen[name] {
			t.Errorf("the table names package %s, which does not exist: take its row out", name)
		}
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none of ours, in its tests as well"
	}
	return strings.Join(list, ", ")
}

func TestConfinedModules(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for _, c := range confined {
				if strings.HasPrefix(imported+"/", c.module+"/") && !slices.Contains(c.to, p.name()) {
					t.Errorf("%s imports %s: only %s may; %s", p.name(), imported, strings.Join(c.to, " and "), c.why)
				}
			}
		}
	}
}

// TestPackageComments asks that a package comment begins with the package's place
// in the flow: what it takes, and what it hands on.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		comment := packageComment(t, &p)
		if comment == "" {
			t.Errorf("%s has no package comment: write doc.go, the specification of the package", p.name())
			continue
		}
		if strings.HasPrefix(p.name(), "sidecar/sidecartest") {
			continue // no station of the flow: it looks at all of them
		}
		paragraphs := strings.SplitN(comment, "\n\n", 3)
		opening := strings.Join(strings.Fields(strings.Join(paragraphs[:min(2, len(paragraphs))], " ")), " ")
		for _, word := range []string{" takes ", " hand"} {
			if !strings.Contains(opening, word) {
				t.Errorf("the comment of %s does not open with its station (%q is missing): say in the first two paragraphs what it takes from whom and what it hands to whom", p.name(), strings.TrimSpace(word))
			}
		}
	}
}

func packageComment(t *testing.T, p *pkg) string {
	t.Helper()
	for _, file := range p.GoFiles {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Doc != nil {
			return parsed.Doc.Text()
		}
	}
	return ""
}

// source is one Go file of the repository, those that no build includes as well.
type source struct {
	path   string // from the root, with /
	text   []byte
	parsed *ast.File
	files  *token.FileSet
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

// package name below the module.
func (s *source) folder() string { return path.Dir(s.path) }

func (s *source) line(pos token.Pos) int { return s.files.Position(pos).Line }

// files calls visit with every file of the repository, but those of the folders that
// git ignores.
func files(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", "bin", "out"}, file) {
			return filepath.SkipDir
		}
		if entry.Type().IsRegular() {
			visit(filepath.ToSlash(file))
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk the repository: %v", err)
	}
}

func sources(t *testing.T) (list []*source) {
	t.Helper()
	files(t, func(file string) {
		if path.Ext(file) != ".go" {
			return
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := &source{path: file, text: text, files: token.NewFileSet()}
		if s.parsed, err = parser.ParseFile(s.files, file, text, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	})
	if len(list) == 0 {
		t.Fatal("no Go file was found")
	}
	return list
}

var (
	vague = regexp.MustCompile(`(^|/|_)(utils?|common|helpers?|misc)(_test)?\.go$|(^|/)(utils?|common|helpers?|misc)/`)
	later = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
)

func TestFiles(t *testing.T) {
	for _, s := range sources(t) {
		if vague.MatchString(s.path) {
			t.Errorf("%s: name a file and a package after the one mechanism that it holds", s.path)
		}
		if lines := bytes.Count(s.text, []byte("\n")); !s.test() && lines > linesMax {
			t.Errorf("%s: %d lines, at most %d: give its second mechanism a file of its own", s.path, lines, linesMax)
		}
		if formatted, err := format.Source(s.text); err != nil {
			t.Errorf("%s: %v", s.path, err)
		} else if !bytes.Equal(formatted, s.text) {
			t.Errorf("%s: not formatted: run gofmt -w %s", s.path, s.path)
		}
		for _, group := range s.parsed.Comments {
			if word := later.FindString(group.Text()); word != "" {
				t.Errorf("%s:%d: %s in a comment: do it, or file an issue", s.path, s.line(group.Pos()), word)
			}
		}
	}
}

// TestCalls looks for calls that are not made here: of a clock where results must
// not depend on one, and of what makes a test pass without having tested.
func TestCalls(t *testing.T) {
	for _, s := range sources(t) {
		noClock := !s.test() && slices.Contains(clockless, s.folder())
		ast.Inspect(s.parsed, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			called := from.Name + "." + selector.Sel.Name
			switch {
			case noClock && from.Name == "time" && slices.Contains(clock, selector.Sel.Name):
				t.Errorf("%s:%d: %s: package %s reads no clock: have the caller hand over the time", s.path, s.line(n.Pos()), called, s.folder())
			case s.test() && slices.Contains([]string{"t", "b", "f", "tb", "testing"}, from.Name) &&
				slices.Contains([]string{"Skip", "Skipf", "SkipNow", "Short"}, selector.Sel.Name):
				t.Errorf("%s:%d: %s: a test that can be skipped is one that nobody runs: make it run everywhere", s.path, s.line(n.Pos()), called)
			}
			return true
		})
	}
}
