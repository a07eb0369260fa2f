//go:build invariants

package wire

import (
	"bytes"
	"testing"
)

// TestReleasedBytesAreOverwritten holds a payload beyond its time.
func TestReleasedBytesAreOverwritten(t *testing.T) {
	for _, size := range []int{100, 200_000} {
		fb := NewFrameBuffer(DefaultMaxFrame)
		stream := appendFrame(nil, FrameAppend, 1, make([]byte, size))
		var frame Frame
		for rest, ok := stream, false; !ok; {
			n := copy(fb.Space(1), rest)
			fb.Advance(n)
			rest = rest[n:]
			frame, ok, _ = fb.Next()
		}
		held := frame.Payload
		if !bytes.Equal(held, make([]byte, size)) {
			t.Fatal("payload is wrong")
		}
		fb.Space(1)
		if !bytes.Equal(held, bytes.Repeat([]byte{poison}, size)) {
			t.Errorf("payload of %d bytes outlives its frame", size)
		}
	}
}
