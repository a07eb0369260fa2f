package screen

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// busy is a sidecar under load, as it might be.
func busy() *Top {
	t := &Top{
		Name: "ron-ledger", Profile: "macronode", Root: strings.Repeat("0123456789abcdef", 4), Size: 1234567, Uptime: 26*time.Hour + 17*time.Minute,
		QueueCapacity: 1000, Connections: 12, Peers: []Peer{{10001, 8}, {0, 3}}, Readers: 3, DiskFree: 41.5 * (1 << 30), DiskTotal: 100 * (1 << 30),
		Rejects: []Count{{"insufficient_funds", 1200, 3.5}, {"policy_denied", 40, 0}, {"busy", 7, 0.25}, {"zero_amount", 7, 0}},
	}
	for i := range 60 {
		wave := float64(i%20) / 20
		t.Entries.Add(90000 + 20000*wave)
		t.Commits.Add(400 + 50*wave)
		t.Roots.Add(float64(i % 3))
		t.P50.Add(1.5 + wave)
		t.P99.Add(4 + 6*wave)
		t.Fsync.Add(0.9)
		t.Batch.Add(230)
		t.Queue.Add(float64(i % 7))
	}
	return t
}

// shown is the block of docs/SCREENS.md below a heading.
func shown(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/SCREENS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "## "+heading+"\n")
	_, rest, opened := strings.Cut(rest, "```text\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !opened || !closed {
		t.Fatalf("docs/SCREENS.md has no screen %q", heading)
	}
	return block
}

