package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// tool runs a program whose output matters only when it fails.
func (h *harness) tool(ctx context.Context, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(append(os.Environ(), "CGO_ENABLED=0"), h.env...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, output)
	}
	return nil
}

// benchResult is what `ledgerctl bench --json` says; that program's bench.Result
// describes the members.
type benchResult struct {
	EntriesPerSecond  float64 `json:"entries_per_second"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	Latency           struct {
		P50 float64 `json:"p50"`
		P95 float64 `json:"p95"`
		P99 float64 `json:"p99"`
	} `json:"latency_ms"`
	DrainedMs               float64 `json:"burst_drained_ms"`
	ServerCPU               float64 `json:"server_cpu_cores"`
	ServerCPUMicrosPerEntry float64 `json:"server_cpu_us_per_entry"`
	OtherCPU                float64 `json:"other_cpu_cores"`
	RSSMaxBytes             int64   `json:"rss_max_bytes"`
	BusyShare               float64 `json:"busy_share"`
	Gapless                 bool    `json:"gapless"`
	EndSize                 uint64  `json:"end_size"`
	Roots                   struct {
		Poll struct {
			P95 float64 `json:"p95"`
		} `json:"poll_ms"`
		Lag struct {
			P99 float64 `json:"p99"`
		} `json:"lag_ms"`
	} `json:"roots"`
	Calibration struct {
		HashesPerSecond float64 `json:"blake3_hashes_per_second"`
		FdatasyncP50Ms  float64 `json:"fdatasync_p50_ms"`
	} `json:"calibration"`
	Soak          json.RawMessage `json:"soak,omitempty"`
	ServiceLevels json.RawMessage `json:"service_levels"`

	missed bool // service levels were
}

// bench runs `ledgerctl bench` with these flags. That a service level was missed is no
// error: the figures are judged here.
func (h *harness) bench(ctx context.Context, args ...string) (*benchResult, error) {
	text, status, err := h.ledgerctl(ctx, append([]string{"bench", "--json"}, args...)...)
	if err != nil {
		return nil, err
	}
	r := &benchResult{missed: status != 0}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read what bench says: %w\n%s", err, text)
	}
	return r, nil
}

// spawned runs it against a sidecar that it starts.
func (h *harness) spawned(ctx context.Context, args ...string) (*benchResult, error) {
	return h.bench(ctx, append([]string{"--spawn", "--dir", h.scratch}, args...)...)
}

// ledgerctl returns the output and the exit status, 0 or 1.
func (h *harness) ledgerctl(ctx context.Context, args ...string) (output []byte, status int, err error) {
	command := exec.CommandContext(ctx, filepath.Join(h.bin, "ledgerctl"), args...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = time.Minute
	command.Env = append(os.Environ(), h.env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err = command.Output()
	exit := new(exec.ExitError)
	if errors.As(err, &exit) && exit.ExitCode() == 1 && len(output) > 0 {
		return output, 1, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("ledgerctl %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return output, 0, nil
}

var benchmarkMetric = regexp.MustCompile(`([0-9.e+]+) ([A-Za-z]+/[A-Za-z]+)`)

// benchmarked runs one benchmark of a package and returns its metrics by unit.
func (h *harness) benchmarked(ctx context.Context, pkg, name, length string) (map[string]float64, error) {
	args := []string{"-test.run", "^$", "-test.bench", name, "-test.benchtime", length, "-test.benchmem"}
	command := exec.CommandContext(ctx, h.benchmark(pkg), args...)
	command.Dir = h.scratch
	command.Env = append(os.Environ(), "TMPDIR="+h.scratch) // the disk that is measured
	output, err := command.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("run benchmark %s of %s: %w\n%s", name, pkg, err, output)
	}
	metrics := parseBenchmark(string(output))
	if len(metrics) == 0 {
		return nil, fmt.Errorf("run benchmark %s of %s: it printed no figure:\n%s", name, pkg, output)
	}
	return metrics, nil
}

// parseBenchmark reads the first line of a result.
func parseBenchmark(output string) map[string]float64 {
	metrics := map[string]float64{}
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "Benchmark") || !strings.Contains(line, "ns/op") {
			continue
		}
		for _, m := range benchmarkMetric.FindAllStringSubmatch(line, -1) {
			if value, err := strconv.ParseFloat(m[1], 64); err == nil {
				metrics[m[2]] = value
			}
		}
		return metrics
	}
	return metrics
}

// barePebble returns how many entries a second a Pebble without us takes.
func (h *harness) barePebble(ctx context.Context, length string) (float64, error) {
	m, err := h.benchmarked(ctx, "store", "^BenchmarkBarePebble$", length)
	if err != nil {
		return 0, err
	}
	return m["entries/s"], nil
}
