package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire/client"
)

// driven is ledgerctl top at the other end of two pipes: what is typed goes into one, frames come out of the other.
type driven struct {
	t      *testing.T
	keys   io.WriteCloser
	frames <-chan string
}

func driveTop(t *testing.T, socket string) *driven {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	typed, keys := io.Pipe()
	a := &app{stdin: typed, stdout: write, env: func(name string) string { return map[string]string{"NO_COLOR": "1"}[name] }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := a.topLive(ctx, &topSampler{client: c}, 100*time.Millisecond)
		_ = write.Close()
		ended <- err
	}()
	frames := make(chan string)
	go func() {
		defer close(frames)
		frame := ""
		for buffer := make([]byte, 1<<16); ; {
			n, err := read.Read(buffer)
			frame += string(buffer[:n])
			for {
				first, rest, more := strings.Cut(frame, homeCursor)
				if !more {
					break
				}
				frames <- strings.ReplaceAll(first, "\r\n", "\n")
				frame = rest
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range frames { // what is still drawn has to go somewhere
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = c.Close()
		_ = keys.Close()
	})
	return &driven{t, keys, frames}
}

func (d *driven) press(key string) {
	d.t.Helper()
	if _, err := io.WriteString(d.keys, key); err != nil {
		d.t.Fatal(err)
	}
}

// until returns the first frame that is as it should be.
func (d *driven) until(what string, as func(frame string) bool) string {
	d.t.Helper()
	patience := time.After(30 * time.Second)
	for last := ""; ; {
		select {
		case frame, more := <-d.frames:
			if !more {
				d.t.Fatalf("top ended before %s; the last frame was\n%s", what, last)
			}
			if last = frame; as(frame) {
				return frame
			}
		case <-patience:
			d.t.Fatalf("no frame shows %s; the last was\n%s", what, last)
		}
	}
}

func shows(text string) func(string) bool {
	return func(frame string) bool { return strings.Contains(frame, text) }
}

// TestTopPausesAndSorts presses the keys of the live screen: a paused one stays as it is whatever the ledger does, and
// goes on from what is then; the other key turns the order of the rejects.
func TestTopPausesAndSorts(t *testing.T) {
	socket := startMicronode(t).Socket()
	d := driveTop(t, socket)
	d.until("an empty ledger", shows("size 0 "))
	if status, _, errs := runHere(t, socket, nil, "mint", "bank", "1"); status != exitOK {
		t.Fatal(errs)
	}
	d.until("the entry", shows("size 1 "))
	d.press("p")
	paused := d.until("the pause", shows("PAUSED"))
	if status, _, errs := runHere(t, socket, nil, "mint", "bank", "1"); status != exitOK {
		t.Fatal(errs)
	}
	for range 5 { // ticks of the clock, each of which draws
		if frame := d.until("another frame", func(string) bool { return true }); frame != paused {
			t.Fatalf("the paused screen\n%sbecame\n%s", paused, frame)
		}
	}
	d.press("s")
	d.until("the other order", shows("sort rejects by number   PAUSED"))
	d.press("p")
	d.until("what happened meanwhile", func(frame string) bool {
		return strings.Contains(frame, "size 2 ") && !strings.Contains(frame, "PAUSED")
	})
	d.press("s")
	d.until("the first order", shows("sort rejects by name"))
	d.press("q")
	for range d.frames {
	}
}
