package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write leaves gate.json and gate.md.
func (r *gateReport) write(out string) error {
	if err := writeJSON(filepath.Join(out, "gate.json"), r); err != nil {
		return err
	}
	text := r.markdown()
	fmt.Print(text)
	return os.WriteFile(filepath.Join(out, "gate.md"), []byte(text), 0o644)
}

func (r *gateReport) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Performance against the baselines\n\n%s, %d cores, %s, kernel %s, %s; %s",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Filesystem, r.Machine.Kernel, r.Machine.Go, r.Time.Format("2006-01-02 15:04 UTC"))
	if r.Short {
		b.WriteString("; short form: latencies and the CPU at a rate are left to the long one")
	}
	b.WriteString(".\n")
	if r.Vectors != "" {
		fmt.Fprintf(&b, "Canonical vectors: %s.\n", r.Vectors)
	}
	for _, profile := range []string{micronode, macronode} {
		p := r.Profiles[profile]
		fmt.Fprintf(&b, "\n## %s\n\nCalibration: %.0f hashes/s, fdatasync %.3f ms, bare Pebble %.0f entries/s; everything else used up to %.2f cores.\n"+
			"/metrics behind the closed loop: `%s`.\n\n", profile, p.Calibration.HashesPerSecond, p.Calibration.FdatasyncP50Ms,
			p.Calibration.BarePebblePerSecond, p.OtherCPU, p.Metrics)
		if p.Foreign {
			fmt.Fprintf(&b, "The baseline is of another kind of machine: what depends on the machine may be worse by %.0f %%.\n\n", 100*toleranceForeign)
		}
		if p.Attempts > 1 {
			fmt.Fprintf(&b, "Of attempt %d.\n\n", p.Attempts)
		}
		b.WriteString(verdictTable(p.Verdicts))
	}
	if r.Pass {
		b.WriteString("\nPass: both profiles hold.\n")
	} else {
		b.WriteString("\n**Fail.** A change that is meant to cost this is waived by a line of the baseline's `history`.\n")
	}
	return b.String()
}

func verdictTable(all []verdict) string {
	if len(all) == 0 {
		return "Written as the new baseline.\n"
	}
	var b strings.Builder
	b.WriteString("| figure | measured | ratio | baseline | worse by | allowed | |\n|---|---|---|---|---|---|---|\n")
	for _, v := range all {
		word := "pass"
		if v.Waived {
			word += ", against a waiver"
		}
		if !v.Pass {
			word = "**FAIL**"
		}
		if v.Baseline == 0 { // an absolute bound
			fmt.Fprintf(&b, "| %s | %.4g | | | | %.4g | %s |\n", v.Figure, v.Measured, v.Tolerance, word)
			continue
		}
		fmt.Fprintf(&b, "| %s | %.4g | %.4g | %.4g | %+.1f %% | %.0f %% | %s |\n",
			v.Figure, v.Measured, v.Ratio, v.Baseline, 100*v.Worse, 100*v.Tolerance, word)
	}
	return b.String()
}
