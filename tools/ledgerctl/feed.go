package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// chunk is a run of lines, read and not yet sent.
type chunk struct {
	entries client.Batch
	lines   []int
}

// sendFile sends every line of in. At a line that is no entry it sends what stands
// before and returns the error.
func (f *appendFlags) sendFile(ctx context.Context, in *input, s *sender) error {
	limit, bytes := f.limits(s)
	resuming := !f.judgeAgain && !f.atomic && s.sum.Size > 0
	sh := s.blank()
	var read chunk
	for {
		size := limit
		if resuming {
			size = max(size, lookAhead)
		}
		failed := read.fill(in, size, bytes)
		last := errors.Is(failed, io.EOF)
		if failed != nil && !last && f.atomic {
			return failed
		}
		if f.atomic && !last {
			return fmt.Errorf("%s: more than one request can hold: an atomic file has at most %d entries", in.name, limit)
		}
		rejected, err := read.judged(ctx, s, &resuming)
		if err != nil {
			return err
		}
		for i, e := range read.entries.All() {
			if rejected != nil && rejected[i] {
				sh.withhold(read.lines[i], e)
				continue
			}
			if err := sh.add(read.lines[i], e); err != nil {
				return err
			}
			if sh.batch.Len() >= limit || sh.batch.Size() > bytes {
				if err := s.send(ctx, sh); err != nil {
					return err
				}
				sh = s.blank()
			}
		}
		if failed != nil {
			if last {
				failed = nil
			}
			return errors.Join(failed, s.finish(ctx, sh))
		}
	}
}

// fill reads up to size lines, fewer when they are long. Its error, io.EOF at the
// end, is that of the line behind those that it read.
func (c *chunk) fill(in *input, size, bytes int) error {
	c.entries.Reset()
	c.lines = c.lines[:0]
	var fields wire.Fields
	for c.entries.Len() < size && c.entries.Size() <= bytes {
		if err := in.entry(&fields); err != nil {
			return err
		}
		if err := in.locate(c.entries.Add(&fields)); err != nil {
			return err
		}
		c.lines = append(c.lines, in.began())
	}
	return nil
}

// judged tells which lines were rejected when the file was sent before. Resuming
// ends with the first chunk of which nothing is booked.
func (c *chunk) judged(ctx context.Context, s *sender, resuming *bool) ([]bool, error) {
	if !*resuming {
		return nil, nil
	}
	entries := make([]wire.Entry, 0, c.entries.Len())
	for _, e := range c.entries.All() {
		entries = append(entries, e)
	}
	for {
		rejected, last, err := judged(ctx, s.clients[0], entries)
		if err == nil {
			*resuming = last >= 0
			return rejected, nil
		}
		if err := s.pause(ctx, err); err != nil {
			return nil, err
		}
	}
}
