package bench

import (
	"fmt"
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// plotWidth is the longest bar, in characters.
const plotWidth = 44

// plotQuantiles are the lines of the plot: each half of the rest.
var plotQuantiles = []float64{10, 25, 50, 75, 87.5, 90, 95, 97.5, 99, 99.5, 99.9, 99.99, 100}

// plotLatencies draws a latency per quantile as bars on a logarithmic scale, "" where
// nothing was measured.
func plotLatencies(h *hdrhistogram.Histogram) string {
	if h == nil || h.TotalCount() == 0 {
		return ""
	}
	var text strings.Builder
	least := math.Log(math.Max(float64(h.ValueAtQuantile(plotQuantiles[0])), 1) / 2)
	reach := math.Max(math.Log(math.Max(float64(h.Max()), 2))-least, 1e-9)
	for _, q := range plotQuantiles {
		us := math.Max(float64(h.ValueAtQuantile(q)), 1)
		eighths := int((math.Log(us) - least) / reach * plotWidth * 8)
		fmt.Fprintf(&text, "%7.4g %% %8s ms  %s\n", q, digits3(us/1e3), bar(min(max(eighths, 1), plotWidth*8)))
	}
	return text.String()
}

// bar draws a bar of so many eighths of a character.
func bar(eighths int) string {
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string(rune('█' + 8 - rest)) // U+2588 is full, U+258F an eighth
	}
	return text
}
