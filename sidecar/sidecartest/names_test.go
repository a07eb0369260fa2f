package sidecartest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNames holds the one program to its two names: what it is called by, over a link of
// either kind and in any folder, decides what it is.
func TestNames(t *testing.T) {
	bin := Build(t)
	one, err := os.Stat(bin.CLI)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := os.Stat(bin.Daemon); err != nil || !os.SameFile(one, other) {
		t.Fatalf("ron-ledgerd is not the file of ledgerctl: %v", err)
	}
	link := filepath.Join(t.TempDir(), "ron-ledgerd")
	if err := os.Symlink(bin.CLI, link); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		program, args, want string
		status              int
	}{
		{bin.Daemon, "--version", "ron-ledgerd ", 0},
		{link, "--version", "ron-ledgerd ", 0},
		{bin.CLI, "version", "ledgerctl ", 0},
		{bin.Daemon, "version", "ron-ledgerd: ", 2}, // no command of ledgerctl
		{bin.Daemon, "demo", "ron-ledgerd: ", 2},
		{bin.Daemon, "--profile nanonode", "ron-ledgerd: ", 2},
		{bin.Daemon, "--home /dev/null/x", "ron-ledgerd: ", 1},
		{bin.CLI, "--version", "ledgerctl: ", 2},
	} {
		command := exec.Command(tc.program, strings.Fields(tc.args)...)
		output, _ := command.CombinedOutput()
		if got := command.ProcessState.ExitCode(); got != tc.status || !strings.HasPrefix(string(output), tc.want) {
			t.Errorf("%s %s: exit status %d, %q, want %d and %q", tc.program, tc.args, got, output, tc.status, tc.want)
		}
	}
}
