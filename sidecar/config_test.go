package sidecar

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keyOf returns the value of a key as text.
func keyOf(t *testing.T, c *Config, name string) string {
	t.Helper()
	for _, k := range c.keys() {
		if k.name == name {
			return k.text()
		}
	}
	t.Fatalf("no key %s", name)
	return ""
}

func TestLoadPrecedence(t *testing.T) {
	home := "HOME=/home/someone"
	for _, test := range []struct {
		name string
		file string
		env  []string
		args []string
		want map[string]string
	}{
		{"defaults", "", nil, nil, map[string]string{
			"profile": "macronode", "home": "/home/someone/.local/state/ron-ledger", "uds.idle_timeout": "10m", "log.level": "info"}},
		{"file over defaults", "[log]\nlevel = \"warn\"\n", nil, nil, map[string]string{"log.level": "warn"}},
		{"environment over file", "[log]\nlevel = \"warn\"\n", []string{"RON_LEDGER_LOG_LEVEL=error"}, nil, map[string]string{"log.level": "error"}},
		{"flag over environment", "[log]\nlevel = \"warn\"\n", []string{"RON_LEDGER_LOG_LEVEL=error"}, []string{"--log-level", "debug"},
			map[string]string{"log.level": "debug"}},
		{"profile from the file", "profile = \"micronode\"\n", nil, nil, map[string]string{"profile": "micronode", "cache.accounts": "65536"}},
		{"profile from the environment", "profile = \"micronode\"\n", []string{"RON_LEDGER_PROFILE=macronode"}, nil,
			map[string]string{"profile": "macronode", "cache.accounts": "262144"}},
		{"profile's default under the file", "[cache]\naccounts = 5000\n", []string{"RON_LEDGER_PROFILE=micronode"}, nil,
			map[string]string{"cache.accounts": "5000", "disk.reserve_bytes": "0"}},
		{"XDG", "", []string{"XDG_STATE_HOME=/state"}, nil, map[string]string{"home": "/state/ron-ledger"}},
		{"relative XDG is ignored", "", []string{"XDG_STATE_HOME=state"}, nil, map[string]string{"home": "/home/someone/.local/state/ron-ledger"}},
		{"short names", "", []string{"RON_LEDGER_SOCKET=/run/l.sock", "RON_LEDGER_HTTPS=[::1]:0", "RON_LEDGER_HOME=/h"}, nil,
			map[string]string{"uds.path": "/run/l.sock", "https.addr": "[::1]:0", "home": "/h"}},
		{"flags with =", "", nil, []string{"--socket=/s", "--https=127.0.0.1:0", "--home=/h", "--profile=micronode", "--log-format=json"},
			map[string]string{"uds.path": "/s", "https.addr": "127.0.0.1:0", "home": "/h", "profile": "micronode", "log.format": "json"}},
		{"units", "[limits]\nmax_frame = \"2MiB\"\n[uds]\nmode = \"0660\"\nallow_uids = [1, 2]\n",
			[]string{"RON_LEDGER_UDS_ALLOW_GIDS=7, 8", "RON_LEDGER_STORE_CACHE_BYTES=33554432"}, nil,
			map[string]string{"limits.max_frame": "2MiB", "uds.mode": "0660", "uds.allow_uids": "1,2", "uds.allow_gids": "7,8", "store.cache_bytes": "32MiB"}},
		{"a size as a number", "[limits]\nmax_frame = 65536\n", nil, nil, map[string]string{"limits.max_frame": "64KiB"}},
		{"in a pod", "[uds]\ndir_mode = \"0750\"\nallow_gids = [2000]\ngrant = \"op = append,read; kind = Transfer,Hold\"\n", []string{"RON_LEDGER_MEMORY_CONTAINER=1073741824"}, nil,
			map[string]string{"uds.dir_mode": "0750", "uds.grant": "op = append,read; kind = Transfer,Hold", "memory.container": "1GiB", "memory.limit": "0"}},
		{"variables of others", "", []string{"RON_LEDGER_SERVICE_HOST=10.0.0.1", "RON_LEDGER_PORT_443_TCP=x", "RON_LEDGER_TOKEN=t"}, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := append([]string{home}, test.env...)
			if test.file != "" {
				env = append(env, "RON_LEDGER_CONFIG="+writeConfig(t, test.file))
			}
			c, err := Load(test.args, env)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				if got := keyOf(t, c, name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		file string
		env  []string
		args []string
		want []string // all of them in the error
	}{
		{"unknown key", "name = \"a\"\n[uds]\nidle_timeoot = \"1s\"\n", nil, nil, []string{"test.toml:3:1", "uds.idle_timeoot", "3| idle_timeoot"}},
		{"unknown section", "[udp]\npath = \"x\"\n", nil, nil, []string{"test.toml:1:", "unknown key udp"}},
		{"syntax", "name = \n", nil, nil, []string{"test.toml:1:"}},
		{"wrong type", "[queues]\ncommit = \"many\"\n", nil, nil, []string{"test.toml:2:10"}},
		{"a list of names", "[uds]\nallow_uids = [\"bob\"]\n", nil, nil, []string{"test.toml:2:15", "wanted is a whole number, and not what TOML calls string"}},
		{"a number in place of a list", "[uds]\nallow_uids = 7\n", nil, nil, []string{"test.toml:2:14", "a list of whole numbers, such as [1000, 1001]"}},
		{"text in place of a number", "[queues]\ncommit = true\n", nil, nil, []string{"test.toml:2:10", "wanted is a whole number, and not what TOML calls boolean"}},
		{"a list in place of a duration", "[uds]\nidle_timeout = []\n", nil, nil, []string{"test.toml:2:16", "a duration, such as"}},
		{"a value in place of a section", "uds = 7\n", nil, nil, []string{"test.toml:1:7", "wanted is a section"}},
		{"duration without unit", "[uds]\nidle_timeout = \"5\"\n", nil, nil, []string{"test.toml:2:16", "250ms"}},
		{"duration as a number", "[uds]\nidle_timeout = 5\n", nil, nil, []string{"uds.idle_timeout", "1s..168h"}},
		{"no such file", "", []string{"RON_LEDGER_CONFIG=/no/such"}, nil, []string{"read configuration", "/no/such"}},
		{"below its range", "[queues]\ncommit = 0\n", nil, nil, []string{"queues.commit is 0", "1..1000000"}},
		{"above its range", "[limits]\nmax_frame = \"1GiB\"\n", nil, nil, []string{"limits.max_frame is 1GiB", "4KiB..16MiB"}},
		{"two faults at once", "[queues]\ncommit = 0\ningress = 0\n", nil, nil, []string{"queues.commit", "queues.ingress"}},
		{"profile", "", []string{"RON_LEDGER_PROFILE=meganode"}, nil, []string{`profile is "meganode"`, "micronode, macronode"}},
		{"hash", "[accumulator]\nhash = \"md5\"\n", nil, nil, []string{"accumulator.hash", "blake3, sha256"}},
		{"environment, bad number", "", []string{"RON_LEDGER_QUEUES_COMMIT=x"}, nil, []string{"RON_LEDGER_QUEUES_COMMIT", "not a whole number"}},
		{"environment, bad id", "", []string{"RON_LEDGER_UDS_ALLOW_UIDS=1,root"}, nil, []string{"RON_LEDGER_UDS_ALLOW_UIDS", `"root"`}},
		{"environment, bad size", "", []string{"RON_LEDGER_LIMITS_MAX_FRAME=1MB"}, nil, []string{"RON_LEDGER_LIMITS_MAX_FRAME", "64MiB"}},
		{"environment, no such key", "", []string{"RON_LEDGER_UDS_PATHS=x"}, nil, []string{"RON_LEDGER_UDS_PATHS", "docs/CONFIG.md"}},
		{"unknown flag", "", nil, []string{"--prof"}, []string{"--prof", "--help"}},
		{"an argument", "", nil, []string{"start"}, []string{`"start"`, "--help"}},
		{"flag, bad value", "", nil, []string{"--log-level=loud"}, []string{"log.level", "debug, info, warn, error"}},
		{"address", "", nil, []string{"--https=5082"}, []string{"https.addr", "HOST:PORT"}},
		{"port", "", nil, []string{"--https=:99999"}, []string{"https.addr", "0..65535"}},
		{"mode without the owner", "[uds]\nmode = \"0066\"\n", nil, nil, []string{"uds.mode is 0066"}},
		{"mode with execution", "[uds]\nmode = \"0777\"\n", nil, nil, []string{"uds.mode is 0777"}},
		{"mode not octal", "[uds]\nmode = \"rw\"\n", nil, nil, []string{"octal"}},
		{"half a certificate", "[https]\ncert_file = \"a\"\n", nil, nil, []string{"https.cert_file and https.key_file"}},
		{"name", "name = \"a b\"\n", nil, nil, []string{`name is "a b"`}},
		{"name that is empty", "name = \"\"\n", nil, nil, []string{"name is"}},
		{"impossible memory", "[memory]\nlimit = \"64MiB\"\n", nil, nil, []string{"memory.limit is 64MiB", "280MiB", "4 × store.memtable_bytes 64MiB"}},
		{"memory of a container", "", []string{"RON_LEDGER_MEMORY_CONTAINER=134217728"}, nil,
			[]string{"memory.container is 128MiB", "leaves 104MiB", "280MiB have to fit", "store.cache_bytes 24MiB", "limits.inflight_bytes 128MiB", "idempotency.filter_bytes 32MiB"}},
		{"memory of a container below the cache", "", []string{"RON_LEDGER_MEMORY_CONTAINER=1MiB"}, nil, []string{"leaves 0 beside"}},
		{"memory of a micronode", "profile = \"micronode\"\n[memory]\nlimit = \"64MiB\"\n", nil, nil, []string{"97MiB have to fit", "window.entries of the least size 13MiB"}},
		{"more memory than the container has", "[memory]\nlimit = \"2GiB\"\ncontainer = \"1GiB\"\n", nil, nil, []string{"memory.limit is 2GiB", "1GiB", "leave memory.limit at 0"}},
		{"a folder of the socket that others write", "[uds]\ndir_mode = \"0770\"\n", nil, nil, []string{"uds.dir_mode is 0770", "0700..0755"}},
		{"grant without peers", "[uds]\ngrant = \"op = read\"\n", nil, nil, []string{"uds.grant", "uds.allow_uids"}},
		{"grant that is no caveat", "[uds]\nallow_uids = [1]\ngrant = \"everything\"\n", nil, nil, []string{"uds.grant", "everything"}},
		{"grant that binds by itself", "[uds]\nallow_uids = [1]\ngrant = \"uid = 7\"\n", nil, nil, []string{"uds.grant", "leave them out"}},
		{"grant of nothing", "[uds]\nallow_uids = [1]\ngrant = \" ; \"\n", nil, nil, []string{"uds.grant", "no caveat"}},
		{"window below the interval", "profile = \"micronode\"\n[window]\nentries = 1024\n", nil, nil, []string{"window.entries is 1024", "65536"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			env := append([]string{"HOME=/home/someone"}, test.env...)
			if test.file != "" {
				env = append(env, "RON_LEDGER_CONFIG="+writeConfig(t, test.file))
			}
			_, err := Load(test.args, env)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "sidecar.") || strings.Contains(err.Error(), "uint32") {
				t.Errorf("the error speaks of the program's types:\n%v", err)
			}
		})
	}
	if _, err := Load(nil, nil); err == nil || !strings.Contains(err.Error(), "--home") {
		t.Errorf("no HOME at all: %v", err)
	}
}

func TestPrintouts(t *testing.T) {
	for _, test := range []struct {
		flag string
		want []string
	}{
		{"--help", []string{"--socket PATH", "environment: RON_LEDGER_SOCKET", "RON_LEDGER_CONFIG", "RON_LEDGER_LOG_FORMAT", "example:"}},
		{"-h", []string{"usage:"}},
		{"--version", []string{"ron-ledgerd ", "go1."}},
	} {
		_, err := Load([]string{test.flag}, nil)
		printout, ok := err.(*Printout)
		if !ok {
			t.Fatalf("%s: %v", test.flag, err)
		}
		for _, want := range test.want {
			if !strings.Contains(printout.Text, want) {
				t.Errorf("%s does not print %q:\n%s", test.flag, want, printout.Text)
			}
		}
	}
}

// The files that ship say every key and give each the value that it has anyway.
func TestShippedConfigs(t *testing.T) {
	for _, profile := range []string{Micronode, Macronode} {
		path := filepath.Join("..", "configs", profile+".toml")
		c, err := Load([]string{"--config", path, "--home", "/h"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := Defaults(profile)
		want.Home = "/h"
		want.file, _ = filepath.Abs(path)
		if diff := cmp.Diff(want, c, cmp.AllowUnexported(Config{})); diff != "" {
			t.Errorf("%s differs from the defaults (-default +file):\n%s", path, diff)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		section := ""
		for _, k := range c.keys() {
			in, name := "", k.name
			if dot := strings.LastIndex(k.name, "."); dot >= 0 {
				in, name = k.name[:dot], k.name[dot+1:]
			}
			if in != section {
				_, rest, found := strings.Cut(string(text), "\n["+in+"]\n")
				if !found {
					t.Fatalf("%s has no section %s", path, in)
				}
				text, section = []byte(rest), in
			}
			if !strings.Contains(string(text), "\n"+name+" = ") && !strings.Contains(string(text), "\n# "+name+" = ") {
				t.Errorf("%s does not give %s", path, k.name)
			}
		}
	}
}

// docs/CONFIG.md has a row for each key with its variable, defaults and bounds, whether a change needs a restart, and
// none for anything else.
func TestConfigDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "¦"), " | ")
		if name, ok := strings.CutPrefix(cells[0], "| `"); ok {
			rows[strings.TrimSuffix(name, "`")] = cells
		}
	}
	micro := Defaults(Micronode).keys()
	for i, k := range Defaults(Macronode).keys() {
		row := rows[k.name]
		delete(rows, k.name)
		if len(row) != 6 {
			t.Errorf("%s: the row has %d cells, want 6", k.name, len(row))
			continue
		}
		if row[1] != "`"+k.env+"`" {
			t.Errorf("%s: the document says %s for the variable, want %s", k.name, row[1], k.env)
		}
		if k.allowed != "" && strings.ReplaceAll(row[3], "¦", "|") != "`"+k.allowed+"`" {
			t.Errorf("%s: the document allows %s, the code %s", k.name, row[3], k.allowed)
		}
		effect := "restart"
		if reloadable[k.name] {
			effect = "reload"
		}
		if row[4] != effect {
			t.Errorf("%s: the document says that a change takes %s, the code %s", k.name, row[4], effect)
		}
		want := documented(&k)
		if other := documented(&micro[i]); other != want && k.name != "profile" {
			want += "; " + other
		}
		switch k.name {
		case "home", "uds.path", "concurrency.prevalidators": // depend on the machine
		default:
			if row[2] != want {
				t.Errorf("%s: the document gives %s as default, the code %s", k.name, row[2], want)
			}
		}
		if len(strings.TrimSpace(strings.Trim(row[5], "|\n "))) < 10 {
			t.Errorf("%s has no meaning", k.name)
		}
	}
	for name := range rows {
		t.Errorf("the document has a row for %s, which is no key", name)
	}
}

func documented(k *key) string {
	if k.text() == "" {
		return "none"
	}
	return "`" + k.text() + "`"
}

// Every key takes back what it prints.
func TestKeysReadWhatTheyPrint(t *testing.T) {
	c := Defaults(Macronode)
	c.UDS.AllowUIDs = []uint32{0, 1000}
	for _, k := range c.keys() {
		before := reflect.ValueOf(k.value.Interface())
		if err := k.set(k.text()); err != nil {
			t.Errorf("%s: %v", k.name, err)
		} else if diff := cmp.Diff(before.Interface(), k.value.Interface()); diff != "" {
			t.Errorf("%s: %s", k.name, diff)
		}
	}
}

func TestDurationText(t *testing.T) {
	for text, want := range map[string]string{"60s": "1m", "90s": "1m30s", "1h": "1h", "168h": "168h", "0s": "0s", "10m": "10m", "1h0m5s": "1h0m5s"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%s prints as %s, want %s (%v)", text, d, want, err)
		}
	}
}
