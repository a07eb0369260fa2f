package screen

import (
	"fmt"
	"strings"
)

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// SVG draws the plot as a picture that stands for itself, without a script, a font or a style from elsewhere.
func (p *Plot) SVG() string {
	var b strings.Builder
	area := pictureArea
	text := func(x, y int, anchor, words string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="%s" fill="#%06x">%s</text>`+"\n", x, y, anchor, inkColour, xmlEscapes.Replace(words))
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", pictureWidth, pictureHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", pictureWidth, pictureHeight)
	text(area.Min.X, area.Min.Y-16, "start", p.Title)
	if len(p.Values) == 0 {
		text(area.Min.X, area.Min.Y+16, "start", nothingToDraw)
		return b.String() + "</svg>\n"
	}
	ticks := p.ticks()
	for i, tick := range ticks {
		y := area.Max.Y - i*area.Dy()/(len(ticks)-1)
		fmt.Fprintf(&b, `<path d="M%d %dH%d" stroke="#%06x"/>`+"\n", area.Min.X, y, area.Max.X, gridColour)
		text(area.Min.X-8, y+4, "end", short(tick)+p.Unit)
	}
	text(area.Min.X, area.Max.Y+22, "start", p.First)
	text(area.Max.X, area.Max.Y+22, "end", p.Last)
	line := p.curve(ticks)
	var path strings.Builder
	for i, at := range line {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], at.x, at.y)
	}
	fmt.Fprintf(&b, `<path d="%sL%.1f %dL%.1f %dZ" fill="#%06x" fill-opacity="0.6"/>`+"\n", path.String(), line[len(line)-1].x, area.Max.Y, line[0].x, area.Max.Y, fillColour)
	fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#%06x" stroke-width="1.6" stroke-linejoin="round"/>`+"\n", path.String(), lineColour)
	return b.String() + "</svg>\n"
}
