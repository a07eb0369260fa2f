package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// goalTable is goals.json: what each part of the goals came to when it was last measured.
type goalTable struct {
	Machine machine             `json:"machine"`
	Parts   map[string]goalPart `json:"parts"`
}

type goalPart struct {
	Time     time.Time `json:"time"`
	Length   string    `json:"length"` // of a load
	Repeats  int       `json:"repeats"`
	OtherCPU float64   `json:"other_cpu_cores"` // most that anything else used meanwhile
	Rows     []goal    `json:"rows"`
}

const goalFile = "goals.json"

// readGoalTable returns what lies in a folder of results, an empty table where there is none.
func readGoalTable(out string) (*goalTable, error) {
	t := &goalTable{Parts: map[string]goalPart{}}
	path := filepath.Join(out, goalFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(text, t)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was measured before (delete it to begin anew): %s: %w", path, err)
	}
	return t, nil
}

// write leaves goals.json and goals.md.
func (t *goalTable) write(out string) error {
	if err := writeJSON(filepath.Join(out, goalFile), t); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "goals.md"), []byte(t.markdown(curveGoal(out))), 0o644)
}

// markdown has the parts in their order and the curve's own row at the end.
func (t *goalTable) markdown(curve []goal) string {
	m := &t.Machine
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, %s, kernel %s, %s.\n\n", m.CPU, m.Cores, m.Filesystem, m.Kernel, m.Go)
	b.WriteString("| | goal | beyond | measured | | command |\n|---|---|---|---|---|---|\n")
	var taken []string
	var rows []goal
	for _, part := range goalParts {
		p, ok := t.Parts[part.name]
		if !ok {
			taken = append(taken, part.name+" has not been measured")
			continue
		}
		line := fmt.Sprintf("%s: median of %d, loads of %s, %s", part.name, p.Repeats, p.Length, p.Time.Format("2006-01-02 15:04 UTC"))
		if p.OtherCPU > 0 {
			line += fmt.Sprintf(", everything else used up to %.2f cores", p.OtherCPU)
		}
		taken = append(taken, line)
		rows = append(rows, p.Rows...)
	}
	for _, g := range slices.Concat(rows, curve) {
		b.WriteString(g.row())
	}
	return b.String() + "\n- " + strings.Join(taken, "\n- ") + "\n"
}

func (g *goal) row() string {
	sign, word, beyond := "≤", "kept", ""
	if g.More {
		sign = "≥"
	}
	if !g.kept() {
		word = "**missed**"
	}
	if g.Beyond > 0 {
		beyond = figure(g.Beyond)
	}
	return fmt.Sprintf("| %s | %s %s %s | %s | %s | %s | %s |\n", g.Name, sign, figure(g.Want), g.Unit, beyond, figure(g.Measured), word, g.Command)
}

// figure prints three digits that say something.
func figure(x float64) string {
	if x >= 1000 {
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
