package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/bench"
)

// benchProgramEnv makes the test binary the program, so that a bench can start its
// sidecar from it.
const benchProgramEnv = "LEDGERCTL_BENCH_PROGRAM"

func init() {
	if os.Getenv(benchProgramEnv) != "" {
		main()
	}
}

func TestBenchSpawn(t *testing.T) {
	for _, profile := range []string{"micronode", "roots", ""} {
		t.Run("profile "+profile, func(t *testing.T) {
			t.Parallel()
			args := []string{"bench", "--spawn", "--json", "--dir", t.TempDir(), "--duration", "1s", "--warmup", "200ms", "--connections", "4", "--accounts", "100"}
			if profile != "" {
				args = append(args, "--profile", profile, "--rate", "100")
			}
			if profile == "roots" {
				args = append(args, "--readers", "10")
			}
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Env = append(os.Environ(), benchProgramEnv+"=1")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			var r bench.Result
			if jsonErr := json.Unmarshal(out, &r); jsonErr != nil {
				t.Fatalf("%v: %v\n%s%s", err, jsonErr, out, &stderr)
			}
			checkBenchResult(t, &r, profile)
		})
	}
}

// checkBenchResult looks at what does not depend on how fast the machine is.
func checkBenchResult(t *testing.T, r *bench.Result, profile string) {
	t.Helper()
	if !r.Gapless || r.Duplicates != 0 || r.FailureShare != 0 || r.Entries == 0 || r.EndSize-r.StartSize != r.Accepted {
		t.Errorf("gapless %v, %d duplicates, failures %v, %d entries, accepted %d from %d to %d",
			r.Gapless, r.Duplicates, r.FailureShare, r.Entries, r.Accepted, r.StartSize, r.EndSize)
	}
	if r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P99 || r.RSSMaxBytes == 0 || r.Descriptors == 0 || r.ReadyMs <= 0 || r.Calibration == nil {
		t.Errorf("a figure is missing: %+v", r)
	}
	if profile == "roots" && (r.Roots == nil || r.Roots.Seen == 0 || r.Roots.Failures != 0 || r.FsyncP99Ms == nil) {
		t.Errorf("readers saw %+v, fsync p99 %v", r.Roots, r.FsyncP99Ms)
	}
	if profile == "micronode" && r.Node != "micronode" {
		t.Errorf("the sidecar is a %s", r.Node)
	}
}
