package wire

import (
	"math/bits"
	"sync"
)

// FrameBufferSize is what a FrameBuffer holds while no frame needs more, in bytes.
const FrameBufferSize = 64 << 10

// poison overwrites released bytes under the build tag invariants, so that a
// view that outlived its frame is noticed.
const poison = 0xCC

// Frame is one frame in place.
type Frame struct {
	FrameHeader
	Payload []byte // as it is on the wire: compressed where the header says so
}

// FrameBuffer cuts a stream of bytes into frames, without doing any I/O:
//
//	for {
//		n, err := conn.Read(fb.Space(4096))
//		fb.Advance(n)
//		for {
//			frame, ok, fault := fb.Next()
//			…
//		}
//	}
//
// What was read and what of it is still to be handed out:
//
//	0        held     start          end        len(buf)
//	├─ gone ──┼─ frame ─┼─ unread ─────┼─ free ───┤
//	          └ the last Next
//
// The invariant, checked after each step under the build tag invariants:
//
//	0 ≤ held ≤ start ≤ end ≤ len(buf) ≤ max(FrameBufferSize, 2·(FrameHeaderSize+maxFrame))
//
// The buffer grows only when a checked header needs it, to the next power of
// two above, and a large buffer goes back to a pool as soon as the frame that
// needed it was taken and what is unread fits in the small one: an idle
// connection holds FrameBufferSize bytes, and a busy one allocates nothing. A
// FrameBuffer belongs to one goroutine.
type FrameBuffer struct {
	buf              []byte
	held, start, end int
	need             int     // size of the frame at start once its header is checked; else FrameHeaderSize
	small            []byte  // FrameBufferSize bytes, kept
	large            *[]byte // what buf is a view of while small is too small; else nil
	maxFrame         int
	fault            Fault // the first one; nothing behind it can be read
}

// NewFrameBuffer returns an empty buffer for payloads of at most maxFrame bytes
// (0 means DefaultMaxFrame).
func NewFrameBuffer(maxFrame int) *FrameBuffer {
	if maxFrame <= 0 {
		maxFrame = DefaultMaxFrame
	}
	small := make([]byte, FrameBufferSize)
	return &FrameBuffer{buf: small, small: small, need: FrameHeaderSize, maxFrame: maxFrame}
}

// Buffered returns the number of bytes that were read and not handed out.
func (fb *FrameBuffer) Buffered() int { return fb.end - fb.start }

// Space returns the free part of the buffer to read into; it is never empty.
// When fewer than min bytes are free, what is unread is moved to the front
// first. Every frame handed out before ends here. Next MUST have reported that
// it has no more.
func (fb *FrameBuffer) Space(min int) []byte {
	fb.release()
	unread := fb.end - fb.start
	switch {
	case fb.need > len(fb.buf):
		fb.moveTo(takeLarge(fb.need))
	case fb.large != nil && max(fb.need, unread+1) <= len(fb.small):
		fb.moveTo(nil)
	case unread == 0:
		fb.held, fb.start, fb.end = 0, 0, 0
	case len(fb.buf)-fb.end < max(min, 1):
		copy(fb.buf, fb.buf[fb.start:fb.end])
		fb.held, fb.start, fb.end = 0, 0, unread
		fb.poisonFrom(unread)
	}
	if fb.end == len(fb.buf) {
		panic("wire: FrameBuffer.Space while whole frames wait for Next")
	}
	fb.check()
	return fb.buf[fb.end:]
}

// Advance says that n bytes were read into what Space returned.
func (fb *FrameBuffer) Advance(n int) {
	if n < 0 || n > len(fb.buf)-fb.end {
		panic("wire: FrameBuffer.Advance beyond the space")
	}
	fb.end += n
	fb.check()
}

// Next returns the next whole frame in place, valid until the next call of Next
// or Space; ok is false when more bytes are needed. A fault ends the stream:
// every later call returns it again. A length above the limit is refused
// before memory is taken for it.
func (fb *FrameBuffer) Next() (frame Frame, ok bool, fault Fault) {
	fb.release()
	if !fb.fault.OK() {
		return Frame{}, false, fb.fault
	}
	fb.need = FrameHeaderSize
	if fb.end-fb.start < FrameHeaderSize {
		return Frame{}, false, Fault{}
	}
	frame.FrameHeader, fault = ParseFrameHeader(fb.buf[fb.start:fb.end])
	if fault.OK() && uint64(frame.Length) > uint64(fb.maxFrame) {
		fault = Fault{ReasonTooLarge, offsetFrameLength, "frame is longer than the limit"}
	}
	if !fault.OK() {
		fb.fault = fault
		return Frame{}, false, fault
	}
	size := FrameHeaderSize + int(frame.Length)
	if fb.end-fb.start < size {
		fb.need = size
		return Frame{}, false, Fault{}
	}
	frame.Payload = fb.buf[fb.start+FrameHeaderSize : fb.start+size : fb.start+size]
	fb.start += size
	fb.check()
	return frame, true, Fault{}
}

// release ends the frame that was handed out last.
func (fb *FrameBuffer) release() {
	if invariants {
		fill(fb.buf[fb.held:fb.start])
	}
	fb.held = fb.start
}

// moveTo moves what is unread to the front of large, or of the small buffer
// when large is nil, and gives the old buffer back.
func (fb *FrameBuffer) moveTo(large *[]byte) {
	target := fb.small
	if large != nil {
		target = *large
	}
	n := copy(target, fb.buf[fb.start:fb.end])
	fb.poisonFrom(0)
	if fb.large != nil {
		giveLarge(fb.large)
	}
	fb.buf, fb.large = target, large
	fb.held, fb.start, fb.end = 0, 0, n
}

func (fb *FrameBuffer) poisonFrom(offset int) {
	if invariants {
		fill(fb.buf[offset:])
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = poison
	}
}

func (fb *FrameBuffer) check() {
	if invariants && !(0 <= fb.held && fb.held <= fb.start && fb.start <= fb.end && fb.end <= len(fb.buf) &&
		len(fb.buf) <= max(FrameBufferSize, 2*(FrameHeaderSize+fb.maxFrame))) {
		panic("wire: FrameBuffer invariant is broken")
	}
}

// largeBuffers pools buffers by the power of two of the payload that they can
// hold, behind a header.
var largeBuffers [33]sync.Pool

// takeLarge returns a buffer of at least size and fewer than twice as many bytes.
func takeLarge(size int) *[]byte {
	class := bits.Len(uint(size - FrameHeaderSize - 1))
	if b, ok := largeBuffers[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, FrameHeaderSize+1<<class)
	return &b
}

func giveLarge(b *[]byte) {
	largeBuffers[bits.Len(uint(len(*b)-FrameHeaderSize-1))].Put(b)
}
