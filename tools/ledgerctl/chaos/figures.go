package chaos

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// expectation is a figure out of the metrics that an attack has to move, and the alert that looks at it.
type expectation struct {
	metric string // as it is named in the report
	alert  string // empty: none looks at it alone
	value  func(scrape.Metrics) float64
	want   string // in words
	moved  func(before, furthest, after float64) bool
}

// rises is a counter that has to count something: in all, or of one value of its label.
func rises(alert, name string, label ...string) expectation {
	series := name
	if len(label) > 0 {
		series = fmt.Sprintf("%s{%s=%q}", name, label[0], label[1])
	}
	return expectation{series, alert, func(m scrape.Metrics) float64 { return m.Sum(name, label...) }, "rises",
		func(before, furthest, _ float64) bool { return furthest > before }}
}

// passes is a share of one gauge in another that has to go beyond a threshold and come back.
func passes(alert, name, of string, threshold float64) expectation {
	return expectation{name + "/" + of, alert, func(m scrape.Metrics) float64 { return m.Sum(name) / max(m.Sum(of), 1) },
		fmt.Sprintf("goes beyond %g and comes back", threshold),
		func(_, furthest, after float64) bool { return furthest > threshold && after <= threshold }}
}

const (
	lookEvery   = 50 * time.Millisecond
	lookTimeout = 2 * time.Second
	readTimeout = 30 * time.Second // of those without which there is no verdict
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

// look reads the metrics once, if they are answered at once.
func (f *figures) look(ctx context.Context) (scrape.Metrics, error) { return f.read(ctx, lookTimeout) }

// read reads the metrics once.
func (f *figures) read(ctx context.Context, within time.Duration) (scrape.Metrics, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, within)
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
	return scrape.Parse(&text)
}

// begin reads what is there before the attack.
func (f *figures) begin(ctx context.Context) error {
	m, err := f.read(ctx, readTimeout)
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

func (f *figures) note(m scrape.Metrics) {
	for i, e := range f.wanted {
		f.furthest[i] = max(f.furthest[i], e.value(m))
	}
}

// end reads what is there after the attack, and returns what has moved.
func (f *figures) end(ctx context.Context) ([]Moved, error) {
	m, err := f.read(ctx, readTimeout)
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
