package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Size of a terminal that does not tell its own.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// What the terminal is told: the alternate screen without a cursor, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	homeCursor  = "\x1b[H"
	reverse     = "\x1b[7m"
	plain       = "\x1b[0m"
)

// fullScreen hands show the terminal that stdout is, for it to draw on and to read keys from. The terminal is
// as before, however that ends.
func (a *app) fullScreen(show func(out *os.File) error) error {
	out, _ := a.stdout.(*os.File) // it is a terminal, or this would not run
	if in, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("read keys from the terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(in.Fd()), before) }()
	}
	if _, err := io.WriteString(out, enterScreen); err != nil {
		return err
	}
	defer func() { _, _ = io.WriteString(out, leaveScreen) }()
	return show(out)
}

// readKeys hands over what is typed. Its goroutine ends with the input, at the latest with the process.
func readKeys(in io.Reader) <-chan byte {
	keys := make(chan byte)
	go func() {
		for r := bufio.NewReader(in); ; {
			key, err := r.ReadByte()
			if err != nil {
				return
			}
			keys <- key
		}
	}()
	return keys
}

// drawScreen draws lines that fill a terminal, the first of them as a heading.
func (a *app) drawScreen(out *os.File, draw func(width, height int) []string) error {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = defaultWidth, defaultHeight
	}
	lines := draw(width, height)
	if a.env("NO_COLOR") == "" {
		lines[0] = reverse + lines[0] + plain
	}
	_, err = io.WriteString(out, homeCursor+strings.Join(lines, "\r\n"))
	return err
}
