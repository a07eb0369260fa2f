package screen

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/inconsolata"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// strokeWidth is that of the line in a PNG, in pixels.
const strokeWidth = 1.8

// PNG draws the plot as a picture, with the look of SVG.
func (p *Plot) PNG() ([]byte, error) {
	area := pictureArea
	c := canvas{image.NewRGBA(image.Rect(0, 0, pictureWidth, pictureHeight))}
	draw.Draw(c.RGBA, c.Bounds(), image.White, image.Point{}, draw.Src)
	c.text(area.Min.X, area.Min.Y-16, p.Title)
	if len(p.Values) == 0 {
		c.text(area.Min.X, area.Min.Y+16, nothingToDraw)
		return c.encode()
	}
	ticks := p.ticks()
	line := p.curve(ticks)
	c.fill(append([]point{{line[0].x, float64(area.Max.Y)}}, append(line, point{line[len(line)-1].x, float64(area.Max.Y)})...), fillColour)
	for i, tick := range ticks {
		y := area.Max.Y - i*area.Dy()/(len(ticks)-1)
		draw.Draw(c.RGBA, image.Rect(area.Min.X, y, area.Max.X, y+1), ink(gridColour), image.Point{}, draw.Src)
		label := short(tick) + p.Unit
		c.text(area.Min.X-8-textWidth(label), y+5, label)
	}
	c.text(area.Min.X, area.Max.Y+22, p.First)
	c.text(area.Max.X-textWidth(p.Last), area.Max.Y+22, p.Last)
	c.stroke(line, lineColour)
	return c.encode()
}

// canvas is a picture that is drawn on.
type canvas struct{ *image.RGBA }

func (c canvas) encode() ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, c.RGBA); err != nil {
		return nil, fmt.Errorf("encode the picture: %w", err)
	}
	return b.Bytes(), nil
}

func ink(rgb uint32) image.Image {
	return image.NewUniform(color.RGBA{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 0xff})
}

var face = inconsolata.Regular8x16

func textWidth(words string) int { return font.MeasureString(face, words).Ceil() }

// text writes words whose baseline begins at x, y. What the font does not have is a box.
func (c canvas) text(x, y int, words string) {
	d := font.Drawer{Dst: c.RGBA, Src: ink(inkColour), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(words)
}

// fill fills the inside of a line that is closed.
func (c canvas) fill(line []point, rgb uint32) {
	z := vector.NewRasterizer(c.Bounds().Dx(), c.Bounds().Dy())
	outline(z, line)
	z.Draw(c.RGBA, c.Bounds(), ink(rgb), image.Point{})
}

func outline(z *vector.Rasterizer, line []point) {
	for i, at := range line {
		if i == 0 {
			z.MoveTo(float32(at.x), float32(at.y))
		} else {
			z.LineTo(float32(at.x), float32(at.y))
		}
	}
	z.ClosePath()
}

// stroke draws each piece of a line as a bar with round ends, all turned the same way, so that what they cover twice is
// covered once.
func (c canvas) stroke(line []point, rgb uint32) {
	z := vector.NewRasterizer(c.Bounds().Dx(), c.Bounds().Dy())
	if len(line) == 1 {
		line = append(line, line[0])
	}
	for i := 1; i < len(line); i++ {
		outline(z, bar(line[i-1], line[i]))
	}
	z.Draw(c.RGBA, c.Bounds(), ink(rgb), image.Point{})
}

// barCorners is how many corners each end of a bar has.
const barCorners = 6

func bar(from, to point) (outline []point) {
	along := math.Atan2(to.y-from.y, to.x-from.x)
	for i := range 2 * (barCorners + 1) {
		end, corner := to, i
		if i > barCorners {
			end, corner = from, i-1
		}
		angle := along + math.Pi*(float64(corner)/barCorners-0.5)
		outline = append(outline, point{end.x + strokeWidth/2*math.Cos(angle), end.y + strokeWidth/2*math.Sin(angle)})
	}
	return outline
}
