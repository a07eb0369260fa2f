package main

import (
	"fmt"
	"math"
	"strings"
)

// Sizes of the plot, in pixels: panels in two columns.
const (
	panelWidth, panelHeight = 360, 170
	panelLeft, panelTop     = 62, 26
	panelRight, panelBottom = 14, 30
)

// panel is one small plot over the size of the ledger, on a logarithmic axis.
type panel struct {
	title string
	lines []panelLine
}

type panelLine struct {
	name, colour string
	of           func(*homePoint) float64
}

var curvePanels = []panel{
	{"entries/s", []panelLine{{"", "#1f5fa8", func(p *homePoint) float64 { return p.EntriesPerSecond }}}},
	{"latency of requests of 256, ms", []panelLine{
		{"p50", "#1f5fa8", func(p *homePoint) float64 { return p.P50 }},
		{"p99", "#b8562b", func(p *homePoint) float64 { return p.P99 }}}},
	{"disk bytes an entry", []panelLine{{"", "#1f5fa8", func(p *homePoint) float64 { return p.DiskBytesPerEntry }}}},
	{"ready after start, ms", []panelLine{
		{"clean", "#1f5fa8", func(p *homePoint) float64 { return p.ReadyCleanMs }},
		{"killed", "#b8562b", func(p *homePoint) float64 { return p.ReadyKilledMs }}}},
	{"p50 of reads, ms", []panelLine{
		{"proof", "#1f5fa8", func(p *homePoint) float64 { return p.ProofP50 }},
		{"look-up", "#b8562b", func(p *homePoint) float64 { return p.FindP50 }}}},
	{"RSS, MiB", []panelLine{{"", "#1f5fa8", func(p *homePoint) float64 { return p.RSSMiB }}}},
}

// curvePlot draws the points as SVG.
func curvePlot(points []homePoint) string {
	var b strings.Builder
	rows := (len(curvePanels) + 1) / 2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n"+
		`<rect width="100%%" height="100%%" fill="white"/>`+"\n", 2*panelWidth, rows*panelHeight)
	for i := range curvePanels {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%2*panelWidth, i/2*panelHeight)
		curvePanels[i].draw(&b, points)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *panel) draw(b *strings.Builder, points []homePoint) {
	const width, height = panelWidth - panelLeft - panelRight, panelHeight - panelTop - panelBottom
	top := 0.0
	for i := range points {
		for _, line := range p.lines {
			top = math.Max(top, line.of(&points[i]))
		}
	}
	top = roundUp(top)
	low, high := 1e6, 2e6
	for _, point := range points {
		low, high = math.Min(low, float64(point.Entries)), math.Max(high, float64(point.Entries))
	}
	x := func(entries float64) float64 {
		return panelLeft + width*math.Log(entries/low)/math.Log(high/low)
	}
	y := func(value float64) float64 { return panelTop + height*(1-value/top) }
	fmt.Fprintf(b, `<text x="%d" y="16" font-weight="bold">%s</text>`+"\n", panelLeft, p.title)
	for _, part := range []float64{0, 0.5, 1} {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			panelLeft, y(part*top), panelWidth-panelRight, panelLeft-5, y(part*top)+4, short(part*top))
	}
	for i, point := range points {
		anchor := "middle"
		if i > 0 && i == len(points)-1 {
			anchor = "end"
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="%s">%.3g M</text>`+"\n", x(float64(point.Entries)), panelHeight-12,
			anchor, float64(point.Entries)/1e6)
	}
	for k, line := range p.lines {
		var path strings.Builder
		for i := range points {
			step := "L"
			if i == 0 {
				step = "M"
			}
			fmt.Fprintf(&path, "%s%.1f %.1f", step, x(float64(points[i].Entries)), y(line.of(&points[i])))
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), line.colour)
		fmt.Fprintf(b, `<text x="%d" y="16" text-anchor="end" fill="%s">%s</text>`+"\n", panelWidth-panelRight-50*k, line.colour, line.name)
	}
}

// roundUp returns the next of 1, 2, 5, 10, … above x.
func roundUp(x float64) float64 {
	if x <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, step := range []float64{1, 2, 5} {
		if x <= step*power {
			return step * power
		}
	}
	return 10 * power
}

// short prints a figure of an axis.
func short(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.3g M", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.3g k", x/1e3)
	}
	return fmt.Sprintf("%.3g", x)
}
