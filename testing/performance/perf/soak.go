package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// soakReport is a soak, and its home behind it.
type soakReport struct {
	Machine  machine      `json:"machine"`
	Duration string       `json:"duration"`
	Bench    *benchResult `json:"bench"`
	Missed   bool         `json:"service_levels_missed"`
	Home     homePoint    `json:"home"`
}

// soakFilled is what the home holds when the soak begins: the ledger is as large as it has to stay fast at.
const soakFilled = 50_000_000

// warm fills the home, and the caches by reading from all over it: what is bounded by a setting has reached its bound, and what
// grows from then on is not bounded by one.
func (n *node) warm(ctx context.Context, h *harness) error {
	if _, err := h.burst(ctx, n.home, soakFilled); err != nil {
		return err
	}
	return n.reads(ctx, &homePoint{Entries: soakFilled})
}

// soak fills a home, loads it for long in the same process, opens it again, verifies it and reads from it. It leaves
// soak.json and soak.md, and fails when the home grew or slowed down.
func soak(ctx context.Context, h *harness) error {
	home, err := h.newHome()
	if err != nil {
		return err
	}
	report := soakReport{Machine: thisMachine(h.dir), Duration: h.soak.String()}
	n, err := h.startNode(ctx, home, macronode)
	if err != nil {
		return err
	}
	say("fill it with %d entries", int(soakFilled))
	if err := n.warm(ctx, h); err != nil {
		return errors.Join(err, n.stop())
	}
	say("soak for %v", h.soak)
	report.Bench, err = h.bench(ctx, "--home", home, "--profile", "soak", "--duration", h.soak.String())
	if err := errors.Join(err, n.stop()); err != nil {
		return err
	}
	report.Missed = report.Bench.missed
	if err := report.write(h.out); err != nil { // half an hour is not lost by what follows
		return err
	}
	verified, err := h.verify(ctx, home)
	if err != nil {
		return err
	}
	if report.Home, err = h.point(ctx, home); err != nil {
		return err
	}
	report.Home.VerifyPerSecond = verified
	if err := report.write(h.out); err != nil {
		return err
	}
	if report.Missed {
		return errors.New("the soak missed service levels: see soak.md")
	}
	return nil
}

func (r *soakReport) write(out string) error {
	if err := writeJSON(filepath.Join(out, "soak.json"), r); err != nil {
		return err
	}
	text, err := r.markdown()
	if err != nil {
		return err
	}
	fmt.Print(text)
	return os.WriteFile(filepath.Join(out, "soak.md"), []byte(text), 0o644)
}

func (r *soakReport) markdown() (string, error) {
	var levels []struct {
		Name            string
		Measured, Limit float64
		Pass            bool
	}
	if err := json.Unmarshal(r.Bench.ServiceLevels, &levels); err != nil {
		return "", err
	}
	b := r.Bench
	text := fmt.Sprintf("A soak of %s: %.0f requests/s of one entry, %d entries at its end; p50 %.3g, p95 %.3g, p99 %.3g ms; "+
		"sidecar %.0f %% of a core, everything else besides the load %.0f %%.\n\n| service level | measured | limit | |\n|---|---|---|---|\n",
		r.Duration, b.RequestsPerSecond, b.EndSize, b.Latency.P50, b.Latency.P95, b.Latency.P99, 100*b.ServerCPU, 100*b.OtherCPU)
	for _, l := range levels {
		word := "pass"
		if !l.Pass {
			word = "**FAIL**"
		}
		text += fmt.Sprintf("| %s | %.4g | %.4g | %s |\n", l.Name, l.Measured, l.Limit, word)
	}
	if r.Home.Entries > 0 {
		text += "\nThe home behind it:\n\n" + (&curveReport{Points: []homePoint{r.Home}}).markdown()
	}
	return text, nil
}
