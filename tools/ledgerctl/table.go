package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/intake"
)

// Forms of --output.
const (
	outputJSON  = "json"
	outputTable = "table"
	outputTSV   = "tsv"
	outputCSV   = "csv"
)

// Columns of what comes in rows, the names of --json where it has them.
var (
	entryColumns     = []string{"seq", "time", "kind", "account", "counterparty", "amount", "asset", "nonce", "ref"}
	balanceColumns   = []string{"account", "available", "held", "asset"}
	accountColumns   = []string{"account"}
	rootColumns      = []string{"seq", "root", "time"}
	statementColumns = []string{"seq", "time", "kind", "available", "held", "balance"}
	statusColumns    = []string{"name", "value"}
)

// inRows are the commands that print rows, and so tables.
var inRows = map[string]bool{
	"ledgerctl get": true, "ledgerctl tail": true, "ledgerctl balance": true, "ledgerctl balances": true, "ledgerctl accounts": true,
	"ledgerctl roots": true, "ledgerctl statement": true, "ledgerctl status": true,
	"ledgerctl fleet": true,
}

// ownForm are the commands whose output has a form of its own, in words.
var ownForm = map[string]string{
	"ledgerctl demo": "is for people", "ledgerctl profile": "writes what go tool pprof reads", "ledgerctl trace dump": "writes what go tool trace reads",
	"ledgerctl completion bash": "prints a script", "ledgerctl completion zsh": "prints a script",
	"ledgerctl completion fish": "prints a script", "ledgerctl completion powershell": "prints a script",
}

// checkOutput holds the flags of all commands against each other.
func (a *app) checkOutput(cmd *cobra.Command) error {
	if a.scale < 0 || a.scale > intake.ScaleMax {
		return usagef("--scale %d: 0 to %d are wanted", a.scale, intake.ScaleMax)
	}
	switch a.output {
	case "":
	case outputJSON:
		a.json = true
	case outputTable, outputTSV, outputCSV:
		if a.json {
			return usagef("--json and --output %s: say one of them", a.output)
		}
		if !inRows[cmd.CommandPath()] {
			return usagef("--output %s: %s prints no rows; --json is for programs", a.output, cmd.CommandPath())
		}
	default:
		return usagef("--output %q: table, tsv, csv or json are wanted", a.output)
	}
	if form := ownForm[cmd.CommandPath()]; a.json && form != "" {
		return usagef("--json: %s %s, and prints no JSON", cmd.CommandPath(), form)
	}
	return nil
}

// tabular reports whether rows are cells under a header.
func (a *app) tabular() bool { return a.output != "" && !a.json }

// printCells prints one row, the first time under the header.
func (a *app) printCells(w *bufio.Writer, columns []string, cells ...string) error {
	if a.table == nil {
		a.table = &rowTable{form: a.output, out: w}
		if err := a.table.row(columns); err != nil {
			return err
		}
	}
	return a.table.row(cells)
}

// tableHeld is how many rows decide on the widths of a table. Later ones keep to them,
// so that no table is ever held as a whole.
const tableHeld = 500

// rowTable prints rows in one of the forms of --output.
type rowTable struct {
	form   string
	out    *bufio.Writer
	held   [][]string
	right  []bool
	widths []int // none before the widths are decided
}

func (t *rowTable) row(cells []string) error {
	switch {
	case t.form == outputCSV:
		w := csv.NewWriter(t.out)
		_ = w.Write(cells) // Error has it
		w.Flush()
		return w.Error()
	case t.form == outputTSV:
		_, err := t.out.WriteString(strings.Join(cells, "\t") + "\n")
		return err
	case t.widths != nil:
		return t.aligned(cells)
	}
	t.held = append(t.held, cells)
	if len(t.held) < tableHeld {
		return nil
	}
	return t.finish()
}

// finish prints the rows that wait for their widths.
func (t *rowTable) finish() error {
	if t.form != outputTable || t.widths != nil {
		return nil
	}
	t.widths, t.right = make([]int, len(t.held[0])), make([]bool, len(t.held[0]))
	for i, name := range t.held[0] {
		t.right[i] = rightAligned[name]
	}
	for _, cells := range t.held {
		for i, cell := range cells {
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range t.held {
		if err := t.aligned(cells); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

// rightAligned are the columns of numbers.
var rightAligned = map[string]bool{"seq": true, "amount": true, "available": true, "held": true, "balance": true, "size": true, "lag": true, "grew": true}

func (t *rowTable) aligned(cells []string) error {
	var line strings.Builder
	for i, cell := range cells {
		width := t.widths[i]
		if !t.right[i] {
			width = -width
		}
		fmt.Fprintf(&line, "%*s  ", width, cell)
	}
	_, err := t.out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	return err
}
