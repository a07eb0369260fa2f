package wire

import (
	"fmt"
	"testing"
)

func BenchmarkEntryCheck(b *testing.B) {
	for _, size := range []int{112, 200, 1000} {
		e := entryOfSize(b, size)
		b.Run(fmt.Sprintf("%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, fault := NextEntry(e); !fault.OK() {
					b.Fatal(fault)
				}
			}
		})
	}
}

func BenchmarkAppendEntry(b *testing.B) {
	fields := entryOfSize(b, 200).Fields()
	dst := make([]byte, 0, EntryMaxSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := AppendEntry(dst, &fields); !fault.OK() {
			b.Fatal(fault)
		}
	}
}

// BenchmarkFrameBuffer cuts a stream of requests of 16 entries, copies included.
func BenchmarkFrameBuffer(b *testing.B) {
	for _, entries := range []int{1, 16, 1000} {
		b.Run(fmt.Sprintf("%d", entries), func(b *testing.B) {
			frame := appendFrame(nil, FrameAppend, 1, entriesPayload(b, entries))
			var stream []byte
			for len(stream) < 1<<20 {
				stream = append(stream, frame...)
			}
			fb := NewFrameBuffer(DefaultMaxFrame)
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				for rest := stream; len(rest) > 0; {
					n := copy(fb.Space(16<<10), rest)
					fb.Advance(n)
					rest = rest[n:]
					for ok := true; ok; {
						var fault Fault
						if _, ok, fault = fb.Next(); !fault.OK() {
							b.Fatal(fault)
						}
					}
				}
			}
		})
	}
}

func BenchmarkAppendAppended(b *testing.B) {
	for _, rows := range []int{0, 16} {
		b.Run(fmt.Sprintf("%d", rows), func(b *testing.B) {
			a := sampleAppended(rows)
			dst := make([]byte, 0, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendAppended(dst[:0], a)
			}
		})
	}
}

func BenchmarkDecompress(b *testing.B) {
	payload := entriesPayload(b, 256)
	compressed, ok := Compress(nil, payload, DefaultDecompressRatio)
	if !ok {
		b.Fatal("not compressed")
	}
	dst := make([]byte, len(payload))
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, fault := Decompress(dst, compressed, DefaultMaxFrame, DefaultDecompressRatio); !fault.OK() {
			b.Fatal(fault)
		}
	}
}

const benchmarkLine = `{"kind":"Transfer","account":"customer/00012345","counterparty":"merchant/00054321","amount":"12345",` +
	`"nonce":"00a8faaa-c000-7000-8000-000000000001","ts":1728794183123,"memo":"invoice 2024-1013"}`

func BenchmarkParseJSON(b *testing.B) {
	var f Fields
	line := []byte(benchmarkLine)
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseJSONEntry(line, &f, JSONDefaults{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	var f Fields
	if err := ParseJSONEntry([]byte(benchmarkLine), &f, JSONDefaults{}); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendJSON(dst[:0], &f, Recorded{Seq: 1, TimeMs: 1728794183123})
	}
}

func BenchmarkAmount(b *testing.B) {
	x := Amount{Hi: 12345, Lo: 678910}
	digits := x.String()
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			if _, ok := x.Add(x); !ok {
				b.Fatal("overflow")
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseAmount(digits); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("print", func(b *testing.B) {
		var dst [maxAmountDigits]byte
		for b.Loop() {
			x.AppendDecimal(dst[:0])
		}
	})
}
