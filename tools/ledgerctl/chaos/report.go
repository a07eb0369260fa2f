package chaos

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is what came of an attack.
type Report struct {
	Attack  string   `json:"attack"`
	Resume  bool     `json:"resume,omitempty"`
	Seed    uint64   `json:"seed"`
	Seconds float64  `json:"seconds"` // of the attack, recoveries included
	Did     []Deed   `json:"did"`
	Notes   []string `json:"notes,omitempty"` // how it was done where there is more than one way

	Requests        int            `json:"requests"` // acknowledged
	Entries         int            `json:"entries"`  // of them
	SentAgain       int            `json:"sent_again"`
	ConnectionsLost int            `json:"connections_lost"`
	Refused         map[string]int `json:"refused,omitempty"` // by reason; sent again later
	P99Ms           float64        `json:"p99_ms"`            // of the writers, repetitions included
	SlowestMs       float64        `json:"slowest_ms"`

	Recoveries     int     `json:"recoveries"`
	RecoveredAfter float64 `json:"recovered_after_s"` // the longest
	Within         float64 `json:"within_s"`

	Metrics []Moved `json:"metrics"`
	Checks  []Check `json:"checks"`
	Holds   bool    `json:"holds"`
}

// Deed is something that the attack did, so many times.
type Deed struct {
	What  string  `json:"what"`
	Count float64 `json:"count"`
}

// Moved is a figure that had to move.
type Moved struct {
	Metric   string  `json:"metric"`
	Alert    string  `json:"alert,omitempty"` // that looks at it
	Want     string  `json:"want"`
	Before   float64 `json:"before"`
	Furthest float64 `json:"furthest"`
	After    float64 `json:"after"`
	OK       bool    `json:"ok"`
}

// Check is one part of the verdict.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was found, or what went wrong
}

// holds is the verdict.
func (r *Report) holds() bool {
	return !slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.OK }) &&
		!slices.ContainsFunc(r.Metrics, func(m Moved) bool { return !m.OK })
}

// did notes what the attack did.
func (r *Report) did(what string, count int) { r.Did = append(r.Did, Deed{what, float64(count)}) }

// Print writes it for people.
func (r *Report) Print(w io.Writer) error {
	var did []string
	for _, d := range r.Did {
		did = append(did, fmt.Sprintf("%g %s", d.Count, d.What))
	}
	name := r.Attack
	if r.Resume {
		name += " with session resumption"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %.1f s, seed %d\t%s\n", name, r.Seconds, r.Seed, strings.Join(did, ", "))
	for _, note := range r.Notes {
		fmt.Fprintf(t, "\t%s\n", note)
	}
	fmt.Fprintf(t, "writers\t%d requests of %d entries acknowledged, %d sent again, %d connections lost%s\n",
		r.Requests, r.Entries, r.SentAgain, r.ConnectionsLost, refusals(r.Refused))
	fmt.Fprintf(t, "\tp99 %.1f ms, slowest %.1f ms\n", r.P99Ms, r.SlowestMs)
	for _, m := range r.Metrics {
		alert := ""
		if m.Alert != "" {
			alert = " (" + m.Alert + ")"
		}
		fmt.Fprintf(t, "%s  %s\t%s: %.12g, at its furthest %.12g, then %.12g%s\n", word(m.OK), m.Metric, m.Want, m.Before, m.Furthest, m.After, alert)
	}
	for _, c := range r.Checks {
		fmt.Fprintf(t, "%s  %s\t%s\n", word(c.OK), c.Name, c.Detail)
	}
	verdict := "it holds"
	if !r.Holds {
		verdict = "it does not hold"
	}
	fmt.Fprintf(t, "verdict\t%s\n", verdict)
	return t.Flush()
}

func word(ok bool) string {
	if ok {
		return "ok  "
	}
	return "FAIL"
}

// refusals names why requests were refused.
func refusals(refused map[string]int) string {
	var words []string
	for reason, n := range refused {
		words = append(words, fmt.Sprintf("%d times %s", n, reason))
	}
	slices.Sort(words)
	if len(words) == 0 {
		return ""
	}
	return "; refused " + strings.Join(words, ", ")
}
