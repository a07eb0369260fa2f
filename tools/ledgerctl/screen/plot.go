package screen

import (
	"fmt"
	"math"
	"strings"
)

// Plot is a series over an axis that rises.
type Plot struct {
	Title, Unit  string
	First, Last  string // words at the ends of the axis
	Values       []float64
	At           []float64 // where on the axis each value is, 0 to 1, never falling; nil: all at the same distance
	Steps        bool      // a value holds until the next, as balances do
	ZeroIncluded bool      // the scale begins at zero
}

func (p *Plot) bounds() (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range p.Values {
		low, high = min(low, v), max(high, v)
	}
	if p.ZeroIncluded {
		low, high = min(low, 0), max(high, 0)
	}
	if low > high {
		return 0, 1
	}
	if low == high {
		high = low + 1
	}
	return low, high
}

// columns reduces the values to so many, each the greatest of those that it stands for. Where values hold, one that
// began before counts too.
func (p *Plot) columns(width int) []float64 {
	if p.At == nil && len(p.Values) <= width {
		return p.Values
	}
	out := make([]float64, width)
	next, held := 0, math.NaN()
	for i := range out {
		out[i] = math.NaN()
		if next == len(p.Values) || p.at(next) >= float64(i+1)/float64(width) || p.Steps && p.at(next) > float64(i)/float64(width) {
			out[i] = held
		}
		for ; next < len(p.Values) && (i == width-1 || p.at(next) < float64(i+1)/float64(width)); next++ {
			if held = p.Values[next]; !(out[i] >= held) {
				out[i] = held
			}
		}
	}
	return out
}

// at is where on the axis a value is.
func (p *Plot) at(i int) float64 {
	if p.At != nil {
		return p.At[i]
	}
	return float64(i) / float64(len(p.Values))
}

// nothingToDraw stands in the place of a plot without values.
const nothingToDraw = "nothing to draw"

const plotMargin = 12 // of the numbers beside a plot, in characters

// Text draws the plot in characters, of that size with everything.
func (p *Plot) Text(width, height int) []string {
	lines := []string{p.Title}
	if len(p.Values) == 0 {
		return append(lines, nothingToDraw)
	}
	low, high := p.bounds()
	rows := max(height-3, 2)
	columns := p.columns(max(width-plotMargin-2, 1))
	for row := range rows {
		label := ""
		switch row {
		case 0:
			label = short(high) + p.Unit
		case rows - 1:
			label = short(low) + p.Unit
		}
		var line strings.Builder
		fmt.Fprintf(&line, "%*s ┤", plotMargin, label)
		for _, v := range columns {
			filled := (v-low)/(high-low)*float64(rows) - float64(rows-1-row)
			line.WriteRune(cell(filled))
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	gap := max(len(columns)-len(p.First)-len(p.Last), 1)
	return append(lines, strings.Repeat(" ", plotMargin+2)+p.First+strings.Repeat(" ", gap)+p.Last)
}

// cell is a character of which so much is filled from below.
func cell(filled float64) rune {
	switch {
	case filled <= 0 || math.IsNaN(filled): // nothing yet
		return ' '
	case filled >= 1:
		return levels[len(levels)-1]
	}
	return levels[int(filled*float64(len(levels)))]
}
