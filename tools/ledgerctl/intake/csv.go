package intake

import (
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/rustyonions/ron-ledger/wire"
)

// Lines returns the next line of a file, valid until the next call, or io.EOF.
type Lines func() ([]byte, error)

// CSV reads entries of a CSV file whose first line names the columns. A record is one line:
// a quoted field with a line break in it is refused.
type CSV struct {
	next    Lines
	mapping *Mapping
	columns map[string]int
	row     []string
	number  int // of the line that was read last
	identity
}

// NewCSV returns a reader of what next returns.
func NewCSV(next Lines, m *Mapping) *CSV { return &CSV{next: next, mapping: m} }

// Line is the number of the line of the last entry, or of what is wrong.
func (c *CSV) Line() int { return c.number }

// Next reads the next entry, or io.EOF.
func (c *CSV) Next(f *wire.Fields) error {
	if c.columns == nil {
		if err := c.header(); err != nil {
			return err
		}
	}
	for {
		row, err := c.record()
		if err != nil {
			return err
		}
		if len(row) != len(c.columns) {
			return fmt.Errorf("%d columns, the header has %d", len(row), len(c.columns))
		}
		c.row = row
		rule, err := c.rule()
		if err != nil {
			return err
		}
		if !rule.Skip {
			return c.entry(rule, f)
		}
	}
}

func (c *CSV) record() ([]string, error) {
	line, err := c.next()
	if err != nil {
		return nil, err
	}
	c.number++
	r := csv.NewReader(strings.NewReader(strings.TrimSuffix(string(line), "\r")))
	r.Comma = rune(c.mapping.Separator[0])
	row, err := r.Read()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, errors.New("the line is empty")
	case errors.As(err, &parse):
		return nil, fmt.Errorf("column %d: %w (a record is one line)", parse.Column, parse.Err)
	}
	return row, err
}

// header reads the names of the columns, and holds the mapping against them.
func (c *CSV) header() error {
	names, err := c.record()
	if err != nil {
		return err
	}
	c.columns = make(map[string]int, len(names))
	for i, name := range names {
		name = strings.TrimPrefix(name, "\ufeff")
		if _, twice := c.columns[name]; twice {
			return fmt.Errorf("two columns are named %q", name)
		}
		c.columns[name] = i
	}
	for _, text := range c.mapping.templates() {
		for _, m := range columnInTemplate.FindAllStringSubmatch(text, -1) {
			if _, known := c.columns[m[1]]; !known {
				return fmt.Errorf("the mapping names the column %q, the header has %s", m[1], strings.Join(names, ", "))
			}
		}
	}
	return nil
}

// fill puts the row into a template.
func (c *CSV) fill(template string) string {
	return columnInTemplate.ReplaceAllStringFunc(template, func(name string) string {
		return c.row[c.columns[name[1:len(name)-1]]]
	})
}

func (c *CSV) rule() (*Rule, error) {
next:
	for i := range c.mapping.Rules {
		r := &c.mapping.Rules[i]
		for column, want := range r.When {
			if c.row[c.columns[column]] != want {
				continue next
			}
		}
		return r, nil
	}
	return nil, fmt.Errorf("no rule of the mapping is for the row %q: add one, with skip = true if it is no entry", strings.Join(c.row, c.mapping.Separator))
}

func (c *CSV) entry(r *Rule, f *wire.Fields) (err error) {
	*f = wire.Fields{Kind: r.kind, Account: c.fill(r.Account), Counterparty: c.fill(r.Counterparty)}
	if f.Amount, err = Decimal(c.fill(c.mapping.Amount), c.mapping.Scale); err != nil {
		return err
	}
	asset := c.fill(c.mapping.Asset)
	var ok bool
	if f.Asset, ok = wire.ParseAsset(asset); !ok {
		return fmt.Errorf("asset %q: at most 8 of A-Z 0-9 . - are wanted", asset)
	}
	if f.Timestamp, err = c.mapping.time(c.fill(c.mapping.Time.Text)); err != nil {
		return err
	}
	for _, memo := range c.mapping.Memo {
		if f.Memo = []byte(c.fill(memo)); len(f.Memo) > 0 {
			break
		}
	}
	return c.setNonce(f)
}

func (c *CSV) setNonce(f *wire.Fields) (err error) {
	switch n := c.mapping.Nonce; {
	case n.Text != "":
		text := c.fill(n.Text)
		var ok bool
		if f.Nonce, ok = wire.ParseNonce(text); !ok {
			return fmt.Errorf("%q is no nonce: a UUID, 32 hex digits or base64 of 16 bytes", text)
		}
	case n.Number != "":
		text := c.fill(n.Number)
		number, err := strconv.ParseUint(text, 10, 48)
		if err != nil {
			return fmt.Errorf("the number of the nonce is %q: one below 2^48 is wanted", text)
		}
		f.Nonce = numbered(f.Timestamp, number)
	default:
		f.Nonce, err = c.nonce(f)
	}
	return err
}

// numbered is a UUIDv7 (RFC 9562, section 5.7) of a time and a number in the place of its last 48 random bits:
// nonces that rise with time keep the ledger's index cheap.
func numbered(ms int64, number uint64) (n wire.Nonce) {
	binary.BigEndian.PutUint64(n[0:], uint64(ms)<<16|0x7000)
	binary.BigEndian.PutUint64(n[8:], 0x8000<<48|number)
	return n
}
