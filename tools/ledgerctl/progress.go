package main

import (
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// progressBar shows on stderr how far a file is. On anything but a terminal it is
// silent.
type progressBar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	end     chan struct{}
	done    chan struct{}
}

const progressEvery = 100 * time.Millisecond

func (a *app) startProgress(in *input) *progressBar {
	if !a.terminal(a.stderr) {
		return new(progressBar)
	}
	p := &progressBar{writer: progress.NewWriter(), end: make(chan struct{}), done: make(chan struct{})}
	p.writer.SetOutputWriter(a.stderr)
	p.writer.SetUpdateFrequency(progressEvery)
	p.writer.SetTrackerPosition(progress.PositionRight)
	p.writer.Style().Visibility.Speed = true
	p.tracker = &progress.Tracker{Message: in.name, Total: in.size, Units: progress.UnitsBytes}
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
			p.tracker.SetValue(min(in.taken.Load(), max(in.size-1, 0))) // the whole is reached when all is answered
		}
		p.tracker.MarkAsDone()
		p.writer.Stop()
		<-rendered
	}()
	return p
}

func (p *progressBar) stop() {
	if p.writer != nil {
		close(p.end)
		<-p.done
	}
}