func text(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func TestScreens(t *testing.T) {
	balance := &Plot{Title: "balance of alice", First: "2026-01-01", Last: "2026-01-31", Values: []float64{0, 100, 250, 250, 180, 180, 90, 300, 280}, Steps: true, ZeroIncluded: true}
	hash := func(i int) string { return fmt.Sprintf("%016x…", i*0x1234567) }
	for heading, lines := range map[string][]string{
		"ledgerctl top":             busy().Draw(80, 24),
		"the plot of a balance":     balance.Text(60, 10),
		"the proof of entry 3 of 7": ProofTree(hash(9), hash(1), 3, 7, []string{hash(2), hash(3), hash(4)}),
	} {
		if got, want := text(lines), shown(t, heading); got != want {
			t.Errorf("docs/SCREENS.md has under %q\n%swhat is drawn is\n%s", heading, want, got)
		}
	}
}

// TestTopFits draws every size of a terminal: each line has the width, and there are as many as rows.
func TestTopFits(t *testing.T) {
	full := busy()
	full.Degraded, full.Unmeasured, full.Paused = strings.Repeat("because ", 20), "none", true
	for range 10 {
		full.Rejects = append(full.Rejects, full.Rejects[0])
	}
	for _, top := range []*Top{full, {}, busy()} {
		for width := 1; width < 200; width += 7 {
			for height := 1; height < 60; height += 3 {
				lines := top.Draw(width, height)
				if len(lines) != height {
					t.Fatalf("%d lines at %d by %d", len(lines), width, height)
				}
				for _, line := range lines {
					if utf8.RuneCountInString(line) != width {
						t.Fatalf("%q at %d by %d", line, width, height)
					}
				}
			}
		}
	}
}

func TestTopKeys(t *testing.T) {
	top := busy()
	byNumber := text(top.Draw(80, 24))
	top.ByName, top.Paused = true, true
	byName := text(top.Draw(80, 24))
	if strings.Index(byNumber, "insufficient_funds") > strings.Index(byNumber, "busy") || strings.Index(byName, "insufficient_funds") < strings.Index(byName, "busy") {
		t.Errorf("sorted\n%s%s", byNumber, byName)
	}
	if strings.Contains(byNumber, "PAUSED") || !strings.Contains(byName, "PAUSED") {
		t.Error("the pause is not shown")
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.9: "0.9", 1.2345: "1.23", 12.345: "12.3", 999: "999", 1234: "1234", 12345: "12.3k", 1.5e6: "1.5M", 2e9: "2G", 123.4: "123"} {
		if got := short(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 42 * time.Second: "42s", 3*time.Minute + 5*time.Second: "3m5s", 2*time.Hour + 5*time.Minute: "2h5m", 49 * time.Hour: "2d1h"} {
		if got := Span(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// TestProofTree draws every entry of small trees with proofs of the length that each has, and of no other.
func TestProofTree(t *testing.T) {
	for size := uint64(1); size < 40; size++ {
		for seq := uint64(1); seq <= size; seq++ {
			drawn := 0
			for length := range 8 {
				lines := ProofTree("r", "l", seq, size, make([]string, length))
				if len(lines) > 1 {
					drawn++
					if last := lines[len(lines)-1]; !strings.Contains(last, fmt.Sprintf("entry %d  l  ◀ proven", seq)) || len(lines) != max(2, 1+2*length) {
						t.Errorf("entry %d of %d with %d hashes: %q", seq, size, length, lines)
					}
				}
			}
			if drawn != 1 {
				t.Errorf("entry %d of %d: proofs of %d lengths are drawn", seq, size, drawn)
			}
		}
	}
}

// pictured are plots of every shape.
var pictured = []*Plot{
	{Title: `<"&">`, Values: []float64{1, 2, 3}, Unit: "<"}, {}, {Values: []float64{5}, Steps: true}, {Values: make([]float64, 5000)},
	{Title: "over time", Values: []float64{1, 7, 3}, At: []float64{0, 0.1, 0.9}, Steps: true, ZeroIncluded: true, First: "then", Last: "now"},
	{Values: []float64{-1e9, 1e12}, At: []float64{0.5, 0.5}},
}

func TestSVG(t *testing.T) {
	for _, p := range pictured {
		picture := p.SVG()
		for decoder := xml.NewDecoder(strings.NewReader(picture)); ; {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v\n%s", err, picture)
			}
		}
		if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
			t.Errorf("%s", picture)
		}
	}
}

func TestPNG(t *testing.T) {
	for _, p := range pictured {
		encoded, err := p.PNG()
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if picture.Bounds() != image.Rect(0, 0, pictureWidth, pictureHeight) {
			t.Errorf("the picture has %v", picture.Bounds())
		}
		if len(p.Values) == 0 {
			continue
		}
		ticks := p.ticks()
		for _, at := range p.curve(ticks) { // the line runs through where its values are
			r, _, b, _ := picture.At(int(at.x), int(at.y)).RGBA()
			if b <= r {
				t.Errorf("%q: at %.0f, %.0f there is no line", p.Title, at.x, at.y)
			}
		}
	}
}

// TestTicks holds the scale of every range to covering it with a few round numbers.
func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plot{Values: rapid.SliceOfN(rapid.Float64Range(-1e15, 1e15), 1, 5).Draw(t, "values"), ZeroIncluded: rapid.Bool().Draw(t, "zero")}
		low, high := p.bounds()
		ticks := p.ticks()
		if len(ticks) < 2 || len(ticks) > ticksMax+1 || ticks[0] > low || ticks[len(ticks)-1] < high || !slices.IsSorted(ticks) {
			t.Fatalf("%v to %v has the ticks %v", low, high, ticks)
		}
	})
}

// TestPlotOverTime holds the columns of a series over time against the greatest value that holds anywhere in each.
func TestPlotOverTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const fine = 60 // places in a column
		width := rapid.IntRange(1, 20).Draw(t, "width")
		places := rapid.SliceOfNDistinct(rapid.IntRange(0, width*fine-1), 1, 30, rapid.ID).Draw(t, "places")
		slices.Sort(places)
		p := Plot{Steps: true}
		holds := make([]float64, width*fine)
		for i := range holds {
			holds[i] = math.NaN()
		}
		for _, place := range places {
			v := float64(rapid.IntRange(0, 9).Draw(t, "value"))
			p.Values, p.At = append(p.Values, v), append(p.At, float64(place)/float64(width*fine))
			for k := place; k < width*fine; k++ {
				holds[k] = v
			}
		}
		for i, got := range p.columns(width) {
			want := math.NaN()
			for _, v := range holds[i*fine : (i+1)*fine] {
				if !(want >= v) && !math.IsNaN(v) {
					want = v
				}
			}
			if got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("column %d of %d is %v, want %v", i, width, got, want)
			}
		}
	})
}
