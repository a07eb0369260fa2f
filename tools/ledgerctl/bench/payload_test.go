package bench

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rustyonions/ron-ledger/wire"
)

// decodeRequest returns the entries of a frame, checked as a server checks them.
func decodeRequest(t rapid.TB, frame []byte) (wire.Frame, []wire.Entry) {
	t.Helper()
	fb := wire.NewFrameBuffer(0)
	for rest := frame; len(rest) > 0; {
		n := copy(fb.Space(1), rest)
		fb.Advance(n)
		rest = rest[n:]
		if len(rest) > 0 {
			if _, ok, fault := fb.Next(); ok || !fault.OK() {
				t.Fatalf("a frame ends before its end: %v", fault)
			}
		}
	}
	f, ok, fault := fb.Next()
	if !ok || !fault.OK() {
		t.Fatalf("cut the frame: %v", fault)
	}
	var m wire.AppendRequest
	if fault := m.Decode(f.Payload); !fault.OK() {
		t.Fatalf("decode the request: %v", fault)
	}
	var entries []wire.Entry
	for rest := m.Entries; len(rest) > 0; {
		entry, fault := wire.NextEntry(rest)
		if !fault.OK() {
			t.Fatalf("entry %d: %v", len(entries), fault)
		}
		if fault := wire.CheckEntry(entry); !fault.OK() {
			t.Fatalf("entry %d: %v", len(entries), fault)
		}
		entries = append(entries, entry)
		rest = rest[len(entry):]
	}
	if len(entries) != int(m.Count) {
		t.Fatalf("%d entries where the count is %d", len(entries), m.Count)
	}
	return f, entries
}

func TestBenchPayloadStaysValid(t *testing.T) {
	digits := digitsOf(300)
	rapid.Check(t, func(t *rapid.T) {
		size := 8 * rapid.IntRange(entryMin/8, entryMax/8).Draw(t, "entry bytes / 8")
		most := rapid.IntRange(1, 40).Draw(t, "most")
		random := rapid.Bool().Draw(t, "random")
		p, err := newPayload(most, size, digits, random, rapid.Uint64().Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[wire.Nonce]bool{}
		now := time.UnixMilli(1_728_794_183_123)
		for round := range rapid.IntRange(1, 5).Draw(t, "rounds") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 1e7).Draw(t, "pause")))
			n := rapid.IntRange(1, most).Draw(t, "n")
			frame, entries := decodeRequest(t, p.request(uint64(round)+7, n, now))
			if frame.RequestID != uint64(round)+7 || frame.Type != wire.FrameAppend || len(entries) != n {
				t.Fatalf("request %d, %v, %d entries", frame.RequestID, frame.Type, len(entries))
			}
			for i, e := range entries {
				checkBenchEntry(t, e, size, now, random)
				if seen[e.Nonce()] {
					t.Fatalf("entry %d has a nonce of another", i)
				}
				seen[e.Nonce()] = true
			}
		}
	})
}

func checkBenchEntry(t rapid.TB, e wire.Entry, size int, now time.Time, random bool) {
	t.Helper()
	nonce := e.Nonce()
	version := byte(7)
	if random {
		version = 4
	}
	switch {
	case e.Size() != size || e.Kind() != wire.KindTransfer || e.Amount() != (wire.Amount{Lo: 1}):
		t.Fatalf("entry is %d bytes, %v, %v", e.Size(), e.Kind(), e.Amount())
	case e.Timestamp() != now.UnixMilli():
		t.Fatalf("timestamp is %d, not %d", e.Timestamp(), now.UnixMilli())
	case bytes.Equal(e.Account(), e.Counterparty()):
		t.Fatalf("%s pays itself", e.Account())
	case nonce[6]>>4 != version || nonce[8]>>6 != 2:
		t.Fatalf("nonce %v is no UUID of version %d", nonce, version)
	}
}

// The nonces of one connection rise, and begin with the time.
func TestBenchNoncesRise(t *testing.T) {
	p, err := newPayload(50, 200, digitsOf(10), false, 1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.UnixMilli(1_728_794_183_123)
	var last wire.Nonce
	for range 20 {
		_, entries := decodeRequest(t, p.request(1, 50, now))
		for _, e := range entries {
			nonce := e.Nonce()
			if bytes.Compare(nonce[:], last[:]) <= 0 {
				t.Fatalf("%v comes after %v", nonce, last)
			}
			last = nonce
		}
		if ms := int64(last[0])<<40 | int64(last[1])<<32 | int64(last[2])<<24 | int64(last[3])<<16 | int64(last[4])<<8 | int64(last[5]); ms != now.UnixMilli() {
			t.Fatalf("nonce begins with %d, the time is %d", ms, now.UnixMilli())
		}
		now = now.Add(time.Millisecond)
	}
}

func TestBenchPayloadReachesAllAccounts(t *testing.T) {
	p, err := newPayload(500, 200, digitsOf(20), false, 3)
	if err != nil {
		t.Fatal(err)
	}
	var from, to []string
	_, entries := decodeRequest(t, p.request(1, 500, time.Now()))
	for _, e := range entries {
		from, to = append(from, string(e.Account())), append(to, string(e.Counterparty()))
	}
	for _, names := range [][]string{from, to} {
		slices.Sort(names)
		if got := len(slices.Compact(names)); got != 20 {
			t.Errorf("%d of 20 accounts were reached", got)
		}
	}
}

func TestBenchPayloadAllocates(t *testing.T) {
	p, err := newPayload(100, 200, digitsOf(1000), false, 1)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { p.request(1, 100, now) }); n != 0 {
		t.Errorf("%v allocations a request, want 0", n)
	}
}

func BenchmarkBenchPayload(b *testing.B) {
	p, err := newPayload(1000, 200, digitsOf(10_000), false, 1)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	for b.Loop() {
		p.request(1, 1000, now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/entry")
}
