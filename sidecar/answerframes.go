package sidecar

import (
	"bytes"
	"context"

	"github.com/rustyonions/ron-ledger/wire"
)

// answerFrames puts a stream into the frames of an answer.
type answerFrames struct {
	session *session
	header  wire.FrameHeader
	mayGoOn func() error // asked after each frame; nil: always
	buf     bytes.Buffer
	total   uint64
}

// Write sends what fills a frame.
func (f *answerFrames) Write(b []byte) (int, error) {
	f.total += uint64(len(b))
	f.buf.Write(b)
	for f.buf.Len() >= readFrameBytes {
		if !f.send(f.buf.Next(readFrameBytes), wire.FlagMore) {
			return 0, context.Canceled
		}
		if f.mayGoOn != nil {
			if err := f.mayGoOn(); err != nil {
				return 0, err
			}
		}
		if err := f.session.ctx.Err(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (f *answerFrames) send(piece []byte, flags uint8) bool {
	header := f.header
	header.Flags = flags
	return f.session.out.send(header, func(dst []byte) []byte { return append(dst, piece...) })
}

// end sends the rest, in the frame that is the last.
func (f *answerFrames) end() error {
	if !f.send(f.buf.Bytes(), 0) {
		return context.Canceled
	}
	return nil
}
