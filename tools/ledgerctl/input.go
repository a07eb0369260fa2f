package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"

	"github.com/rustyonions/ron-ledger/wire"
)

// maxLine is the longest line of input, in bytes: many times what the longest
// entry needs.
const maxLine = 64 << 10

// input is a file that is read line by line and never whole.
type input struct {
	name   string // for errors
	size   int64  // of the file in bytes, as it is on disk; 0: not known
	taken  atomic.Int64
	line   int         // number of the line that next returned
	parse  entryReader // reads the next entry; nil: each line is one, in JSON
	lines  *bufio.Reader
	closer io.Closer
}

// entryReader reads entries that are not a line of JSON each.
type entryReader interface {
	Next(*wire.Fields) error // io.EOF at the end
	Line() int               // at which the last entry, or what is wrong, begins
}

// began is the number of the line at which the last entry begins.
func (in *input) began() int {
	if in.parse != nil {
		return in.parse.Line()
	}
	return in.line
}

// lineError says where in a file something is wrong.
type lineError struct {
	file         string
	line, column int
	err          error
}

func (e *lineError) Error() string {
	if e.column == 0 {
		return fmt.Sprintf("%s:%d: %v", e.file, e.line, e.err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.file, e.line, e.column, e.err)
}

func (e *lineError) Unwrap() error { return e.err }

// openInput opens a file, or stdin for "-". What is gzip by its content is
// decompressed.
func (a *app) openInput(path string) (*input, error) {
	in := &input{name: path}
	source := a.stdin
	if path == "-" {
		in.name = "stdin"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			in.size = info.Size()
		}
		source, in.closer = f, f
	}
	return in, in.decompress(source)
}

var gzipMagic = []byte{0x1f, 0x8b}

func (in *input) decompress(source io.Reader) error {
	raw := bufio.NewReaderSize(&counter{source, &in.taken}, maxLine)
	in.lines = raw
	if magic, _ := raw.Peek(len(gzipMagic)); !bytes.Equal(magic, gzipMagic) {
		return nil // an error comes again with the first line
	}
	unzipped, err := gzip.NewReader(raw)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: read gzip: %w", in.name, err), in.close())
	}
	in.lines = bufio.NewReaderSize(unzipped, maxLine)
	return nil
}

// next returns the next line without its line break, valid until the next call,
// or io.EOF.
func (in *input) next() ([]byte, error) {
	line, err := in.lines.ReadSlice('\n')
	if len(line) == 0 && err == io.EOF {
		return nil, io.EOF
	}
	in.line++
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, &lineError{in.name, in.line, maxLine, fmt.Errorf("line is longer than %d bytes", maxLine)}
	case err != nil && err != io.EOF:
		return nil, &lineError{in.name, in.line, 0, err}
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

func (in *input) close() error {
	if in.closer == nil {
		return nil
	}
	return in.closer.Close()
}

// counter counts what is read through it.
type counter struct {
	io.Reader
	taken *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.taken.Add(int64(n))
	return n, err
}

// readLimited reads a small file, or stdin for "-".
func readLimited(stdin io.Reader, path string, limit int64) ([]byte, error) {
	source := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		source = f
	}
	content, err := io.ReadAll(io.LimitReader(source, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("read %s: longer than %d bytes", path, limit)
	}
	return content, err
}
