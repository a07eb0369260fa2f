package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/wire/client"
)

// node is a sidecar that runs on a home which outlives it.
type node struct {
	home    string
	process *exec.Cmd
	ready   time.Duration // from the start of the process to an answered HELLO
}

// startNode starts the sidecar and waits until it answers.
func (h *harness) startNode(ctx context.Context, home, profile string) (*node, error) {
	n := &node{home: home}
	n.process = exec.CommandContext(ctx, filepath.Join(h.bin, "ron-ledgerd"),
		"--home", home, "--profile", profile, "--https", "127.0.0.1:0", "--log-level", "error")
	n.process.Stdout, n.process.Stderr = io.Discard, os.Stderr
	n.process.Cancel = func() error { return n.process.Process.Signal(syscall.SIGTERM) }
	n.process.WaitDelay = time.Minute
	started := time.Now()
	if err := n.process.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	for {
		c, err := n.dial(ctx)
		if err == nil {
			n.ready = time.Since(started)
			return n, c.Close()
		}
		if ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("start ron-ledgerd on %s: %w", home, err), n.kill())
		}
		time.Sleep(time.Millisecond)
	}
}

func (n *node) dial(ctx context.Context) (*client.Client, error) {
	o := client.Options{Name: "perf", Socket: filepath.Join(n.home, "ledger.sock"), TokenFile: filepath.Join(n.home, "token")}
	return client.Dial(ctx, o)
}

// stop ends it as an operator does.
func (n *node) stop() error {
	if err := n.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := n.process.Wait(); err != nil {
		return fmt.Errorf("stop ron-ledgerd: %w", err)
	}
	return nil
}

// kill ends it as a crash does.
func (n *node) kill() error {
	if err := n.process.Process.Kill(); err != nil {
		return err
	}
	_ = n.process.Wait() // it was killed
	return nil
}

func (n *node) rssMiB() float64 {
	return n.kernelFigure("status", "VmRSS:") / 1024 // kB
}

// written returns the bytes that it has had written to the disk (proc(5)).
func (n *node) written() float64 { return n.kernelFigure("io", "write_bytes:") }

func (n *node) kernelFigure(file, name string) float64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.process.Process.Pid), file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
			x, _ := strconv.ParseFloat(number, 64)
			return x
		}
	}
	return 0
}

// diskBytes returns what the files below a folder take on the disk.
func diskBytes(folder string) (total int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil // replaced meanwhile
		}
		if err != nil {
			return err
		}
		total += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return total, err
}
