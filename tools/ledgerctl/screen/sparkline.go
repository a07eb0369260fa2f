package screen

import (
	"strings"
	"unicode/utf8"
)

var levels = []rune("▁▂▃▄▅▆▇█")

// Sparkline draws the last width values between zero and the greatest of them, oldest first.
// Where there are fewer it begins with blanks.
func Sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var line strings.Builder
	line.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		level := 0
		if top > 0 {
			level = min(int(max(v, 0)/top*float64(len(levels))), len(levels)-1)
		}
		line.WriteRune(levels[level])
	}
	return line.String()
}

// fit cuts or fills a line to a width in characters.
func fit(line string, width int) string {
	n := utf8.RuneCountInString(line)
	if n <= width {
		return line + strings.Repeat(" ", width-n)
	}
	return string([]rune(line)[:width])
}
