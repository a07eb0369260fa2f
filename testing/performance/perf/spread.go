package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
)

// spreadReport says how far the short form strays on one tree.
type spreadReport struct {
	Times    int                             `json:"times"`
	Profiles map[string]map[string]deviation `json:"profiles"`
	Rounds   map[string][]round              `json:"rounds"`
}

// deviation is that of one ratio: from the median to the worst, as the gate counts it.
type deviation struct {
	Median    float64 `json:"median"`
	Worst     float64 `json:"worst"` // 0.1: a tenth worse than the median
	Tolerance float64 `json:"tolerance"`
}

// spreadMargin is what a tolerance adds to the worst that was seen of an unchanged tree:
// thirty runs do not show the worst that there is.
const spreadMargin = 1.5

// spread repeats the short form. With --write the medians go into the baselines, and as
// tolerances spreadMargin times the worst deviation, but not less than those of the long form, nor than toleranceShort.
func spread(ctx context.Context, h *harness) error {
	h.short = true
	if h.times == 0 {
		h.times = 30
	}
	times, l := h.times, h.gateLoad()
	l.times = 1
	report := spreadReport{Times: times, Profiles: map[string]map[string]deviation{}, Rounds: map[string][]round{}}
	for _, profile := range []string{micronode, macronode} {
		for i := range times {
			say("%s: %d of %d", profile, i+1, times)
			r, err := h.measureRound(ctx, profile, l)
			if err != nil {
				return err
			}
			report.Rounds[profile] = append(report.Rounds[profile], r)
		}
		report.Profiles[profile] = deviations(profile, report.Rounds[profile])
		printDeviations(profile, report.Profiles[profile])
		if h.write {
			if err := h.writeTolerances(profile, &report); err != nil {
				return err
			}
		}
	}
	return writeJSON(filepath.Join(h.out, "spread.json"), &report)
}

// deviations holds every round against the middle of them.
func deviations(profile string, all []round) map[string]deviation {
	result := map[string]deviation{}
	for _, g := range gatedFigures(profile) {
		if g.long {
			continue
		}
		ratio := func(r *round) float64 { return g.ratio(g.of(&r.Figures), &r.Calibration) }
		d := deviation{Median: medianOf(all, ratio)}
		for i := range all {
			worse := ratio(&all[i])/d.Median - 1
			if g.more {
				worse = d.Median/ratio(&all[i]) - 1
			}
			d.Worst = math.Max(d.Worst, worse)
		}
		least := g.tolerance
		switch {
		case g.divided():
			least = toleranceShort
		case g.name == "allocs_per_entry":
			least = toleranceGrouped
		}
		d.Tolerance = math.Max(least, math.Ceil(100*spreadMargin*d.Worst)/100)
		result[g.name] = d
	}
	return result
}

func printDeviations(profile string, all map[string]deviation) {
	fmt.Printf("%s\n\n| figure | median ratio | worst, against it | tolerance |\n|---|---|---|---|\n", profile)
	for _, g := range gatedFigures(profile) {
		d, ok := all[g.name]
		if !ok {
			continue
		}
		fmt.Printf("| %s | %.4g | %+.1f %% | %.0f %% |\n", g.name, d.Median, 100*d.Worst, 100*d.Tolerance)
	}
	fmt.Println()
}

func (h *harness) writeTolerances(profile string, r *spreadReport) error {
	base, err := readBaseline(h.baselines, profile)
	if err != nil {
		return err
	}
	base.Short = r.Profiles[profile]
	return writeJSON(filepath.Join(h.baselines, profile, "baseline.json"), base)
}
