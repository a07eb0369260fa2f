package fleet

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// Count is how many ledgers are in which state.
type Count struct{ Ledgers, Unseen, OK, Silent, Refuted int }

// CountRows counts rows by their states.
func CountRows(rows []Row) (c Count) {
	c.Ledgers = len(rows)
	for i := range rows {
		switch {
		case rows[i].Refuted():
			c.Refuted++
		case rows[i].State == Silent:
			c.Silent++
		case rows[i].State == Unseen:
			c.Unseen++
		default:
			c.OK++
		}
	}
	return c
}

// Metrics returns the figures in Prometheus' text format: those of package monitor for each ledger,
// and of the fleet the number of ledgers by state and the newest line; nil where none was published.
func (f *Fleet) Metrics(newest *Line) []byte {
	var figures []monitor.Figures
	for _, m := range f.all() {
		_, each := m.now()
		figures = append(figures, each)
	}
	slices.SortFunc(figures, func(a, b monitor.Figures) int { return cmp.Compare(a.URL, b.URL) })
	b := monitor.AppendMetrics(nil, figures)
	c := CountRows(f.Rows())
	b = monitor.AppendFamily(b, "gauge", "ledger_fleet_ledgers", "Ledgers of the fleet, by their state.")
	for _, s := range []struct {
		state string
		n     int
	}{{Unseen, c.Unseen}, {OK, c.OK}, {Silent, c.Silent}, {"refuted", c.Refuted}} {
		b = fmt.Appendf(b, "ledger_fleet_ledgers{state=%q} %d\n", s.state, s.n)
	}
	if newest != nil {
		b = monitor.AppendFamily(b, "gauge", "ledger_fleet_line_timestamp_seconds", "When the newest line was signed.")
		b = fmt.Appendf(b, "ledger_fleet_line_timestamp_seconds %d\n", newest.Time.Unix())
		b = monitor.AppendFamily(b, "gauge", "ledger_fleet_line_ledgers", "Ledgers that the newest line anchors.")
		b = fmt.Appendf(b, "ledger_fleet_line_ledgers %d\n", newest.Ledgers)
	}
	return b
}
