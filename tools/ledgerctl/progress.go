package main

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// progressBar shows on stderr how far something is. On anything but a terminal it is
// silent.
type progressBar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	end     chan struct{}
	done    chan struct{}
}

const progressEvery = 100 * time.Millisecond

// startProgress shows how far a file is read.
func (a *app) startProgress(in *input) *progressBar {
	return a.startBar(in.name, progress.UnitsBytes, func() (done, total int64) { return in.taken.Load(), in.size })
}

// startBar shows how far something is, which far tells as often as it is asked.
func (a *app) startBar(name string, units progress.Units, far func() (done, total int64)) *progressBar {
	if !a.terminal(a.stderr) {
		return new(progressBar)
	}
	p := &progressBar{writer: progress.NewWriter(), end: make(chan struct{}), done: make(chan struct{})}
	p.writer.SetOutputWriter(a.stderr)
	p.writer.SetUpdateFrequency(progressEvery)
	p.writer.SetTrackerPosition(progress.PositionRight)
	p.writer.Style().Visibility.Speed, p.writer.Style().Visibility.ETA = true, true
	p.writer.Style().Options.ETAString = "left"
	_, total := far()
	p.tracker = &progress.Tracker{Message: name, Total: total, Units: units}
	p.writer.AppendTracker(p.tracker)
	rendered := make(chan struct{})
	go func() {
		defer close(rendered)
		p.writer.Render()
	}()
	go func() {
		defer close(p.done)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for running := true; running; {
			select {
			case <-tick.C:
			case <-p.end:
				running = false
			}
			value, total := far()
			p.tracker.UpdateTotal(total)
			if total > 0 {
				value = min(value, total-1) // the whole is reached when all is done
			}
			p.tracker.SetValue(value)
		}
		p.tracker.MarkAsDone()
		p.writer.Stop()
		<-rendered
	}()
	return p
}

// scanning counts entries that are read, and shows how many of how many where the output goes elsewhere than the bar.
func (a *app) scanning(what string, size uint64) (count func(), stop func()) {
	if a.terminal(a.stdout) {
		return func() {}, func() {}
	}
	told, stop := a.showEntries(what)
	done := uint64(0)
	return func() {
		done++
		told(done, size)
	}, stop
}

// written counts what is written through it.
type written struct {
	io.Writer
	bytes *atomic.Int64
}

func (w written) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	w.bytes.Add(int64(n))
	return n, err
}

func (p *progressBar) stop() {
	if p.writer != nil {
		close(p.end)
		<-p.done
	}
}
