package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// appendFrame appends one whole frame.
func appendFrame(dst []byte, kind FrameType, id uint64, payload []byte) []byte {
	start := len(dst)
	dst = AppendFrameHeader(dst, FrameHeader{Type: kind, RequestID: id})
	dst = append(dst, payload...)
	FinishFrame(dst, start)
	return dst
}

// framesOf feeds stream in pieces and returns what Next made of it, as text, and
// the fault that ended it.
func framesOf(fb *FrameBuffer, stream []byte, piece func() int) (frames []string, fault Fault) {
	for len(stream) > 0 {
		space := fb.Space(1)
		n := copy(space, stream[:min(len(stream), max(piece(), 1))])
		fb.Advance(n)
		stream = stream[n:]
		for {
			frame, ok, fault := fb.Next()
			if !fault.OK() {
				return frames, fault
			}
			if !ok {
				break
			}
			frames = append(frames, fmt.Sprintf("%v %d %x %x", frame.Type, frame.RequestID, frame.Flags, frame.Payload))
		}
	}
	return frames, Fault{}
}

func TestFrameHeaderComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := FrameHeader{
			Length: rapid.Uint32().Draw(t, "length"), Type: FrameType(rapid.Byte().Draw(t, "type")),
			Flags: rapid.ByteMax(flagsKnown).Draw(t, "flags"), RequestID: rapid.Uint64().Draw(t, "id"),
		}
		got, fault := ParseFrameHeader(AppendFrameHeader(nil, want))
		if !fault.OK() || got != want {
			t.Fatalf("%v: %+v, want %+v", fault, got, want)
		}
	})
}

func TestFrameBufferAnyChunking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const maxFrame = 300_000
		var stream []byte
		var want []string
		for i := range rapid.IntRange(0, 8).Draw(t, "frames") {
			size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(FrameBufferSize-40, FrameBufferSize+40),
				rapid.IntRange(0, maxFrame)).Draw(t, "size")
			payload := bytes.Repeat([]byte{byte(i + 1)}, size)
			stream = appendFrame(stream, FrameAppend, uint64(i), payload)
			want = append(want, fmt.Sprintf("%v %d 0 %x", FrameAppend, i, payload))
		}
		pieces := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(1, 200_000))
		if len(stream) > 20_000 {
			pieces = rapid.IntRange(1000, 200_000)
		}
		got, fault := framesOf(NewFrameBuffer(maxFrame), stream, func() int { return pieces.Draw(t, "piece") })
		if !fault.OK() || !slices.Equal(got, want) {
			t.Fatalf("%v: %d frames, want %d", fault, len(got), len(want))
		}
	})
}

// TestFrameBufferMemory holds the two bounds: nothing is taken for a length that
// is refused, and a large buffer is given back when its frame is done.
func TestFrameBufferMemory(t *testing.T) {
	fb := NewFrameBuffer(DefaultMaxFrame)
	stream := appendFrame(nil, FrameAppend, 1, make([]byte, DefaultMaxFrame))
	if frames, fault := framesOf(fb, stream, func() int { return len(stream) }); !fault.OK() || len(frames) != 1 {
		t.Fatalf("%v: %d frames", fault, len(frames))
	}
	if len(fb.buf) != FrameHeaderSize+DefaultMaxFrame {
		t.Errorf("a frame of 1 MiB is read into %d bytes", len(fb.buf))
	}
	if n := len(fb.Space(1)); n != FrameBufferSize {
		t.Errorf("drained, the buffer has %d bytes", n)
	}
	tooLong := AppendFrameHeader(nil, FrameHeader{Length: DefaultMaxFrame + 1, Type: FrameAppend})
	if _, fault := framesOf(fb, tooLong, func() int { return len(tooLong) }); fault.Reason != ReasonTooLarge {
		t.Errorf("fault is %v", fault)
	}
	if len(fb.Space(1)) > FrameBufferSize {
		t.Error("memory was taken for a frame that is refused")
	}
	for range 2 {
		if _, ok, fault := fb.Next(); ok || fault.Reason != ReasonTooLarge {
			t.Error("a fault does not stay")
		}
	}
}

// TestFrameBufferAllocations reads frame after frame, of which the largest do not
// fit in the small buffer.
func TestFrameBufferAllocations(t *testing.T) {
	for _, size := range []int{0, 1000, 200_000} {
		fb := NewFrameBuffer(DefaultMaxFrame)
		stream := appendFrame(nil, FrameAppend, 1, make([]byte, size))
		var frames int
		allocations := testing.AllocsPerRun(50, func() {
			for rest := stream; len(rest) > 0; {
				n := copy(fb.Space(4096), rest)
				fb.Advance(n)
				rest = rest[n:]
				for {
					_, ok, fault := fb.Next()
					if !fault.OK() {
						t.Fatal(fault)
					}
					if !ok {
						break
					}
					frames++
				}
			}
		})
		if allocations != 0 || frames != 51 {
			t.Errorf("payload of %d bytes: %v allocations, %d frames", size, allocations, frames)
		}
	}
}

func TestFrameBufferMisuse(t *testing.T) {
	panics := func(name string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		f()
	}
	fb := NewFrameBuffer(0)
	panics("advance beyond the space", func() { fb.Advance(FrameBufferSize + 1) })
	panics("advance backwards", func() { fb.Advance(-1) })
	fb.Advance(len(fb.Space(1)))
	panics("space without next", func() { fb.Space(1) })
}

// FuzzFrameBuffer holds that any chunking decodes as the whole.
func FuzzFrameBuffer(f *testing.F) {
	var all []byte
	for _, v := range loadGolden(f) {
		if v.What == "frame" {
			f.Add(v.bytes(f), uint16(3))
			if v.Reason == "" {
				all = append(all, v.bytes(f)...)
			}
		}
	}
	f.Add(all, uint16(1))
	f.Add(appendFrame(all, FrameAppend, 7, make([]byte, 70_000)), uint16(1021))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint16) {
		const maxFrame = 100_000
		whole, wholeFault := framesOf(NewFrameBuffer(maxFrame), stream, func() int { return len(stream) })
		state := uint32(seed)
		parts, partsFault := framesOf(NewFrameBuffer(maxFrame), stream, func() int {
			state = state*1664525 + 1013904223
			return int(state>>16)%(int(seed)+1) + 1
		})
		if !slices.Equal(whole, parts) || wholeFault != partsFault {
			t.Fatalf("in pieces: %d frames, %v; whole: %d frames, %v", len(parts), partsFault, len(whole), wholeFault)
		}
		if len(stream) >= FrameHeaderSize {
			length := binary.LittleEndian.Uint32(stream)
			if length > maxFrame && wholeFault.OK() {
				t.Fatal("a frame above the limit is accepted")
			}
		}
	})
}
