package main

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func commandTree(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	a := &app{env: func(string) string { return "" }}
	root := a.rootCommand()
	root.InitDefaultCompletionCmd()
	err := eachCommand(root, func(c *cobra.Command) error {
		all = append(all, c)
		return nil
	})
	if err != nil || len(all) < 30 {
		t.Fatalf("%d commands, %v", len(all), err)
	}
	return all
}

// TestHelp holds every command to the same look: one line that begins small and has no full
// stop, a text that says more and stays within a terminal, and an example that begins with
// the command itself.
func TestHelp(t *testing.T) {
	for _, c := range commandTree(t) {
		if strings.HasPrefix(c.CommandPath(), "ledgerctl completion") {
			continue // the words are cobra's
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Short[0] < 'a' || c.Short[0] > 'z' {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		if len(c.Long) < len(c.Short) {
			t.Errorf("%s: the help says no more than its first line", c.CommandPath())
		}
		if c.Runnable() && !c.HasSubCommands() {
			first, _, _ := strings.Cut(strings.TrimSpace(c.Example), "\n")
			if !strings.Contains(c.Example, c.CommandPath()) || !strings.Contains(first, "ledgerctl") {
				t.Errorf("%s: the example is %q", c.CommandPath(), c.Example)
			}
		}
	}
}

var (
	roffRequest = regexp.MustCompile(`^\.(TH|SH|B|BR|TP|nf|fi)( |$)`)
	bareHyphen  = regexp.MustCompile(`(^|[^\\])-`)
)

// TestManPages reads every page as roff does: a line that begins with a dot is one of the
// macros that are used, .nf and .fi alternate, and nothing is left to be taken for another character.
func TestManPages(t *testing.T) {
	for _, c := range commandTree(t) {
		page := manPage(c)
		verbatim := false
		var sections []string
		for line := range strings.Lines(page) {
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !roffRequest.MatchString(line) {
				t.Errorf("%s: roff would carry out %q", c.CommandPath(), line)
			}
			if line == ".nf" || line == ".fi" {
				if verbatim == (line == ".nf") {
					t.Errorf("%s: %s twice", c.CommandPath(), line)
				}
				verbatim = !verbatim
			}
			if title, ok := strings.CutPrefix(line, ".SH "); ok {
				sections = append(sections, title)
			} else if !strings.HasPrefix(line, ".TH") && bareHyphen.MatchString(line) {
				t.Errorf("%s: a hyphen, which is typeset as one and cannot be copied: %q", c.CommandPath(), line)
			}
		}
		if verbatim {
			t.Errorf("%s: .nf without .fi", c.CommandPath())
		}
		if !slices.Contains(sections, "NAME") || !slices.Contains(sections, "DESCRIPTION") || !slices.Contains(sections, "OPTIONS") {
			t.Errorf("%s: sections %v", c.CommandPath(), sections)
		}
	}
}

// TestCompletionOfBash has bash read its completion.
func TestCompletionOfBash(t *testing.T) {
	var out strings.Builder
	a := &app{stdout: &out, stderr: &out, env: func(string) string { return "" }}
	if status := a.run(t.Context(), []string{"completion", "bash"}); status != exitOK {
		t.Fatalf("status %d\n%s", status, out.String())
	}
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(out.String())
	if output, err := check.CombinedOutput(); err != nil {
		t.Fatalf("bash does not read it: %v\n%s", err, output)
	}
	for _, shell := range []string{"zsh", "fish"} {
		out.Reset()
		if status := a.run(t.Context(), []string{"completion", shell}); status != exitOK || !strings.Contains(out.String(), "__complete") {
			t.Errorf("%s: status %d", shell, status)
		}
	}
	out.Reset()
	if a.run(t.Context(), []string{"__complete", "bal"}); !strings.Contains(out.String(), "balances\t") || strings.Contains(out.String(), "append") {
		t.Errorf("completes bal to %s", out.String())
	}
}
