package sidecar

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Printout is what Load returns as its error when it was asked for a text and not
// for a start: the caller prints Text and exits with 0.
type Printout struct{ Text string }

func (p *Printout) Error() string { return "a text was asked for, not a start" }

const flagConfig = "config"

// flagList are the flags of ron-ledgerd. Each sets a key, but for --config.
var flagList = []struct{ name, key, value, help string }{
	{"home", "home", "DIR", "folder of the ledger (default $XDG_STATE_HOME/ron-ledger, else ~/.local/state/ron-ledger)"},
	{"profile", "profile", "micronode|macronode", "in memory with a bounded window, or durable on disk (default macronode)"},
	{flagConfig, "", "FILE", "configuration file, TOML (default none)"},
	{"socket", "uds.path", "PATH", "Unix-domain socket (default HOME/ledger.sock)"},
	{"https", "https.addr", "ADDR", "address of /roots and /metrics; port 0 = any free one (default 127.0.0.1:5082)"},
	{"adopt", "archive.adopt", "URL", "take over the ledger in this archive into an empty home; one that has a ledger goes on"},
	{"log-format", "log.format", "json|console|auto", "auto = console on a terminal, otherwise json (default auto)"},
	{"log-level", "log.level", "debug|info|warn|error", "lowest level that is logged (default info)"},
}

// parseFlags returns the flags that were given.
func parseFlags(args []string) (map[string]string, error) {
	set := pflag.NewFlagSet("ron-ledgerd", pflag.ContinueOnError)
	set.Usage = func() {}
	for _, f := range flagList {
		set.String(f.name, "", f.help)
	}
	version := set.Bool("version", false, "")
	help := set.BoolP("help", "h", false, "")
	if err := set.Parse(args); err != nil {
		return nil, fmt.Errorf("read flags: %w: see --help", err)
	}
	switch {
	case *help:
		return nil, &Printout{Text: usage()}
	case *version:
		return nil, &Printout{Text: "ron-ledgerd " + Version() + " " + runtime.Version() + "\n"}
	case set.NArg() > 0:
		return nil, fmt.Errorf("read flags: %q is not a flag: see --help", set.Arg(0))
	}
	given := map[string]string{}
	set.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	return given, nil
}

// usage is the text of --help.
func usage() string {
	var b strings.Builder
	b.WriteString("ron-ledgerd keeps a verifiable ledger beside an application.\n\n" +
		"usage: ron-ledgerd [flags]\n\n")
	environment := map[string]string{"": envPrefix + "CONFIG"}
	for _, k := range Defaults(Macronode).keys() {
		environment[k.name] = k.env
	}
	for _, f := range flagList {
		fmt.Fprintf(&b, "  --%s %s\n        %s\n        environment: %s\n", f.name, f.value, f.help, environment[f.key])
	}
	b.WriteString("  --version\n        print the version\n  --help\n        print this\n\n" +
		"Flags come before the environment, the environment before the file, the file\n" +
		"before the defaults. Every key of the file has an environment variable:\n" +
		"uds.idle_timeout is RON_LEDGER_UDS_IDLE_TIMEOUT. docs/CONFIG.md lists all.\n\n" +
		"example: a ledger in memory, beside the one of this user\n\n" +
		"  ron-ledgerd --profile micronode --home /tmp/try --https 127.0.0.1:0\n")
	return b.String()
}

// Version returns what the build knows of its version: a module version, or the
// revision that it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}

// splitAddr takes an address apart and checks its port.
func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("it must be HOST:PORT, like 127.0.0.1:5082 or [::1]:5082")
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("its port must be in 0..65535")
	}
	return host, int(n), nil
}
