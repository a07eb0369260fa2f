package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/intake"
	"github.com/rustyonions/ron-ledger/wire"
)

// formatJournal is a format of append, beside formatJSONL and formatCSV.
const formatJournal = "journal"

var formatOfExtension = map[string]string{
	".csv": formatCSV, ".tsv": formatCSV,
	".journal": formatJournal, ".hledger": formatJournal, ".ledger": formatJournal, ".beancount": formatJournal,
}

// mappingMaxBytes bounds a mapping, which is a page or two.
const mappingMaxBytes = 1 << 20

// chooseFormat has the input read in the format that is named, or that its name tells.
func (a *app) chooseFormat(in *input, f *appendFlags) error {
	format := f.format
	if format == "" {
		format = formatOfExtension[path.Ext(strings.TrimSuffix(in.name, ".gz"))]
	}
	if f.mapping != "" && format != formatCSV {
		return usagef("--mapping is for CSV: say --format csv as well")
	}
	switch format {
	case "", formatJSONL:
		return nil
	case formatCSV:
		if f.mapping == "" {
			return usagef("%s: CSV wants a --mapping, which says which column goes where: see configs/import-bank.toml", in.name)
		}
		text, err := readLimited(a.stdin, f.mapping, mappingMaxBytes)
		if err != nil {
			return err
		}
		m, err := intake.ParseMapping(text)
		if err != nil {
			return fmt.Errorf("%s: %w", f.mapping, err)
		}
		in.parse = intake.NewCSV(in.next, m)
	case formatJournal:
		in.parse = intake.NewJournal(in.next, a.scale, f.outside)
	default:
		return usagef("--format %q: jsonl, csv or journal are wanted", format)
	}
	return nil
}

// entry reads the next entry, or io.EOF. Its errors say where.
func (in *input) entry(f *wire.Fields) error {
	if in.parse == nil {
		line, err := in.next()
		if err != nil {
			return err
		}
		return in.locate(wire.ParseJSONEntry(line, f, lineDefaults))
	}
	err := in.parse.Next(f)
	if at := new(lineError); err == nil || errors.Is(err, io.EOF) || errors.As(err, &at) {
		return err
	}
	return &lineError{in.name, in.began(), 0, err}
}
