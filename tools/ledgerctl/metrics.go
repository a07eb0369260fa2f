package main

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire"
)

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "metrics [PREFIX...]", Short: "print the metrics of the sidecar, over its socket",
		Long: `Metrics prints what /metrics has, without a certificate or a port: all of it, or the values
of the metrics that begin with one of the prefixes, which is an error where none does. The
token needs the right to administer.`,
		Example: "  ledgerctl metrics queue_ busy_rejections\n  ledgerctl metrics | grep -v '^#'",
		Args:    between(0, 64),
		RunE: func(cmd *cobra.Command, prefixes []string) error {
			text, err := a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminMetrics})
			if err != nil {
				return err
			}
			found := false
			err = a.printing(func(w *bufio.Writer) error {
				for line := range strings.Lines(text) {
					begins := func(prefix string) bool { return strings.HasPrefix(line, prefix) }
					if len(prefixes) == 0 || slices.ContainsFunc(prefixes, begins) {
						found = true
						if !a.json {
							_, _ = w.WriteString(line) // Flush says what went wrong
						} else if sample, ok := parseSample(line); ok {
							if err := printJSON(w, sample); err != nil {
								return err
							}
						}
					}
				}
				return nil
			})
			if err == nil && !found {
				err = fmt.Errorf("no metric begins with %s: ledgerctl metrics prints all", strings.Join(prefixes, " or "))
			}
			return err
		},
	}
}

// sampleJSON is what metrics --json prints of each value.
type sampleJSON struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"` // a number, or NaN, +Inf, -Inf, which JSON has no numbers for
}

var label = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)

// parseSample reads a line of the text format, unless it is a comment.
func parseSample(line string) (s sampleJSON, ok bool) {
	line = strings.TrimSpace(line)
	at := strings.LastIndexByte(line, ' ')
	if strings.HasPrefix(line, "#") || at < 0 {
		return s, false
	}
	name, labels, _ := strings.Cut(line[:at], "{")
	s = sampleJSON{Name: name, Labels: map[string]string{}, Value: line[at+1:]}
	for _, m := range label.FindAllStringSubmatch(labels, -1) {
		value, err := strconv.Unquote(`"` + m[2] + `"`)
		if err != nil {
			value = m[2]
		}
		s.Labels[m[1]] = value
	}
	return s, true
}
