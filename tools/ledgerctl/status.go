package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "print how the sidecar is",
		Long:    "Status prints what the sidecar reports about itself. Its exit status is 0 also where the\nledger takes no writes: see the line ready.",
		Example: "  ledgerctl status\n  ledgerctl status --json | jq .size",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *client.Client) error {
				report, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				return a.printing(func(w *bufio.Writer) error { return a.printStatus(w, report) })
			})
		},
	}
}

// printStatus prints the members of a JSON object in their order, whatever they
// are: a newer sidecar may report more than this program knows.
func (a *app) printStatus(w *bufio.Writer, report []byte) error {
	if a.json {
		_, err := w.Write(append(bytes.TrimSpace(report), '\n'))
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(report))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("read the status: the sidecar's report is not a JSON object")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("read the status: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("read the status: %w", err)
		}
		word := string(value)
		var text string
		if json.Unmarshal(value, &text) == nil {
			word = text
		}
		if a.tabular() {
			if err := a.printCells(w, statusColumns, fmt.Sprint(name), word); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(w, "%-16s  %s\n", strings.ReplaceAll(fmt.Sprint(name), "_", " "), word); err != nil {
			return err
		}
	}
	return nil
}
