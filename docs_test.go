package ronledger_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	recipeLine  = regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*)(?: [^:=\n]*(?:"[^"\n]*"[^:=\n]*)*)?(?:=[^:\n]*)?:(?:\s|$)`)
	justQuoted  = regexp.MustCompile("`just ([a-z][a-z0-9-]*)")
	justInCI    = regexp.MustCompile(`(?m)^[^#\n]*\bjust ([a-z][a-z0-9-]*)`)
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading     = regexp.MustCompile(`^#{1,6} +(.+)$`)
	slugDropped = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	ownPackage  = regexp.MustCompile(`\./(?:sidecar|tools|testing|wire|store|committer|peercred)[a-z./-]*`)
)

// document is one Markdown file.
type document struct {
	path  string
	text  string
	prose string // without fenced blocks
}

func documents(t *testing.T) (list []document) {
	t.Helper()
	files(t, func(file string) {
		if path.Ext(file) == ".md" {
			text := read(t, file)
			list = append(list, document{file, text, withoutFences(text)})
		}
	})
	if len(list) == 0 {
		t.Fatal("no document was found")
	}
	return list
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func withoutFences(text string) string {
	var prose strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			prose.WriteString(line)
		}
	}
	return prose.String()
}

// anchors returns what a link can point to in a document, by the rule of the
// common renderers: lower case, punctuation dropped, blanks to hyphens.
func (d *document) anchors() (list []string) {
	for line := range strings.Lines(d.prose) {
		if m := heading.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			slug := slugDropped.ReplaceAllString(strings.ToLower(m[1]), "")
			list = append(list, strings.ReplaceAll(slug, " ", "-"))
		}
	}
	return list
}

func TestDocsLinks(t *testing.T) {
	all := documents(t)
	byPath := map[string]*document{}
	for i := range all {
		byPath[all[i].path] = &all[i]
	}
	for _, d := range all {
		for _, m := range link.FindAllStringSubmatch(d.prose, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := d.path
			if target != "" {
				file = path.Join(path.Dir(d.path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link to %s leads nowhere: there is no %s", d.path, m[1], file)
				continue
			}
			if to := byPath[file]; anchor != "" && to != nil && !slices.Contains(to.anchors(), anchor) {
				t.Errorf("%s: the link to %s leads nowhere: %s has the headings %s", d.path, m[1], file, strings.Join(to.anchors(), ", "))
			}
		}
	}
}

func recipes(t *testing.T) (list []string) {
	t.Helper()
	for _, m := range recipeLine.FindAllStringSubmatch(read(t, "Justfile"), -1) {
		list = append(list, m[1])
	}
	if len(list) == 0 {
		t.Fatal("no recipe was found in Justfile")
	}
	return list
}

// TestDocsRecipes holds the recipes of the Justfile against those that documents
// and .ci/run name, in both directions.
func TestDocsRecipes(t *testing.T) {
	known := recipes(t)
	named := map[string]bool{}
	look := func(file string, command *regexp.Regexp) {
		for _, m := range command.FindAllStringSubmatch(read(t, file), -1) {
			named[m[1]] = true
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s names the recipe %q, which Justfile does not have; it has %s", file, m[1], strings.Join(known, ", "))
			}
		}
	}
	look(".ci/run", justInCI)
	clear(named) // people do not look there
	for _, d := range documents(t) {
		look(d.path, justQuoted)
	}
	for _, recipe := range known {
		if recipe != "default" && !named[recipe] {
			t.Errorf("no document names the recipe %s: add it to the table of CONTRIBUTING.md", recipe)
		}
	}
}

func paths(list []document) (names []string) {
	for _, d := range list {
		names = append(names, d.path)
	}
	return names
}

func TestDocsRecipeComments(t *testing.T) {
	text := read(t, "Justfile")
	for _, at := range recipeLine.FindAllStringIndex(text, -1) {
		before := strings.Split(strings.TrimRight(text[:at[0]], "\n"), "\n")
		if !strings.HasPrefix(before[len(before)-1], "#") {
			t.Errorf("Justfile: %q has no comment: just --list shows the line above a recipe", strings.TrimSpace(text[at[0]:at[1]]))
		}
	}
}

// TestDocsPackages finds packages and folders that commands in documents name.
func TestDocsPackages(t *testing.T) {
	for _, file := range append([]string{".ci/run", ".ci/fuzz", "Justfile"}, paths(documents(t))...) {
		for _, name := range ownPackage.FindAllString(read(t, file), -1) {
			folder := strings.TrimRight(strings.TrimSuffix(name, "/..."), "./")
			if _, err := os.Stat(folder); err != nil {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
}

// TestDocsFirstScreen holds the README to its two commands, which work on a machine
// with nothing but Go, and CI to running the second one as it stands there.
func TestDocsFirstScreen(t *testing.T) {
	screen := strings.Join(strings.SplitAfterN(read(t, "README.md"), "\n", 31)[:30], "")
	for _, command := range []string{"go run ./sidecar/ron-ledgerd", "go test ./..."} {
		if !strings.Contains(screen, "\n"+command) {
			t.Errorf("README.md: the first 30 lines do not show the command %q", command)
		}
	}
	if !regexp.MustCompile(`(?m)^stage test .* go test \./\.\.\.$`).MatchString(read(t, ".ci/run")) {
		t.Error(".ci/run does not run the README's `go test ./...` word for word")
	}
	if !strings.Contains(read(t, "Justfile"), "\ntest:\n    go test ./...\n") {
		t.Error("Justfile: the recipe test is not the README's `go test ./...`")
	}
}

var testName = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]*\b`)

// testsByName returns where each test of the repository is.
func testsByName(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	files(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") {
			for _, name := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(read(t, file), -1) {
				known[name[1]] = append(known[name[1]], file)
			}
		}
	})
	return known
}

// TestDocsSecurityModel finds the test that each line of the security model names, and
// holds each line of its tables of attacks to naming one.
func TestDocsSecurityModel(t *testing.T) {
	known := testsByName(t)
	shown := false
	for line := range strings.Lines(read(t, "docs/SECURITY-MODEL.md")) {
		names := testName.FindAllString(line, -1)
		for _, name := range names {
			if known[name] == nil {
				t.Errorf("docs/SECURITY-MODEL.md names %s, which is no test", name)
			}
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			shown = false
		case strings.Contains(line, "shown by"):
			shown = true
		case shown && len(names) == 0 && !strings.HasPrefix(line, "|---"):
			t.Errorf("docs/SECURITY-MODEL.md: no test shows: %s", line)
		}
	}
}
