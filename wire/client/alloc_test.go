package client

import (
	"context"
	"strconv"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// accepting answers every append as wholly new, and allocates nothing for it.
func accepting() func(*peerConn, wire.Frame) bool {
	var buf []byte
	var size uint64
	return func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAppend {
			return false
		}
		var m wire.AppendRequest
		if fault := m.Decode(f.Payload); !fault.OK() {
			c.t.Error(fault)
		}
		size += uint64(m.Count)
		a := wire.Appended{First: size - uint64(m.Count) + 1, Last: size, Size: size, Accepted: m.Count}
		buf = wire.AppendFrameHeader(buf[:0], wire.FrameHeader{Type: wire.FrameAppended, RequestID: f.RequestID})
		buf = wire.AppendAppended(buf, &a)
		wire.FinishFrame(buf, 0)
		_, _ = c.Write(buf)
		return true
	}
}

// fillAndAppend makes count entries and appends them.
func fillAndAppend(ctx context.Context, t testing.TB, c *Client, b *Batch, fields *wire.Fields, count int) {
	b.Reset()
	for range count {
		fields.Nonce[15]++
		if err := b.Add(fields); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Append(ctx, b); err != nil {
		t.Fatal(err)
	}
}

func TestAppendAllocatesPerRequestAndNotPerEntry(t *testing.T) {
	p := newPeer(t)
	p.intercept(accepting())
	c := p.dial(t, nil)
	fields := batchOf(t, 1, 1).Entry(0).Fields()
	b := new(Batch)
	fillAndAppend(t.Context(), t, c, b, &fields, 1000)
	allocs := testing.AllocsPerRun(50, func() { fillAndAppend(t.Context(), t, c, b, &fields, 1000) })
	if allocs > 16 {
		t.Fatalf("a request of 1000 entries costs %.0f allocations", allocs)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, count := range []int{1, 16, 256} {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			p := newPeer(b)
			p.intercept(accepting())
			c := p.dial(b, nil)
			fields := batchOf(b, 1, 1).Entry(0).Fields()
			batch := new(Batch)
			b.ReportAllocs()
			for b.Loop() {
				fillAndAppend(b.Context(), b, c, batch, &fields, count)
			}
			b.ReportMetric(float64(b.N*count)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
