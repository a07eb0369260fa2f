package main

import (
	"bytes"
	"fmt"
	"time"
)

// watchMetrics is what a monitor counts.
type watchMetrics struct {
	looks, failures uint64
	answered        time.Time // when a look last brought an answer
	alarms          map[string]uint64
}

func (c *watchMetrics) look(err error, now time.Time) {
	c.looks++
	if err != nil {
		c.failures++
		return
	}
	c.answered = now
}

func (c *watchMetrics) raise(e *alarm) {
	if c.alarms == nil {
		c.alarms = map[string]uint64{}
	}
	c.alarms[e.kind]++
}

// write replaces the file of --metrics. In a file for the textfile collector the
// counters begin at zero with every start of the monitor.
func (c *watchMetrics) write(path string, w *watcher) error {
	if path == "" {
		return nil
	}
	var b bytes.Buffer
	metric := func(kind, name, help string) {
		fmt.Fprintf(&b, "# HELP ledger_monitor_%s %s\n# TYPE ledger_monitor_%[1]s %s\n", name, help, kind)
	}
	labels := fmt.Sprintf("{url=%q}", w.address.String())
	metric("gauge", "size", "Tree size of the newest checkpoint that was proven.")
	fmt.Fprintf(&b, "ledger_monitor_size%s %d\n", labels, w.known.Size)
	metric("gauge", "checkpoint_timestamp_seconds", "When a newer checkpoint was last taken.")
	fmt.Fprintf(&b, "ledger_monitor_checkpoint_timestamp_seconds%s %d\n", labels, w.since.Unix())
	metric("gauge", "answer_timestamp_seconds", "When the server last gave a good answer; 0 = not since the start.")
	fmt.Fprintf(&b, "ledger_monitor_answer_timestamp_seconds%s %d\n", labels, max(c.answered.Unix(), 0))
	metric("counter", "looks_total", "Looks at the server.")
	fmt.Fprintf(&b, "ledger_monitor_looks_total%s %d\n", labels, c.looks)
	metric("counter", "failures_total", "Looks that brought nothing good.")
	fmt.Fprintf(&b, "ledger_monitor_failures_total%s %d\n", labels, c.failures)
	metric("counter", "alarms_total", "Looks that raised an alarm, by its kind.")
	for _, kind := range alarmKinds {
		fmt.Fprintf(&b, "ledger_monitor_alarms_total{url=%q,kind=%q} %d\n", w.address.String(), kind, c.alarms[kind])
	}
	if err := writeWhole(path, b.Bytes()); err != nil {
		return fmt.Errorf("write --metrics: %w", err)
	}
	return nil
}
