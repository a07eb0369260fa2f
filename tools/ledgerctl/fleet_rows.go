package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/fleet"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/screen"
)

var fleetColumns = []string{"state", "size", "lag", "grew", "name", "log", "url"}

// fleetJSON is what fleet --json prints once an interval. Times are Unix milliseconds.
type fleetJSON struct {
	Time    int64          `json:"time"`
	Ledgers int            `json:"ledgers"`
	New     int            `json:"new"`
	OK      int            `json:"ok"`
	Silent  int            `json:"silent"`
	Refuted int            `json:"refuted"`
	Line    *fleetLineJSON `json:"line,omitempty"`
	Rows    []fleetRowJSON `json:"rows"`
}

type fleetLineJSON struct {
	Ledgers uint64 `json:"ledgers"`
	Root    string `json:"root"`
	Time    int64  `json:"time"`
}

type fleetRowJSON struct {
	URL   string `json:"url"`
	Name  string `json:"name"`
	Log   string `json:"log"`
	State string `json:"state"`
	Why   string `json:"why,omitempty"`
	Size  uint64 `json:"size"`
	Root  string `json:"root,omitempty"`
	LagMs *int64 `json:"lag_ms"` // since the last good answer; null: none yet
	Since int64  `json:"since"`  // when the newest checkpoint was taken
}

func (w *following) asJSON(rows []fleet.Row, now time.Time) fleetJSON {
	c := fleet.CountRows(rows)
	all := fleetJSON{Time: now.UnixMilli(), Ledgers: c.Ledgers, New: c.Unseen, OK: c.OK, Silent: c.Silent, Refuted: c.Refuted, Rows: []fleetRowJSON{}}
	if w.line != nil {
		all.Line = &fleetLineJSON{w.line.Ledgers, w.line.Root.String(), w.line.Time.UnixMilli()}
	}
	for i := range rows {
		r := &rows[i]
		row := fleetRowJSON{URL: r.URL, Name: r.Name, Log: r.LogID, State: r.State, Why: r.Why, Size: r.Known.Size, Since: r.Since.UnixMilli()}
		if r.Known.Origin != "" {
			row.Root = r.Known.Root.String()
		}
		if !r.Answer.IsZero() {
			row.LagMs = new(now.Sub(r.Answer).Milliseconds())
		}
		all.Rows = append(all.Rows, row)
	}
	return all
}

// printRows prints the table of --once.
func (w *following) printRows(rows []fleet.Row) error {
	now := time.Now()
	if w.app.json {
		return printJSON(w.app.stdout, w.asJSON(rows, now))
	}
	return w.app.printing(func(out *bufio.Writer) error {
		if w.app.output == "" {
			w.app.output = outputTable
		}
		for i := range rows {
			if err := w.app.printCells(out, fleetColumns, cells(&rows[i], now)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// cells are what the table says of a ledger. Lag is the time since the last good answer, grew since there
// was something new.
func cells(r *fleet.Row, now time.Time) []string {
	lag := "-"
	if !r.Answer.IsZero() {
		lag = screen.Span(now.Sub(r.Answer))
	}
	return []string{r.State, strconv.FormatUint(r.Known.Size, 10), lag, screen.Span(now.Sub(r.Since)), r.Name, r.LogID, r.URL}
}

// fleetRedraw is how often the screen is drawn again.
const fleetRedraw = time.Second

// live shows the table until q or the end of ctx.
func (w *following) live(ctx context.Context) error {
	a := w.app
	w.quiet = true
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- w.run(ctx, func([]fleet.Row) error { return nil }) }()
	err := a.fullScreen(func(out *os.File) error {
		keys := readKeys(a.stdin)
		tick := time.NewTicker(fleetRedraw)
		defer tick.Stop()
		for {
			if err := a.drawScreen(out, w.draw); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case err := <-ran:
				ran <- nil
				return err
			case key := <-keys:
				if key == 'q' || key == 3 { // and Ctrl-C, which is a key of a raw terminal
					return nil
				}
			case <-tick.C:
			}
		}
	})
	stop()
	<-ran
	return err
}

// draw makes the screen.
func (w *following) draw(width, height int) []string {
	rows, now := w.fleet.Rows(), time.Now()
	c := fleet.CountRows(rows)
	s := screen.Fleet{
		Summary: fmt.Sprintf("%d ledgers: %d ok, %d silent, %d refuted, %d not seen yet", c.Ledgers, c.OK, c.Silent, c.Refuted, c.Unseen),
		Columns: fleetColumns,
	}
	for i := range rows {
		s.Rows = append(s.Rows, screen.FleetRow{Cells: cells(&rows[i], now), Why: printable(rows[i].Why)})
	}
	w.mu.Lock()
	s.Failed = printable(w.failed)
	w.mu.Unlock()
	return s.Draw(width, height)
}
