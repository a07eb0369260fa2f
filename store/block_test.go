package store

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"pgregory.net/rapid"
)

// encodeBlock makes a block of count records as Append would.
func encodeBlock(first uint64, count int, last, compress bool, groups []Group) (key, value []byte) {
	l := newLedger(first)
	var records []byte
	for i := range count {
		records = l.entry(records, 80+8*(i%5), first+uint64(i))
	}
	h := blockHeader{first: first, count: count, groups: len(groups), rawLen: len(records), last: last, s2: compress, timeMs: 42}
	if last {
		h.root = rootOf(first)
	}
	if compress {
		records = s2.Encode(nil, records)
	}
	value = make([]byte, h.len()+len(records))
	h.encode(value, groups)
	copy(value[h.len():], records)
	k := blockKey(first)
	return k[:], value
}

// decodeAll decodes everything that a block holds.
func decodeAll(key, value []byte) (h blockHeader, records []byte, ends []uint32, groups []Group, err error) {
	if h, err = decodeBlockHeader(key, value); err != nil {
		return
	}
	if groups, err = h.appendGroups(nil, value); err != nil {
		return
	}
	records, ends, err = h.appendRecords(nil, nil, value)
	return
}

func TestBlockRefusesDamage(t *testing.T) {
	const count = 4
	groups := []Group{{First: 513, Count: 2}, {First: 516, Count: 9}}
	header := blockHeaderLen + blockRootLen
	for _, tt := range []struct {
		name  string
		spoil func(key, value []byte) ([]byte, []byte)
		want  string
	}{
		{"short key", func(k, v []byte) ([]byte, []byte) { return k[1:], v }, "key is not 8 bytes"},
		{"sequence number 0", func(k, v []byte) ([]byte, []byte) { return make([]byte, 8), v }, "impossible count"},
		{"highest sequence number", func(k, v []byte) ([]byte, []byte) { return bytes.Repeat([]byte{255}, 8), v }, "impossible count"},
		{"empty", func(k, v []byte) ([]byte, []byte) { return k, nil }, "less than a header"},
		{"version", func(k, v []byte) ([]byte, []byte) { v[0] = 2; return k, v }, "unknown block version 2"},
		{"flag", func(k, v []byte) ([]byte, []byte) { v[1] |= 4; return k, v }, "unknown flags"},
		{"reserved", func(k, v []byte) ([]byte, []byte) { v[7] = 1; return k, v }, "reserved"},
		{"no records", func(k, v []byte) ([]byte, []byte) { v[2] = 0; return k, v }, "impossible count"},
		{"too many records", func(k, v []byte) ([]byte, []byte) { v[3] = 2; return k, v }, "impossible count"},
		{"across a tile", func(k, v []byte) ([]byte, []byte) { b := blockKey(255); return b[:], v }, "cross a boundary"},
		{"too many groups", func(k, v []byte) ([]byte, []byte) { v[4] = 5; return k, v }, "5 groups are more"},
		{"raw length 0", func(k, v []byte) ([]byte, []byte) { clear(v[8:12]); return k, v }, "impossible length"},
		{"raw length huge", func(k, v []byte) ([]byte, []byte) { v[11] = 0x7f; return k, v }, "impossible length"},
		{"cut in the groups", func(k, v []byte) ([]byte, []byte) { return k, v[:header+40] }, "less than header and groups"},
		{"cut in the payload", func(k, v []byte) ([]byte, []byte) { return k, v[:len(v)-1] }, "payload of"},
		{"longer", func(k, v []byte) ([]byte, []byte) { return k, append(v, 0) }, "payload of"},
		{"group outside", func(k, v []byte) ([]byte, []byte) { v[header] = 4; return k, v }, "impossible group"},
		{"groups overlap", func(k, v []byte) ([]byte, []byte) { v[header+groupLen] = 1; return k, v }, "impossible group"},
		{"empty group", func(k, v []byte) ([]byte, []byte) { v[header+4] = 0; return k, v }, "impossible group"},
		{"entry size", func(k, v []byte) ([]byte, []byte) { v[header+2*groupLen] += 8; return k, v }, "do not add up"},
		{"entry size 0", func(k, v []byte) ([]byte, []byte) { clear(v[header+2*groupLen:][:2]); return k, v }, "do not add up"},
		{"not compressed after all", func(k, v []byte) ([]byte, []byte) { v[1] |= flagS2; return k, v }, "compressed payload says"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, value := tt.spoil(encodeBlock(513, count, true, false, groups))
			_, _, _, _, err := decodeAll(key, value)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v instead of %q", err, tt.want)
			}
		})
	}
}

// TestBlockRoundTrip: what was encoded decodes to the same.
func TestBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, blockLeaves).Draw(t, "count")
		tile := rapid.Uint64Range(0, 1<<40).Draw(t, "tile")
		first := tile*blockLeaves + 1 + uint64(rapid.IntRange(0, blockLeaves-count).Draw(t, "offset"))
		last, compress := rapid.Bool().Draw(t, "last"), rapid.Bool().Draw(t, "compress")
		var groups []Group
		for at := 0; at < count; at++ {
			if rapid.Bool().Draw(t, "group") {
				n := rapid.IntRange(1, 300).Draw(t, "length")
				groups = append(groups, Group{First: first + uint64(at), Count: uint32(n), IdemID: nonceOf(first)})
				at += n - 1
			}
		}
		key, value := encodeBlock(first, count, last, compress, groups)
		_, raw := encodeBlock(first, count, false, false, nil)
		h, records, ends, got, err := decodeAll(key, value)
		if err != nil {
			t.Fatal(err)
		}
		if h.first != first || h.count != count || h.last != last || h.timeMs != 42 || last && h.root != rootOf(first) {
			t.Fatalf("header %+v", h)
		}
		if !bytes.Equal(records, raw[blockHeaderLen:]) || len(ends) != count || len(got) != len(groups) {
			t.Fatalf("%d bytes, %d ends, %d groups", len(records), len(ends), len(got))
		}
		for i := range groups {
			if got[i] != groups[i] {
				t.Fatalf("group %d: %+v", i, got[i])
			}
		}
	})
}

// FuzzBlock: no input makes the decoder panic or return more than the header states; what it
// accepts encodes to the same header again.
func FuzzBlock(f *testing.F) {
	for _, compress := range []bool{false, true} {
		for _, last := range []bool{false, true} {
			key, value := encodeBlock(513, 4, last, compress, []Group{{First: 514, Count: 7}})
			f.Add(key, value)
			key, value = encodeBlock(1, 1, last, compress, nil)
			f.Add(key, value)
		}
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		h, records, ends, groups, err := decodeAll(key, value)
		if err != nil {
			return
		}
		if len(records) != h.rawLen || len(ends) != h.count || int(ends[h.count-1]) != h.rawLen || len(groups) != h.groups {
			t.Fatalf("%+v: %d bytes, %d ends, %d groups", h, len(records), len(ends), len(groups))
		}
		again := make([]byte, h.len())
		h.encode(again, groups)
		if !bytes.Equal(again, value[:h.len()]) || binary.BigEndian.Uint64(key) != h.first {
			t.Fatalf("%x encodes to %x", value[:h.len()], again)
		}
	})
}
