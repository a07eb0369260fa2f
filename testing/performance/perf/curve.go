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
	Machine machine     `json:"machine"`
	Points  []homePoint `json:"points"`
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
	booked, written := 0.0, 0.0 // entries by fills, and bytes to the disk for them
	for i, millions := range curveMillions {
		if millions > h.most {
			break
		}
		entries, bytes, err := h.fill(ctx, home, uint64(millions*1e6))
		if err != nil {
			return err
		}
		p, err := h.point(ctx, home)
		if err != nil {
			return err
		}
		booked, written = booked+entries, written+bytes
		p.WriteAmplification = written / (booked * entryBytes)
		last := i+1 == len(curveMillions) || curveMillions[i+1] > h.most
		if last || millions == tenMillion/1e6 {
			if p.VerifyPerSecond, err = h.verify(ctx, home); err != nil {
				return err
			}
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
	return nil
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
		"proof p50 / p99 ms | look-up p50 / p99 ms | written, × of entries | verified entries/s |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range r.Points {
		verified := ""
		if p.VerifyPerSecond > 0 {
			verified = figure(p.VerifyPerSecond)
		}
		fmt.Fprintf(&b, "| %.1f M | %.0f | %.3g / %.3g | %.0f | %.0f | %.0f / %.0f | %.2g / %.2g | %.2g / %.2g | %.2g | %s |\n",
			float64(p.Entries)/1e6, p.EntriesPerSecond, p.P50, p.P99, p.RSSMiB, p.DiskBytesPerEntry,
			p.ReadyCleanMs, p.ReadyKilledMs, p.ProofP50, p.ProofP99, p.FindP50, p.FindP99, p.WriteAmplification, verified)
	}
	return b.String()
}

// readCurve returns the points of the curve that lies in a folder, none where there is none.
func readCurve(out string) []homePoint {
	text, err := os.ReadFile(filepath.Join(out, "curve.json"))
	var r curveReport
	if err != nil || json.Unmarshal(text, &r) != nil {
		return nil
	}
	return r.Points
}

// curvePoint returns the point of the curve at a size, up to a tenth above it.
func curvePoint(out string, entries uint64) *homePoint {
	for _, p := range readCurve(out) {
		if p.Entries >= entries && p.Entries <= entries+entries/10 && p.VerifyPerSecond > 0 && p.WriteAmplification > 0 {
			return &p
		}
	}
	return nil
}

// curveGoal is the row of the curve that lies in a folder, none where there is none.
func curveGoal(out string) []goal {
	points := readCurve(out)
	if len(points) < 2 {
		return nil
	}
	first, last := points[0], points[len(points)-1]
	return []goal{{Name: fmt.Sprintf("throughput at %.0f M entries, of that at %.0f M", float64(last.Entries)/1e6, float64(first.Entries)/1e6), Unit: "×",
		Want: 0.85, Beyond: 0.95, More: true, Measured: last.EntriesPerSecond / first.EntriesPerSecond, Command: "`just curve`"}}
}
