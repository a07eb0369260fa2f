package screen

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fleet is what ledgerctl fleet shows: a row for each ledger, what is wrong first.
type Fleet struct {
	Summary string
	Columns []string
	Rows    []FleetRow
	Failed  string // what of the monitor's own could not be done; empty: nothing
}

// FleetRow is one ledger. Why says what is wrong with it, and is empty where nothing is.
type FleetRow struct {
	Cells []string
	Why   string
}

// Draw returns the screen, each line of that width. Rows that do not fit are counted.
func (f *Fleet) Draw(width, height int) []string {
	widths := make([]int, len(f.Columns))
	for _, row := range append(slices.Clone(f.Rows), FleetRow{Cells: f.Columns}) {
		for i, cell := range row.Cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	aligned := func(cells []string) string {
		var line strings.Builder
		for i, cell := range cells {
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		return line.String()
	}
	lines := []string{f.Summary, "", aligned(f.Columns)}
	for i, row := range f.Rows {
		needs := 1
		if row.Why != "" {
			needs = 2
		}
		if left := len(f.Rows) - i; len(lines)+needs > height-3 && left > 1 {
			lines = append(lines, fmt.Sprintf("and %d more", left))
			break
		}
		if lines = append(lines, aligned(row.Cells)); row.Why != "" {
			lines = append(lines, "    "+row.Why)
		}
	}
	foot := "q quit"
	if f.Failed != "" {
		foot += "   FAILED: " + f.Failed
	}
	return frame(lines, foot, width, height)
}
