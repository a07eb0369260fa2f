package chaos

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// expectation is a figure out of the metrics that an attack has to move, and the alert that looks at it.
type expectation struct {
	metric string // as it is named in the report
	alert  string // empty: none looks at it alone
	value  func(reading) float64
	want   string // in words
	moved  func(before, furthest, after float64) bool
}

// rises is a counter, or several, that has to count something.
func rises(alert, series string) expectation {
	return expectation{series, alert, func(m reading) float64 { return m.sum(series) }, "rises",
		func(before, furthest, _ float64) bool { return furthest > before }}
}

// passes is a share of one gauge in another that has to go beyond a threshold and come back.
func passes(alert, series, of string, threshold float64) expectation {
	return expectation{series + "/" + of, alert, func(m reading) float64 { return m.sum(series) / max(m.sum(of), 1) },
		fmt.Sprintf("goes beyond %g and comes back", threshold),
		func(_, furthest, after float64) bool { return furthest > threshold && after <= threshold }}
}

// reading is what the metrics said once: values by series, as Prometheus writes them.
type reading map[string]float64

// sum adds up the series that begin so: a name, or a name with all its labels.
func (m reading) sum(series string) (total float64) {
	for name, value := range m {
		if name == series || strings.HasPrefix(name, series+"{") {
			total += value
		}
	}
	return total
}

// parseReading reads the text format. A line that is none is left out: what has to be there is asked for.
func parseReading(text string) reading {
	m := reading{}
	for line := range strings.Lines(text) {
		at := strings.LastIndexByte(strings.TrimSuffix(line, "\n"), ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err == nil {
			m[line[:at]] = value
		}
	}
	return m
}

const (
	lookEvery   = 50 * time.Millisecond
	lookTimeout = 2 * time.Second
)

// figures watches the metrics of a sidecar over its socket, by a connection of their own.
type figures struct {
	options client.Options
	wanted  []expectation

	mu               sync.Mutex
	connection       *client.Client
	before, furthest []float64
}

func newFigures(o client.Options, wanted []expectation) *figures {
	return &figures{options: o, wanted: wanted}
}

// look reads the metrics once.
func (f *figures) look(ctx context.Context) (reading, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if f.connection == nil {
		c, err := client.Dial(ctx, f.options)
		if err != nil {
			return nil, err
		}
		f.connection = c
	}
	var text bytes.Buffer
	if err := f.connection.Admin(ctx, &wire.Admin{Command: wire.AdminMetrics}, &text); err != nil {
		return nil, err
	}
	return parseReading(text.String()), nil
}

// begin reads what is there before the attack.
func (f *figures) begin(ctx context.Context) error {
	m, err := f.look(ctx)
	if err != nil {
		return fmt.Errorf("read the metrics: %w", err)
	}
	for _, e := range f.wanted {
		f.before = append(f.before, e.value(m))
	}
	f.furthest = append(f.furthest, f.before...)
	return nil
}

// watch notes how far each figure goes, until ctx ends. While nobody answers there is nothing to note.
func (f *figures) watch(ctx context.Context) {
	for pause(ctx, lookEvery) {
		if m, err := f.look(ctx); err == nil {
			f.note(m)
		}
	}
}

func (f *figures) note(m reading) {
	for i, e := range f.wanted {
		f.furthest[i] = max(f.furthest[i], e.value(m))
	}
}

// end reads what is there after the attack, and returns what has moved.
func (f *figures) end(ctx context.Context) ([]Moved, error) {
	m, err := f.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	f.note(m)
	moved := make([]Moved, len(f.wanted))
	for i, e := range f.wanted {
		after := e.value(m)
		moved[i] = Moved{e.metric, e.alert, e.want, f.before[i], f.furthest[i], after, e.moved(f.before[i], f.furthest[i], after)}
	}
	return moved, nil
}

func (f *figures) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.connection != nil {
		_ = f.connection.Close()
	}
}
