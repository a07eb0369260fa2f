package sidecar

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/rustyonions/ron-ledger/configs"
)

var (
	sectionLine = regexp.MustCompile(`^\[([a-z.]+)\]$`)
	keyLine     = regexp.MustCompile(`^(?:# )?([a-z_]+) = `)
)

// DefaultsTOML returns the file that ships for a profile: every key with its meaning and default.
func DefaultsTOML(profile string) string {
	if profile == Micronode {
		return configs.Micronode
	}
	return configs.Macronode
}

// TOML returns the configuration as a file with every key, what it means and its value.
func (c *Config) TOML() string {
	keys := map[string]key{}
	for _, k := range c.keys() {
		keys[k.name] = k
	}
	_, text, _ := strings.Cut(DefaultsTOML(c.Profile), "\n\n") // what the file is, says another line
	var b strings.Builder
	fmt.Fprintf(&b, "# ron-ledgerd, profile %s. See docs/CONFIG.md.\n\n", c.Profile)
	section := ""
	for line := range strings.Lines(text) {
		bare := strings.TrimRight(line, "\n")
		if m := sectionLine.FindStringSubmatch(bare); m != nil {
			section = m[1] + "."
		}
		if m := keyLine.FindStringSubmatch(bare); m != nil {
			if k, ok := keys[section+m[1]]; ok {
				line = m[1] + " = " + k.toml() + "\n"
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// toml returns the value as a file has it.
func (k *key) toml() string {
	switch k.value.Interface().(type) {
	case int:
		return k.text()
	case []uint32:
		return "[" + strings.ReplaceAll(k.text(), ",", ", ") + "]"
	}
	return tomlString(k.text())
}

// tomlString quotes a basic string: TOML escapes what Go's %q does, but with \u alone.
func tomlString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Change is a key of the configuration with two values.
type Change struct {
	Key    string `json:"key"`
	Before string `json:"before"`
	After  string `json:"after"`
	Reload bool   `json:"reload"` // a running sidecar takes it up; otherwise it needs a restart
}

// ChangesTo returns the keys whose value is another in next, in the order of the file.
func (c *Config) ChangesTo(next *Config) (changes []Change) {
	after := next.keys()
	for i, k := range c.keys() {
		if !reflect.DeepEqual(k.value.Interface(), after[i].value.Interface()) {
			changes = append(changes, Change{k.name, k.text(), after[i].text(), reloadable[k.name]})
		}
	}
	return changes
}

// ParseConfig reads what TOML returns.
func ParseConfig(text string) (*Config, error) {
	c := new(Config)
	return c, c.readFile("configuration", []byte(text))
}

// namesFile are the keys whose value is a file that a start reads and does not make.
var namesFile = []string{
	"https.cert_file", "https.key_file", "tls.client_ca", "archive.credentials", "keys.revocations",
	"stream.nats.credentials", "stream.nats.ca_file", "stream.nats.cert_file", "stream.nats.key_file",
}

// MissingFiles returns the keys that name a file which is not there, each with the file.
func (c *Config) MissingFiles() (missing []string) {
	for _, k := range c.keys() {
		if !slices.Contains(namesFile, k.name) || k.text() == "" {
			continue
		}
		if _, err := os.Stat(k.text()); err != nil {
			missing = append(missing, k.name+" = "+k.toml())
		}
	}
	return missing
}
