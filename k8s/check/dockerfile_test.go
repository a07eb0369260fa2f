package check

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// instruction is one line of the Dockerfile, and the stage that it belongs to.
type instruction struct{ stage, name, rest string }

func dockerfile(t *testing.T) (all []instruction) {
	t.Helper()
	stage := ""
	for line := range strings.Lines(oneLine(read(t, "../../Dockerfile"))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			_, stage, _ = strings.Cut(rest, " AS ")
		}
		all = append(all, instruction{stage, name, rest})
	}
	return all
}

// oneLine joins what a backslash continues, with single blanks.
func oneLine(text string) string {
	return regexp.MustCompile(`[ \t]*\\\n[ \t]*`).ReplaceAllString(text, " ")
}

// justBuild is the command of the recipe build.
func justBuild(t *testing.T) string {
	t.Helper()
	text := oneLine(read(t, "../../Justfile"))
	command := regexp.MustCompile(`(?m)^build:\n +(.+)$`).FindStringSubmatch(text)
	if command == nil {
		t.Fatal("the recipe build is not found")
	}
	return command[1]
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A build wants an engine, so this stands in for one: what is copied exists or is made by its stage, the
// programs are built as `just build` does, and the images that come out hold nothing else and do
// not run as root.
func TestDockerfile(t *testing.T) {
	known := []string{"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "ENTRYPOINT"}
	base, user, entry := map[string]string{}, map[string]string{}, map[string]string{}
	made := map[string]bool{}
	var order []string
	for _, i := range dockerfile(t) {
		if !slices.Contains(known, i.name) {
			t.Errorf("%s: is that an instruction?", i.name)
		}
		switch i.name {
		case "FROM":
			base[i.stage], _, _ = strings.Cut(i.rest, " ")
			order = append(order, i.stage)
		case "USER":
			user[i.stage] = i.rest
		case "ENTRYPOINT":
			entry[i.stage] = strings.Trim(i.rest, `[]"`)
		case "RUN":
			for _, built := range regexp.MustCompile(` -o ([a-z]+/) (\./[a-z0-9/-]+)`).FindAllStringSubmatch(i.rest, -1) {
				folder, pkg := built[1], built[2]
				if _, err := os.Stat(filepath.Join("../..", pkg)); err != nil {
					t.Errorf("RUN %s: %v", i.rest, err)
				}
				made["/src/"+folder], made["/src/"+folder+filepath.Base(pkg)] = true, true
			}
		case "COPY":
			words := strings.Fields(i.rest)
			from, isStage := strings.CutPrefix(words[0], "--from=")
			if isStage {
				words = words[1:]
			}
			for _, source := range words[:len(words)-1] {
				if isStage {
					if !slices.Contains(order, from) || !made[source] {
						t.Errorf("COPY %s: stage %s does not make %s", i.rest, from, source)
					}
				} else if _, err := os.Stat(filepath.Join("../..", source)); err != nil {
					t.Errorf("COPY %s: %v", i.rest, err)
				}
			}
		}
	}
	if want := justBuild(t); !slices.ContainsFunc(dockerfile(t), func(i instruction) bool { return i.name == "RUN" && i.rest == want }) {
		t.Errorf("the programs are not built as `just build` does:\n%s", want)
	}
	for _, image := range []string{"example", "ledger"} {
		if base[image] != "scratch" || user[image] == "" || strings.HasPrefix(user[image], "0") || strings.HasPrefix(user[image], "root") || entry[image] == "" {
			t.Errorf("image %s: from %q, user %q, entry %q", image, base[image], user[image], entry[image])
		}
	}
	if last := order[len(order)-1]; last != "ledger" {
		t.Errorf("docker build without a target makes %s", last)
	}
	want := "golang:" + regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))[1]
	if base["build"] != want {
		t.Errorf("built with %s, go.mod wants %s", base["build"], want)
	}
	for _, o := range overlays(t) {
		c := ledger(t, &o.template(t).Spec)
		if c.Command[0] != entry["ledger"] {
			t.Errorf("%s starts %s, the image has %s", o.name, c.Command[0], entry["ledger"])
		}
	}
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// programs builds what the images have in them, once for all tests.
func programs(t *testing.T) (dir string) {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "ron-ledger-check-"); built.err != nil {
			return
		}
		command := exec.Command("go", "build", "-o", built.dir+"/", "./tools/ledgerctl", "./k8s/example")
		command.Dir = "../.."
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := command.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build the programs: %w\n%s", err, output)
			return
		}
		built.err = os.Link(filepath.Join(built.dir, "ledgerctl"), filepath.Join(built.dir, "ron-ledgerd"))
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func TestMain(m *testing.M) {
	status := m.Run()
	_ = os.RemoveAll(built.dir) // nothing when nothing was built
	os.Exit(status)
}

// Programs of an image from scratch find no loader and no library.
func TestProgramsAreStatic(t *testing.T) {
	dir := programs(t)
	for _, name := range []string{"ron-ledgerd", "ledgerctl", "example"} {
		file, err := elf.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range file.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s has a segment %v: it is not static", name, p.Type)
			}
		}
		_ = file.Close()
	}
}

// systemd takes the unit without a word, with the programs where they were built.
func TestSystemdUnit(t *testing.T) {
	dir := programs(t)
	unit := filepath.Join(t.TempDir(), "ron-ledgerd.service")
	text := strings.ReplaceAll(read(t, "../../configs/ron-ledgerd.service"), "/usr/local/bin/", dir+"/")
	if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(output), "ron-ledgerd.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
}
