package sidecartest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/wire/client"
)

// vectorsDir holds the canonical vectors and the ledger that they are told of.
const vectorsDir = "../../testing/vectors"

// fixture is the ledger of testing/vectors/ledger.json: its log id, its keyring and
// its token are fixed, so that its roots are.
type fixture struct {
	Config  map[string]string
	Keyring string
	Token   string
}

// readFixture reads the ledger of the vectors and copies its keys to where only
// this uid can read them.
func readFixture(t testing.TB) *fixture {
	t.Helper()
	f := new(fixture)
	readJSON(t, filepath.Join(vectorsDir, "ledger.json"), f, false)
	private := ShortDir(t)
	for _, key := range []*string{&f.Keyring, &f.Token} {
		text, err := os.ReadFile(filepath.Join(vectorsDir, *key))
		if err != nil {
			t.Fatal(err)
		}
		*key = filepath.Join(private, filepath.Base(*key))
		if err := os.WriteFile(*key, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// readJSON reads a file into value; strict refuses members that value has not.
func readJSON(t testing.TB, path string, value any, strict bool) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	decoder := json.NewDecoder(file)
	if strict {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(value); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
}

// start starts an empty ledger of that configuration, further keys included.
func (f *fixture) start(t testing.TB, further ...map[string]string) *Process {
	t.Helper()
	return StartProcessEnv(t, Build(t), ShortDir(t), f.environment(further...))
}

// environment is that configuration as environment variables.
func (f *fixture) environment(further ...map[string]string) (env []string) {
	config := maps.Clone(f.Config)
	config["keys.keyring"] = f.Keyring
	for _, more := range further {
		maps.Copy(config, more)
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		env = append(env, "RON_LEDGER_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))+"="+config[key])
	}
	return env
}

// dial connects with the token of the fixture.
func (f *fixture) dial(t testing.TB, p *Process) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), f.options(p))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
