package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// served starts this program again as the server of a peer, which prints where it listens.
func served(ctx context.Context, name, dir string) (address string, i *instance, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	command := exec.CommandContext(ctx, self, "serve", name, dir)
	command.Stderr = os.Stderr
	leash, err := command.StdinPipe() // the server ends when this does
	if err != nil {
		return "", nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, err
	}
	i = &instance{pids: []int{command.Process.Pid}, stop: func() error {
		err := errors.Join(leash.Close(), command.Process.Kill())
		_ = command.Wait() // it was killed
		return err
	}}
	lines := bufio.NewReader(output)
	for { // what servers say for themselves comes first
		line, err := lines.ReadString('\n')
		if err != nil {
			return "", nil, errors.Join(fmt.Errorf("the server of %s did not start: %w", name, err), i.stop())
		}
		if address, found := strings.CutPrefix(line, listening); found {
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return strings.TrimSpace(address), i, nil
		}
	}
}

// listening is before the address that a server prints.
const listening = "listening: "

// serve runs the server of a peer until its input ends.
func serve(name, dir string) error {
	start, known := map[string]func(string) (string, error){
		jetStreamPeer.name: serveJetStream, etcdPeer.name: serveEtcd, immudbPeer.name: serveImmudb,
	}[name]
	if !known {
		return fmt.Errorf("%q has no server here", name)
	}
	address, err := start(dir)
	if err != nil {
		return err
	}
	fmt.Println(listening + address)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// freePort returns a port of the loopback that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// ours runs one load of `ledgerctl bench`.
func ours(ctx context.Context, ledgerctl, scratch string, s shape, length time.Duration) (f figures, err error) {
	args := append([]string{"bench", "--json", "--spawn", "--dir", scratch, "--warmup", warmup.String(), "--duration", length.String()}, s.bench...)
	output, err := exec.CommandContext(ctx, ledgerctl, args...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) && len(output) > 0 {
		err = nil // a service level was missed; the figures are there
	}
	if err != nil {
		return f, err
	}
	var r struct {
		EntriesPerSecond float64 `json:"entries_per_second"`
		Latency          struct {
			P50 float64 `json:"p50"`
			P99 float64 `json:"p99"`
		} `json:"latency_ms"`
		CPU float64 `json:"server_cpu_us_per_entry"`
		RSS float64 `json:"rss_max_bytes"`
	}
	if err := json.Unmarshal(output, &r); err != nil {
		return f, err
	}
	return figures{EntriesPerSecond: r.EntriesPerSecond, P50: r.Latency.P50, P99: r.Latency.P99, CPUMicros: r.CPU, RSSMiB: r.RSS / (1 << 20)}, nil
}

// children returns a process and those that it started.
func children(pid int) []int {
	all := []int{pid}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return all
	}
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(all, child)
		}
	}
	return all
}
