package screen

import (
	"image"
	"math"
)

// Size of a picture, in pixels or the units of an SVG, and where in it the plot is.
const (
	pictureWidth  = 960
	pictureHeight = 360
)

var pictureArea = image.Rect(84, 40, pictureWidth-20, pictureHeight-36)

// Colours of pictures, as RGB.
const (
	inkColour  = 0x222222
	gridColour = 0xdddddd
	lineColour = 0x0b62c4
	fillColour = 0xd6e6f7
)

// ticksMax is how many lines cross a picture.
const ticksMax = 6

// ticks returns round numbers that cover the values, a step of 1, 2 or 5 times a power of ten apart.
func (p *Plot) ticks() (list []float64) {
	low, high := p.bounds()
	step := math.Pow(10, math.Floor(math.Log10((high-low)/ticksMax)))
	for _, factor := range []float64{1, 2, 5, 10} {
		from, to := math.Floor(low/(step*factor)), math.Ceil(high/(step*factor))
		if to-from <= ticksMax {
			for i := from; i <= to; i++ {
				list = append(list, i*step*factor)
			}
			return list
		}
	}
	return []float64{low, high}
}

// point is a place in a picture.
type point struct{ x, y float64 }

// curve returns the line of the values in a picture whose scale has these ticks.
func (p *Plot) curve(ticks []float64) (line []point) {
	area := pictureArea
	low, high := ticks[0], ticks[len(ticks)-1]
	place := func(at, v float64) point {
		return point{float64(area.Min.X) + at*float64(area.Dx()), float64(area.Max.Y) - (v-low)/(high-low)*float64(area.Dy())}
	}
	last := math.NaN()
	add := func(at, v float64) {
		if p.Steps && !math.IsNaN(last) {
			line = append(line, place(at, last))
		}
		line = append(line, place(at, v))
		last = v
	}
	if len(p.Values) > area.Dx() { // more than there are pixels
		for i, v := range p.columns(area.Dx()) {
			if !math.IsNaN(v) {
				add(float64(i)/float64(area.Dx()-1), v)
			}
		}
		return line
	}
	for i, v := range p.Values {
		at := float64(i) / float64(max(len(p.Values)-1, 1))
		if p.At != nil {
			at = p.At[i]
		}
		add(at, v)
	}
	if p.Steps && len(p.Values) > 0 {
		add(1, last) // it holds to the end
	}
	return line
}
