package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "print, check and compare configurations",
		Long: "Config prints and checks configurations, compares a file with what a sidecar has in force,\nand has it read its file again. See docs/CONFIG.md."}
	cmd.AddCommand(a.configPrintCommand(), a.configCheckCommand(), a.configDiffCommand(), a.configReloadCommand())
	return cmd
}

// loadConfig reads a configuration as ron-ledgerd would, here.
func (a *app) loadConfig(file, profile string) (*sidecar.Config, error) {
	var args []string
	for _, f := range []struct{ name, value string }{{"--config", file}, {"--profile", profile}, {"--home", a.home}, {"--socket", a.socket}} {
		if f.value != "" {
			args = append(args, f.name, f.value)
		}
	}
	return sidecar.Load(args, os.Environ())
}

func (a *app) configPrintCommand() *cobra.Command {
	var file, profile string
	var defaults, running bool
	cmd := &cobra.Command{
		Use: "print", Short: "print every key with its meaning and value",
		Long: `Print prints a configuration as a file: every key, what it means, what is allowed, and the
value that it has after --config, the environment and --profile. With --defaults it prints the
defaults, with --running what the sidecar has in force, for which the token needs the right to
administer.`,
		Example: "  ledgerctl config print --defaults --profile micronode > micronode.toml\n  ledgerctl config print --config /etc/ron-ledger.toml\n  ledgerctl config print --running",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var text string
			var err error
			switch {
			case defaults && (running || file != ""), running && file != "":
				return usagef("--defaults, --running and --config exclude each other")
			case profile != "" && profile != sidecar.Macronode && profile != sidecar.Micronode:
				return usagef("--profile is %.40q: it is macronode or micronode", profile)
			case defaults:
				text = sidecar.DefaultsTOML(profile)
			case running:
				text, err = a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminConfig})
			default:
				var c *sidecar.Config
				if c, err = a.loadConfig(file, profile); err == nil {
					text = c.TOML()
				}
			}
			if err != nil {
				return err
			}
			if a.json {
				var keys map[string]any
				if err := toml.Unmarshal([]byte(text), &keys); err != nil {
					return fmt.Errorf("read the configuration: %w", err)
				}
				return printJSON(a.stdout, keys)
			}
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "configuration file (default RON_LEDGER_CONFIG)")
	flags.StringVar(&profile, "profile", "", "macronode or micronode")
	flags.BoolVar(&defaults, "defaults", false, "print the defaults of the profile")
	flags.BoolVar(&running, "running", false, "print what the sidecar has in force")
	return cmd
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "read a configuration as ron-ledgerd would, and say what it changes",
		Long: `Check reads the file, with the environment over it, as ron-ledgerd does at its start, and
prints the keys that differ from the defaults. What is wrong is named with its line, and the
exit status is then 1. Files that it names and that are not here are told, and no fault: it may
be meant for another machine. Nothing is started.`,
		Example: "  ledgerctl config check /etc/ron-ledger.toml",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := a.loadConfig(args[0], "")
			if err != nil {
				return err
			}
			changes := sidecar.Defaults(c.Profile).ChangesTo(c)
			if a.json {
				return printJSON(a.stdout, changes)
			}
			return a.printing(func(w *bufio.Writer) error {
				fmt.Fprintf(w, "%s is good: profile %s, keys that differ from its defaults: %d\n", args[0], c.Profile, len(changes))
				printChanges(w, changes)
				for _, missing := range c.MissingFiles() {
					fmt.Fprintf(w, "not on this machine: %s\n", missing)
				}
				return nil
			})
		},
	}
}

func printChanges(w io.Writer, changes []sidecar.Change) {
	word := func(text string) string {
		if text == "" {
			return "none"
		}
		return text
	}
	for _, c := range changes {
		fmt.Fprintf(w, "  %-32s  %s -> %s\n", c.Key, word(c.Before), word(c.After))
	}
}

// errDiffers ends a comparison that has said what differs.
var errDiffers = errors.New("the configurations differ")

func (a *app) configDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "diff [FILE]", Short: "compare what the sidecar has in force with a file",
		Long: `Diff prints the keys whose value in the file, with this environment over it, is another than
the running sidecar has in force, and which of them it would take up when it reads its
configuration again. Without a file it compares with the defaults and the environment. The
exit status is 1 where they differ. The token needs the right to administer.`,
		Example: "  ledgerctl config diff /etc/ron-ledger.toml",
		Args:    between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminConfig})
			if err != nil {
				return err
			}
			running, err := sidecar.ParseConfig(text)
			if err != nil {
				return err
			}
			profile := ""
			if len(args) == 0 {
				profile = running.Profile
			}
			file, err := a.loadConfig(strings.Join(args, ""), profile)
			if err != nil {
				return err
			}
			changes := running.ChangesTo(file)
			if a.json {
				err = printJSON(a.stdout, changes)
			} else {
				err = a.printing(func(w *bufio.Writer) error {
					printSplit(w, changes, "taken up when it is read again (ledgerctl config reload, SIGHUP):", "after a restart:")
					return nil
				})
			}
			if err == nil && len(changes) > 0 {
				err = errDiffers
			}
			return err
		},
	}
}

// printSplit prints what is reloadable, and what is not.
func printSplit(w io.Writer, changes []sidecar.Change, reload, restart string) {
	for _, part := range []struct {
		title  string
		reload bool
	}{{reload, true}, {restart, false}} {
		var list []sidecar.Change
		for _, c := range changes {
			if c.Reload == part.reload {
				list = append(list, c)
			}
		}
		if len(list) > 0 {
			fmt.Fprintln(w, part.title)
			printChanges(w, list)
		}
	}
	if len(changes) == 0 {
		fmt.Fprintln(w, "nothing differs")
	}
}
