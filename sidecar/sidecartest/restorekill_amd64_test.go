package sidecartest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/trace"
)

// TestRestoreKilled ends ledgerctl restore and ledgerctl snapshot restore with SIGKILL at every
// RESTORE_STRIDE-th change of a file, 40 unless told, from RESTORE_FROM on, the first unless told: what is
// left is the whole ledger, or a start refuses it, or nothing was begun; and the same command, again, makes
// the whole ledger.
func TestRestoreKilled(t *testing.T) {
	stride, from := int(setting(t, "RESTORE_STRIDE", 40)), int(setting(t, "RESTORE_FROM", 1))
	bin := Build(t)
	archived, home := filepath.Join(ShortDir(t), "archive"), filepath.Join(ShortDir(t), "home")
	const entries = 600
	mintIn(t, home, archived, 1, entries)
	file := filepath.Join(t.TempDir(), "snapshot")
	var snapshot bytes.Buffer
	if _, err := sidecar.SnapshotHome(home, &snapshot); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, snapshot.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"archive": {"restore", "--archive", archived}, "snapshot": {"snapshot", "restore", file}} {
		t.Run(name, func(t *testing.T) {
			runs, refused, whole, calls := 0, 0, 0, 0
			for at := from; ; at += stride {
				into := filepath.Join(ShortDir(t), "home")
				met, err := killRestore(bin, append(args, "--home", into), at, &calls)
				if err != nil {
					t.Fatalf("call %d: %v", at, err)
				}
				half := checkHalf(t, into)
				switch {
				case half == nil && isHome(into):
					whole++
				case half != nil:
					refused++
				}
				if half != nil || !isHome(into) {
					if out, err := exec.Command(bin.CLI, append(args, "--home", into)...).CombinedOutput(); err != nil {
						t.Fatalf("behind %s: again: %v\n%s", met, err, out)
					}
				}
				if report, err := sidecar.Verify(t.Context(), into, nil); err != nil || report.Size != entries+1 {
					t.Fatalf("behind %s: %d entries: %v", met, report.Size, err)
				}
				if met == "" {
					break // the run ended before it
				}
				runs++
			}
			t.Logf("%d kills at one of %d changes each: %d starts refused, %d homes whole", runs, calls, refused, whole)
			if runs == 0 || refused == 0 {
				t.Error("it has tested nothing")
			}
		})
	}
}

// changes reports whether a call changes a file.
func changes(c trace.Call) bool {
	switch c.Name {
	case "write", "pwrite64", "openat", "mkdirat", "linkat", "renameat", "renameat2", "unlinkat", "fsync", "fdatasync", "ftruncate", "sync_file_range":
		return strings.HasPrefix(c.Path, "/") && !strings.HasPrefix(c.Path, "/proc") && !strings.HasPrefix(c.Path, "/sys")
	}
	return false
}

// killRestore runs a restore and ends it at its at-th change of a file, which it returns; empty where it
// ended before that.
func killRestore(bin Binaries, args []string, at int, calls *int) (met string, err error) {
	output, err := os.CreateTemp("", "rl-output")
	if err != nil {
		return "", err
	}
	defer func() { _ = errors.Join(output.Close(), os.Remove(output.Name())) }()
	command := exec.Command(bin.CLI, args...)
	command.Stdout, command.Stderr = output, output
	n := 0
	p, err := trace.Start(command, trace.Options{Decide: func(c trace.Call) trace.Verdict {
		if met != "" || !changes(c) {
			return trace.Verdict{}
		}
		if n++; n < at {
			return trace.Verdict{}
		}
		met = fmt.Sprintf("change %d, %s %s", n, c.Name, c.Path)
		return trace.Verdict{Kill: true}
	}})
	if err != nil {
		return "", err
	}
	status, err := p.Wait(runTimeout)
	*calls = max(*calls, n)
	if err == nil && !status.Signaled() && (met != "" || status.ExitStatus() != 0) {
		text, _ := os.ReadFile(output.Name())
		err = fmt.Errorf("exit status %d\n%s", status.ExitStatus(), text)
	}
	return met, err
}

func isHome(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "meta"))
	return err == nil
}

// checkHalf starts a sidecar in a home where a restore was begun, and returns why it refuses. Where
// nothing lies of the restore none is started: it would make a new ledger there.
func checkHalf(t *testing.T, home string) error {
	t.Helper()
	if _, err := os.Stat(filepath.Join(home, ".restore")); errors.Is(err, fs.ErrNotExist) {
		for _, part := range []string{"log", "state", "head"} {
			if _, err := os.Stat(filepath.Join(home, part)); err == nil && !isHome(home) {
				t.Errorf("%s lies there, and nothing says that a restore was begun", part)
			}
		}
		return nil
	}
	if isHome(home) {
		return nil
	}
	config := sidecar.Defaults(sidecar.Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = home, "127.0.0.1:0", "error"
	s, err := sidecar.Start(t.Context(), config)
	if err == nil {
		t.Errorf("a start takes %s, where a restore was interrupted: %v", home, s.Close(t.Context()))
		return nil
	}
	if !strings.Contains(err.Error(), "a restore into it was interrupted: run it again") {
		t.Errorf("a start says: %v", err)
	}
	return err
}
