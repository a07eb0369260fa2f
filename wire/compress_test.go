package wire

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"
)

// entriesPayload is the payload of an APPEND of n entries with random nonces.
func entriesPayload(t testing.TB, n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	request := AppendRequest{Count: uint32(n)}
	for range n {
		e := entryOfSize(t, 200)
		binary.LittleEndian.PutUint64(e[offsetNonce:], random.Uint64())
		binary.LittleEndian.PutUint64(e[offsetNonce+8:], random.Uint64())
		request.Entries = append(request.Entries, e...)
	}
	return request.Append(nil)
}

func TestCompressComesBack(t *testing.T) {
	payload := entriesPayload(t, 100)
	compressed, ok := Compress([]byte("head"), payload, DefaultDecompressRatio)
	if !ok || !bytes.HasPrefix(compressed, []byte("head")) {
		t.Fatalf("%v, %d bytes", ok, len(compressed))
	}
	dst := make([]byte, 0, len(payload))
	raw, fault := Decompress(dst, compressed[4:], DefaultMaxFrame, DefaultDecompressRatio)
	if !fault.OK() || !bytes.Equal(raw, payload) {
		t.Fatalf("%v, %d bytes", fault, len(raw))
	}
	if &raw[0] != &dst[:1][0] {
		t.Error("the memory given is not used")
	}
	if n := testing.AllocsPerRun(20, func() { _, fault = Decompress(dst, compressed[4:], DefaultMaxFrame, DefaultDecompressRatio) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCompressLeavesAlone(t *testing.T) {
	random := make([]byte, 1000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for name, payload := range map[string][]byte{
		"empty": nil, "random": random, "too dense for the peer": make([]byte, 100_000),
	} {
		if out, ok := Compress([]byte("kept"), payload, DefaultDecompressRatio); ok || string(out) != "kept" {
			t.Errorf("%s: compressed to %d bytes", name, len(out))
		}
	}
}

func TestDecompressRefuses(t *testing.T) {
	block := func(rawLength uint32, block []byte) []byte {
		return append(binary.LittleEndian.AppendUint32(nil, rawLength), block...)
	}
	payload := entriesPayload(t, 10)
	good := s2.Encode(nil, payload)
	spoiled := bytes.Clone(good)
	for i := 3; i < len(spoiled); i++ {
		spoiled[i] = 0xff
	}
	bomb := s2.Encode(nil, make([]byte, 1<<20))
	for name, row := range map[string]struct {
		payload []byte
		reason  Reason
		offset  int
	}{
		"nothing":           {nil, ReasonMalformed, 0},
		"cut length":        {[]byte{1, 2, 3}, ReasonMalformed, 3},
		"no block":          {block(0, nil), ReasonMalformed, 4},
		"above the frame":   {block(1<<20+1, good), ReasonTooLarge, 0},
		"above the ratio":   {block(1<<20, bomb), ReasonTooLarge, 0},
		"length lies low":   {block(uint32(len(payload)-1), good), ReasonMalformed, 4},
		"length lies high":  {block(uint32(len(payload)+1), good), ReasonMalformed, 4},
		"block lies":        {block(100, bomb), ReasonMalformed, 4},
		"corrupt block":     {block(uint32(len(payload)), spoiled), ReasonMalformed, 4},
		"block is cut":      {block(uint32(len(payload)), good[:len(good)-1]), ReasonMalformed, 4},
		"four billion less": {block(1<<32-1, good), ReasonTooLarge, 0},
	} {
		raw, fault := Decompress(nil, row.payload, DefaultMaxFrame, DefaultDecompressRatio)
		if raw != nil || fault.Reason != row.reason || fault.Offset != row.offset {
			t.Errorf("%s: %v, %d bytes", name, fault, len(raw))
		}
	}
}

// FuzzDecompress holds that nothing is allocated beyond the bounds, and that what
// is accepted is what S2 says.
func FuzzDecompress(f *testing.F) {
	payload := entriesPayload(f, 3)
	compressed, _ := Compress(nil, payload, DefaultDecompressRatio)
	f.Add(compressed)
	f.Add(compressed[:len(compressed)-1])
	f.Add([]byte{0, 0, 0, 0, 0})
	f.Add(append([]byte{0, 0, 16, 0}, s2.Encode(nil, make([]byte, 1<<20))...))
	f.Fuzz(func(t *testing.T, payload []byte) {
		const maxFrame, ratio = 64 << 10, 10
		raw, fault := Decompress(nil, payload, maxFrame, ratio)
		if !fault.OK() {
			if raw != nil || fault.Offset > len(payload) {
				t.Fatalf("%v, %d bytes", fault, len(raw))
			}
			return
		}
		if cap(raw) > maxFrame || cap(raw) > ratio*len(payload) {
			t.Fatalf("%d bytes were taken for %d", cap(raw), len(payload))
		}
		if want, err := s2.Decode(nil, payload[4:]); err != nil || !bytes.Equal(raw, want) {
			t.Fatalf("S2 says %v", err)
		}
		if again, ok := Compress(nil, raw, ratio); ok {
			if back, fault := Decompress(nil, again, maxFrame, ratio); !fault.OK() || !bytes.Equal(back, raw) {
				t.Fatalf("what Compress made is refused: %v", fault)
			}
		}
	})
}
