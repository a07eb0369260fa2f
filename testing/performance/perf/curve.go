package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// curveReport is what one home was like at each size.
type curveReport struct {
	Machine         machine     `json:"machine"`
	Points          []homePoint `json:"points"`
	VerifyPerSecond float64     `json:"verify_entries_per_second"` // at the last size
}

var curveMillions = []float64{1, 3, 10, 30, 50, 100}

// curve fills one home and measures it on the way. It leaves curve.json, curve.md and
// curve.svg.
func curve(ctx context.Context, h *harness) error {
	home, err := h.newHome()
	if err != nil {
		return err
	}
	report := curveReport{Machine: thisMachine(h.dir)}
	for _, millions := range curveMillions {
		if millions > h.most {
			break
		}
		if err := h.fill(ctx, home, uint64(millions*1e6)); err != nil {
			return err
		}
		p, err := h.point(ctx, home)
		if err != nil {
			return err
		}
		say("%+v", p)
		report.Points = append(report.Points, p)
		if err := report.write(h.out); err != nil { // what there is so far
			return err
		}
	}
	if len(report.Points) == 0 {
		return fmt.Errorf("-most %v is below the first size of %v million entries", h.most, curveMillions[0])
	}
	if report.VerifyPerSecond, err = h.verify(ctx, home); err != nil {
		return err
	}
	return report.write(h.out)
}

func (r *curveReport) write(out string) error {
	if err := writeJSON(filepath.Join(out, "curve.json"), r); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "curve.md"), []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "curve.svg"), []byte(curvePlot(r.Points)), 0o644)
}

func (r *curveReport) markdown() string {
	var b strings.Builder
	b.WriteString("| entries | entries/s | p50 / p99 ms | RSS MiB | disk bytes an entry | ready, clean / killed ms | " +
		"proof p50 / p99 ms | look-up p50 / p99 ms |\n|---|---|---|---|---|---|---|---|\n")
	for _, p := range r.Points {
		fmt.Fprintf(&b, "| %.1f M | %.0f | %.3g / %.3g | %.0f | %.0f | %.0f / %.0f | %.2g / %.2g | %.2g / %.2g |\n",
			float64(p.Entries)/1e6, p.EntriesPerSecond, p.P50, p.P99, p.RSSMiB, p.DiskBytesPerEntry,
			p.ReadyCleanMs, p.ReadyKilledMs, p.ProofP50, p.ProofP99, p.FindP50, p.FindP99)
	}
	if r.VerifyPerSecond > 0 {
		fmt.Fprintf(&b, "\nVerified as a whole at the end: %.0f entries/s.\n", r.VerifyPerSecond)
	}
	return b.String()
}

// curveGoal is the row of the curve that lies in a folder, none where there is none.
func curveGoal(out string) []goal {
	text, err := os.ReadFile(filepath.Join(out, "curve.json"))
	var r curveReport
	if err != nil || json.Unmarshal(text, &r) != nil || len(r.Points) < 2 {
		return nil
	}
	first, last := r.Points[0], r.Points[len(r.Points)-1]
	return []goal{{Name: fmt.Sprintf("throughput at %.0f M entries, of that at %.0f M", float64(last.Entries)/1e6, float64(first.Entries)/1e6), Unit: "×",
		Want: 0.85, Beyond: 0.95, More: true, Measured: last.EntriesPerSecond / first.EntriesPerSecond, Command: "`just curve`"}}
}
