package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"ledgerctl":   main,
		"ron-ledgerd": main, // which goes by the name
	})
}

// TestScripts runs the files below testdata/script against a sidecar each.
func TestScripts(t *testing.T) {
	bank, err := filepath.Abs("../../sidecar/sidecartest/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("RON_LEDGER_HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("RON_LEDGER_HTTPS", "127.0.0.1:0")
			env.Setenv("RON_LEDGER_LOG_LEVEL", "error")
			env.Setenv("BANK", bank)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready": ready, "exits": exits, "tlogchecks": tlogchecks,
		},
	})
}

// ready waits until the sidecar takes connections.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	socket := filepath.Join(ts.Getenv("RON_LEDGER_HOME"), sidecar.SocketFile)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist) {
			ts.Fatalf("no sidecar: %v", err)
		}
	}
}

// exits runs a command that ends with a status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	status := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		status = exit.ExitCode()
	}
	if status != want {
		ts.Fatalf("%v: exit status %d, want %d", args[1:], status, want)
	}
}
