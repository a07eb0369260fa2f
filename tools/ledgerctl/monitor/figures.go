package monitor

import (
	"fmt"
	"slices"
	"time"
)

// Figures is what is counted of one ledger that is watched.
type Figures struct {
	URL             string
	Size            uint64    // of the newest checkpoint that was proven
	Since           time.Time // when that was taken
	Answered        time.Time // when a look last brought a good answer; zero: never
	Looks, Failures uint64
	Alarms          map[string]uint64 // looks that raised one, by its kind
}

// Looked counts a look.
func (f *Figures) Looked(err error, now time.Time) {
	f.Looks++
	if err != nil {
		f.Failures++
		return
	}
	f.Answered = now
}

// Raised counts an alarm.
func (f *Figures) Raised(kind string) {
	if f.Alarms == nil {
		f.Alarms = map[string]uint64{}
	}
	f.Alarms[kind]++
}

// Clone returns a copy that shares nothing.
func (f *Figures) Clone() Figures {
	clone := *f
	clone.Alarms = make(map[string]uint64, len(f.Alarms))
	for kind, n := range f.Alarms {
		clone.Alarms[kind] = n
	}
	return clone
}

// AppendMetrics appends the figures of ledgers in Prometheus' text format. In a file for the textfile
// collector the counters begin at zero with every start of the monitor.
func AppendMetrics(b []byte, ledgers []Figures) []byte {
	metric := func(kind, name, help string, value func(*Figures) int64) {
		b = AppendFamily(b, kind, "ledger_monitor_"+name, help)
		for i := range ledgers {
			b = fmt.Appendf(b, "ledger_monitor_%s{url=%q} %d\n", name, ledgers[i].URL, value(&ledgers[i]))
		}
	}
	metric("gauge", "size", "Tree size of the newest checkpoint that was proven.", func(f *Figures) int64 { return int64(f.Size) })
	metric("gauge", "checkpoint_timestamp_seconds", "When a newer checkpoint was last taken.", func(f *Figures) int64 { return f.Since.Unix() })
	metric("gauge", "answer_timestamp_seconds", "When the server last gave a good answer; 0 = not since the start.",
		func(f *Figures) int64 { return max(f.Answered.Unix(), 0) })
	metric("counter", "looks_total", "Looks at the server.", func(f *Figures) int64 { return int64(f.Looks) })
	metric("counter", "failures_total", "Looks that brought nothing good.", func(f *Figures) int64 { return int64(f.Failures) })
	b = AppendFamily(b, "counter", "ledger_monitor_alarms_total", "Looks that raised an alarm, by its kind.")
	for i := range ledgers {
		for _, kind := range slices.Sorted(slices.Values(Kinds)) {
			b = fmt.Appendf(b, "ledger_monitor_alarms_total{url=%q,kind=%q} %d\n", ledgers[i].URL, kind, ledgers[i].Alarms[kind])
		}
	}
	return b
}

// AppendFamily appends the head of a family of metrics.
func AppendFamily(b []byte, kind, name, help string) []byte {
	return fmt.Appendf(b, "# HELP %[1]s %[2]s\n# TYPE %[1]s %[3]s\n", name, help, kind)
}
