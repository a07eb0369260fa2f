package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A table that was written is read again, and a part that is measured later joins it.
func TestGoalTableGrows(t *testing.T) {
	out := t.TempDir()
	table, err := readGoalTable(out)
	if err != nil || len(table.Parts) != 0 {
		t.Fatalf("an empty folder: %+v, %v", table, err)
	}
	table.Parts["empty"] = goalPart{Length: "3s", Repeats: 1, Rows: []goal{{Name: "ready", Unit: "ms", Want: 40, Measured: 39.5}}}
	if err := table.write(out); err != nil {
		t.Fatal(err)
	}
	if table, err = readGoalTable(out); err != nil {
		t.Fatal(err)
	}
	table.Parts["alone"] = goalPart{Length: "3s", Repeats: 1, Rows: []goal{{Name: "one", Unit: "×", Want: 2, Beyond: 1.4, Measured: 2.1}}}
	if err := table.write(out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "goals.md"))
	if err != nil {
		t.Fatal(err)
	}
	one := strings.Index(string(text), "| one | ≤ 2 × | 1.4 | 2.1 | **missed** |")
	ready := strings.Index(string(text), "| ready | ≤ 40 ms |  | 39.5 | kept |")
	if one < 0 || ready < one || !strings.Contains(string(text), "throughput has not been measured") {
		t.Errorf("the table:\n%s", text)
	}
	if err := os.WriteFile(filepath.Join(out, goalFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readGoalTable(out); err == nil {
		t.Error("a table that is cut off was read")
	}
}

// The home of ten million is that of the curve, where the curve has one.
func TestCurvePoint(t *testing.T) {
	out := t.TempDir()
	if p := curvePoint(out, tenMillion); p != nil {
		t.Errorf("no curve has a point: %+v", p)
	}
	r := curveReport{Points: []homePoint{{Entries: 3_000_100}, {Entries: 10_000_300, VerifyPerSecond: 5, WriteAmplification: 2}, {Entries: 30_000_000}}}
	if err := r.write(out); err != nil {
		t.Fatal(err)
	}
	if p := curvePoint(out, tenMillion); p == nil || p.Entries != 10_000_300 {
		t.Errorf("the point of ten million: %+v", p)
	}
	if p := curvePoint(out, 1_000_000); p != nil {
		t.Errorf("a point that was not taken: %+v", p)
	}
}
