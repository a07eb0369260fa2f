package sidecartest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// runDaemon runs ron-ledgerd, which is expected to refuse to start, and returns
// what it printed and its exit status.
func runDaemon(t *testing.T, bin Binaries, as *syscall.Credential, env []string, args ...string) (output string, exit int) {
	t.Helper()
	command := exec.Command(bin.Daemon, args...)
	command.Env = append(os.Environ(), env...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	printed, err := command.CombinedOutput()
	if err == nil {
		t.Fatalf("ron-ledgerd %s started and stopped\n%s", strings.Join(args, " "), printed)
	}
	return string(printed), command.ProcessState.ExitCode()
}

// TestRefusedStarts holds what a start says that cannot be: what is wrong, where,
// and what to do.
func TestRefusedStarts(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	running := StartProcess(t, bin, home)
	file := filepath.Join(ShortDir(t), "file")
	if err := os.WriteFile(file, []byte("profil = \"macronode\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := ShortDir(t)
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(ShortDir(t), "link")
	if err := os.Symlink(home, link); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(ShortDir(t), strings.Repeat("long/", 30))
	for _, c := range []struct {
		name string
		env  []string
		args []string
		exit int
		says []string
	}{
		{"a second instance", nil, []string{"--home", home}, 1, []string{"another ron-ledgerd", home}},
		{"a home below a file", nil, []string{"--home", filepath.Join(file, "home")}, 1, []string{"make home", "--home"}},
		{"a home that others can read", nil, []string{"--home", open}, 1, []string{"chmod", open}},
		{"a home behind a link", nil, []string{"--home", link}, 1, []string{link}},
		{"a socket path that is too long", nil, []string{"--home", ShortDir(t), "--socket", long}, 1, []string{"107"}},
		{"an unknown key in the file", nil, []string{"--home", ShortDir(t), "--config", file}, 2, []string{"profil", "1"}},
		{"an unknown flag", nil, []string{"--hom", home}, 2, []string{"hom", "--help"}},
		{"an unknown profile", nil, []string{"--profile", "nanonode"}, 2, []string{"nanonode", "micronode"}},
		{"a variable that names no key", []string{"RON_LEDGER_COMMIT_SIZE=4"}, []string{"--home", home}, 2, []string{"RON_LEDGER_COMMIT_SIZE"}},
		{"a number out of bounds", []string{"RON_LEDGER_QUEUES_COMMIT=0"}, []string{"--home", home}, 2, []string{"queues.commit", "1.."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			output, exit := runDaemon(t, bin, nil, c.env, append([]string{"--https", "127.0.0.1:0"}, c.args...)...)
			if exit != c.exit {
				t.Errorf("exit status %d, want %d", exit, c.exit)
			}
			for _, text := range c.says {
				if !strings.Contains(output, text) {
					t.Errorf("it says %q, want …%s…", output, text)
				}
			}
			if strings.Contains(output, "goroutine ") {
				t.Errorf("it panics: %s", output)
			}
		})
	}
	if summary, exit := running.Append(BankJournal(t)); exit != 3 || summary.Accepted != BankAccepted {
		t.Errorf("the instance that runs was disturbed: exit %d, %+v", exit, summary)
	}
}

// TestHomeOfAnotherUID starts as a uid that may not write the home.
func TestHomeOfAnotherUID(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: another uid cannot be taken, the refusal of a home below a file stands for it")
		return
	}
	bin, home := Build(t), ShortDir(t)
	if err := os.Chmod(filepath.Dir(bin.Daemon), 0o755); err != nil {
		t.Fatal(err)
	}
	output, exit := runDaemon(t, bin, &syscall.Credential{Uid: 54321, Gid: 54321}, nil, "--home", home, "--https", "127.0.0.1:0")
	if exit != 1 || !strings.Contains(output, home) || !strings.Contains(output, "chown") {
		t.Errorf("exit status %d, it says %q", exit, output)
	}
}
