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
	Steps        bool // a value holds until the next, as balances do
	ZeroIncluded bool // the scale begins at zero
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

// columns reduces the values to so many, each the greatest of those that it stands for.
func (p *Plot) columns(width int) []float64 {
	if len(p.Values) <= width {
		return p.Values
	}
	out := make([]float64, width)
	for i := range out {
		from, to := i*len(p.Values)/width, (i+1)*len(p.Values)/width
		out[i] = p.Values[from]
		for _, v := range p.Values[from:to] {
			out[i] = max(out[i], v)
		}
	}
	return out
}

const plotMargin = 12 // of the numbers beside a plot, in characters

// Text draws the plot in characters, of that size with everything.
func (p *Plot) Text(width, height int) []string {
	lines := []string{p.Title}
	if len(p.Values) == 0 {
		return append(lines, "nothing to draw")
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
	case filled <= 0:
		return ' '
	case filled >= 1:
		return levels[len(levels)-1]
	}
	return levels[int(filled*float64(len(levels)))]
}

// Size of an SVG in its own units.
const (
	svgWidth  = 800
	svgHeight = 320
	svgLeft   = 80
	svgTop    = 32
	svgBottom = 32
)

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// SVG draws the plot as a picture that stands for itself, without a script, a font or a style from elsewhere.
func (p *Plot) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">%s</text>`+"\n", svgLeft, xmlEscapes.Replace(p.Title))
	low, high := p.bounds()
	bottom, right := float64(svgHeight-svgBottom), float64(svgWidth-16)
	if len(p.Values) > 0 {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", svgLeft-6, svgTop+4, xmlEscapes.Replace(short(high)+p.Unit))
		fmt.Fprintf(&b, `<text x="%d" y="%.0f" text-anchor="end">%s</text>`+"\n", svgLeft-6, bottom+4, xmlEscapes.Replace(short(low)+p.Unit))
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", svgLeft, svgHeight-10, xmlEscapes.Replace(p.First))
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="end">%s</text>`+"\n", right, svgHeight-10, xmlEscapes.Replace(p.Last))
	}
	fmt.Fprintf(&b, `<path d="M%d %dV%.0fH%.0f" fill="none" stroke="#888"/>`+"\n", svgLeft, svgTop, bottom, right)
	columns := p.columns(svgWidth)
	step := (right - svgLeft) / float64(max(len(columns)-1, 1))
	var path strings.Builder
	for i, v := range columns {
		x, y := svgLeft+float64(i)*step, bottom-(v-low)/(high-low)*(bottom-svgTop)
		switch {
		case i == 0:
			fmt.Fprintf(&path, "M%.1f %.1f", x, y)
		case p.Steps:
			fmt.Fprintf(&path, "H%.1fV%.1f", x, y)
		default:
			fmt.Fprintf(&path, "L%.1f %.1f", x, y)
		}
	}
	fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#06c" stroke-width="1.5"/>`+"\n</svg>\n", path.String())
	return b.String()
}
