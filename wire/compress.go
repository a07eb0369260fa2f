package wire

import (
	"encoding/binary"
	"slices"

	"github.com/klauspost/compress/s2"
)

// rawLengthSize is the size of the raw length in front of an S2 block, in bytes.
const rawLengthSize = 4

// DefaultDecompressRatio is how many times longer than its block a payload may
// be where nothing else is configured.
const DefaultDecompressRatio = 10

// Compress appends payload in its compressed form, the raw length as u32 and an
// S2 block, to dst. It reports false, and returns dst as it was, when that would
// not be shorter or when a peer that allows ratio would refuse it: then the
// payload is to be sent as it is.
func Compress(dst, payload []byte, ratio int) (compressed []byte, ok bool) {
	bound := s2.MaxEncodedLen(len(payload))
	if bound < 0 {
		return dst, false
	}
	start := len(dst)
	dst = slices.Grow(dst, rawLengthSize+bound)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	block := s2.Encode(dst[len(dst):len(dst)+bound], payload)
	dst = dst[:len(dst)+len(block)]
	if rawLengthSize+len(block) >= len(payload) || tooDense(len(payload), len(block), ratio) {
		return dst[:start], false
	}
	return dst, true
}

// Decompress returns the raw form of a compressed payload. It uses the capacity
// of dst, whose bytes are lost; a longer payload is given new memory. Offsets
// count from the start of payload. A raw length above maxFrame, or above ratio
// times the length of the block, is refused before a byte is decompressed and
// before memory is taken.
func Decompress(dst, payload []byte, maxFrame, ratio int) (raw []byte, fault Fault) {
	if len(payload) < rawLengthSize {
		return nil, Fault{ReasonMalformed, len(payload), "raw length of the compressed payload is cut off"}
	}
	size := uint64(binary.LittleEndian.Uint32(payload))
	block := payload[rawLengthSize:]
	switch {
	case size > uint64(maxFrame):
		return nil, Fault{ReasonTooLarge, 0, "raw length of the compressed payload is above the limit of a frame"}
	case tooDense(int(size), len(block), ratio):
		return nil, Fault{ReasonTooLarge, 0, "raw length of the compressed payload is above the allowed ratio"}
	}
	if n, err := s2.DecodedLen(block); err != nil || uint64(n) != size {
		return nil, Fault{ReasonMalformed, rawLengthSize, "S2 block does not have the raw length that stands before it"}
	}
	if uint64(cap(dst)) < size {
		dst = make([]byte, size)
	}
	raw, err := s2.Decode(dst[:size], block)
	if err != nil {
		return nil, Fault{ReasonMalformed, rawLengthSize, "S2 block is corrupt"}
	}
	return raw, Fault{}
}

// tooDense reports whether raw bytes are more than ratio times block bytes.
func tooDense(raw, block, ratio int) bool {
	return uint64(raw) > uint64(ratio)*uint64(block)
}
