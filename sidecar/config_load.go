package sidecar

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/rustyonions/ron-ledger/archive/bucket"
)

// Load makes the configuration of a start: flags before environment (RON_LEDGER_*)
// before the file before the defaults of the profile. args is without the name of
// the program; environ is as os.Environ gives it. Nothing else reads flags,
// environment or configuration files. A request for help or the version is a
// *Printout.
func Load(args []string, environ []string) (*Config, error) {
	flags, err := parseFlags(args)
	if err != nil {
		return nil, err
	}
	env := make(map[string]string, len(environ))
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	c, err := merge(flags, env)
	if err != nil {
		return nil, err
	}
	if err := c.settleHome(env); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// merge lays file, environment and flags over the defaults. The profile, wherever
// it is set, decides the defaults, so that it is settled first.
func merge(flags map[string]string, env map[string]string) (*Config, error) {
	file, text := flags[flagConfig], []byte(nil)
	if file == "" {
		file = env[envPrefix+"CONFIG"]
	}
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	var c *Config
	for profile := Macronode; c == nil || c.Profile != profile; {
		if c != nil {
			profile = c.Profile
		}
		c = Defaults(profile)
		if err := c.readFile(file, text); err != nil {
			return nil, err
		}
		if err := c.readEnvironment(env); err != nil {
			return nil, err
		}
		if err := c.readFlags(flags); err != nil {
			return nil, err
		}
	}
	if file != "" {
		var err error
		if c.file, err = filepath.Abs(file); err != nil { // it is read again later
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	return c, nil
}

// readFile decodes TOML. What it does not know is an error that shows the place.
func (c *Config) readFile(name string, text []byte) error {
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	err := decoder.Decode(c)
	if err == nil {
		return nil
	}
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var all []error
		for i := range unknown.Errors {
			e := &unknown.Errors[i]
			row, column := e.Position()
			all = append(all, fmt.Errorf("read configuration: %s:%d:%d: unknown key %s\n%s", name, row, column, strings.Join(e.Key(), "."), e.String()))
		}
		return errors.Join(all...)
	}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := at.Position()
		return fmt.Errorf("read configuration: %s:%d:%d: %s\n%s", name, row, column, withoutTypes(err.Error()), withoutTypes(at.String()))
	}
	return fmt.Errorf("read configuration: %s: %w", name, err)
}

// readEnvironment takes the variables that name keys. A variable of a known
// section without such a key is an error. Others with the prefix are left alone:
// ledgerctl has its own, and Kubernetes makes some for a service of that name.
func (c *Config) readEnvironment(env map[string]string) error {
	known, sections := map[string]bool{}, map[string]bool{}
	for _, k := range c.keys() {
		known[k.env] = true
		if section, _, ok := strings.Cut(k.name, "."); ok {
			sections[envPrefix+strings.ToUpper(section)] = true
		}
		if text, ok := env[k.env]; ok {
			if err := k.set(text); err != nil {
				return fmt.Errorf("read environment: %s: %w", k.env, err)
			}
		}
	}
	for name := range env {
		rest, ours := strings.CutPrefix(name, envPrefix)
		section, _, inSection := strings.Cut(rest, "_")
		if ours && inSection && sections[envPrefix+section] && !known[name] {
			return fmt.Errorf("read environment: %s names no key: the keys are in docs/CONFIG.md", name)
		}
	}
	return nil
}

func (c *Config) readFlags(flags map[string]string) error {
	for _, k := range c.keys() {
		for _, f := range flagList {
			text, given := flags[f.name]
			if !given || f.key != k.name {
				continue
			}
			if err := k.set(text); err != nil {
				return fmt.Errorf("read flags: --%s: %w", f.name, err)
			}
		}
	}
	return nil
}

// settleHome finds the home where none is configured, as the XDG base directory
// specification says, and makes it and the socket absolute.
func (c *Config) settleHome(env map[string]string) error {
	if c.Home == "" {
		c.homeIsDefault = true
		switch state := env["XDG_STATE_HOME"]; {
		case filepath.IsAbs(state): // a relative one is to be ignored
			c.Home = filepath.Join(state, "ron-ledger")
		case filepath.IsAbs(env["HOME"]):
			c.Home = filepath.Join(env["HOME"], ".local", "state", "ron-ledger")
		default:
			return errors.New("find the home: neither XDG_STATE_HOME nor HOME is set: say where with --home")
		}
	}
	for _, path := range []*string{&c.Home, &c.UDS.Path, &c.Archive.Dir, &c.Archive.Adopt, &c.Archive.Credentials, &c.Keys.Adopt} {
		if *path == "" || strings.HasPrefix(*path, bucket.Scheme) {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("find %s: %w", *path, err)
		}
		*path = absolute
	}
	return nil
}

// validate holds every key against its bounds, and the keys against each other.
func (c *Config) validate() error {
	var all []error
	for _, k := range c.keys() {
		all = append(all, k.check())
	}
	all = append(all, c.checkName(), c.checkLogID(), c.checkHTTPS(), c.checkMemory(), c.checkSocket(), c.Stream.NATS.check())
	if c.Profile == Micronode && c.Window.Entries < c.Checkpoint.IntervalEntries {
		all = append(all, fmt.Errorf("check configuration: window.entries is %d: it must be at least checkpoint.interval_entries, %d",
			c.Window.Entries, c.Checkpoint.IntervalEntries))
	}
	all = append(all, c.Archive.check(c.Profile))
	if keep := c.Retention.Keep; keep > 0 && (c.Archive.place() == "" || keep < c.Checkpoint.IntervalEntries) {
		all = append(all, fmt.Errorf("check configuration: retention.keep is %d: it must be 0, or at least checkpoint.interval_entries, %d, with an archive (archive.dir, archive.url) that has the rest",
			keep, c.Checkpoint.IntervalEntries))
	}
	if c.Limits.InflightBytes < 2*c.Limits.MaxFrame {
		all = append(all, fmt.Errorf("check configuration: limits.inflight_bytes is %s: it must be at least 2 × limits.max_frame, %s",
			c.Limits.InflightBytes, 2*c.Limits.MaxFrame))
	}
	return errors.Join(all...)
}

const nameAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/:"

// checkName keeps the name usable in the origin of a checkpoint and in a vkey.
func (c *Config) checkName() error {
	if len(c.Name) < 1 || len(c.Name) > 64 ||
		strings.ContainsFunc(c.Name, func(r rune) bool { return !strings.ContainsRune(nameAlphabet, r) }) {
		return fmt.Errorf("check configuration: name is %q: letters, digits and . - _ / : are allowed, 1..64 of them", c.Name)
	}
	return nil
}

func (c *Config) checkLogID() error {
	if _, err := c.logID(); err != nil {
		return fmt.Errorf("check configuration: accumulator.log_id is %q: it must be 32 hex digits, or empty for a random one", c.Accumulator.LogID)
	}
	return nil
}

func (c *Config) checkHTTPS() error {
	if (c.HTTPS.CertFile == "") != (c.HTTPS.KeyFile == "") {
		return errors.New("check configuration: https.cert_file and https.key_file belong together: set both or none")
	}
	if _, _, err := splitAddr(c.HTTPS.Addr); err != nil {
		return fmt.Errorf("check configuration: https.addr is %q: %w", c.HTTPS.Addr, err)
	}
	return nil
}

// checkSocket holds permissions and grant against what they may be.
func (c *Config) checkSocket() error {
	var all []error
	if mode := c.UDS.Mode.FileMode(); mode&^socketModes != 0 || mode&0o600 != 0o600 {
		all = append(all, fmt.Errorf("check configuration: uds.mode is %s: it must be in 0600..0666 with read and write for the owner", c.UDS.Mode))
	}
	if mode := c.UDS.DirMode.FileMode(); mode != 0 && (mode&^0o755 != 0 || mode&0o700 != 0o700) {
		all = append(all, fmt.Errorf("check configuration: uds.dir_mode is %s: it must be 0000 or in 0700..0755 with all for the owner: whoever else may write there can replace the socket", c.UDS.DirMode))
	}
	if c.UDS.Grant != "" {
		if _, err := parseGrant(c.UDS.Grant); err != nil {
			all = append(all, fmt.Errorf("check configuration: uds.grant: %w", err))
		}
		if len(c.UDS.AllowUIDs)+len(c.UDS.AllowGIDs) == 0 {
			all = append(all, errors.New("check configuration: uds.grant is for peers that uds.allow_uids or uds.allow_gids name: name some"))
		}
	}
	return errors.Join(all...)
}
