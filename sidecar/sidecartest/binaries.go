package sidecartest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Binaries are the two names of the program, built once for a test run as `just build` does.
type Binaries struct {
	Daemon string // ron-ledgerd
	CLI    string // ledgerctl
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// Build returns the program, built from the working tree. RemoveBuilt removes
// it: a TestMain that uses Build calls it at its end.
func Build(t testing.TB) Binaries {
	t.Helper()
	built.once.Do(func() { built.dir, built.err = build() })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return Binaries{Daemon: filepath.Join(built.dir, "ron-ledgerd"), CLI: filepath.Join(built.dir, "ledgerctl")}
}

func build() (string, error) {
	dir, err := os.MkdirTemp("", "ron-ledger-bin-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "ledgerctl")
	command := exec.Command("go", "build", "-o", program, "github.com/rustyonions/ron-ledger/tools/ledgerctl")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return dir, os.Link(program, filepath.Join(dir, "ron-ledgerd"))
}

// RemoveBuilt removes what Build made.
func RemoveBuilt() error {
	if built.dir == "" {
		return nil
	}
	return os.RemoveAll(built.dir)
}
