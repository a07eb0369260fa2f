package wire

import (
	"encoding/binary"
	"fmt"
)

// FrameHeaderSize is the size of a frame's header in bytes.
const FrameHeaderSize = 16

// DefaultMaxFrame is the longest payload, in bytes, where nothing else is
// configured or agreed.
const DefaultMaxFrame = 1 << 20

// FrameType says what the payload of a frame is. The numbers are frozen.
type FrameType uint8

// The types of frames. An answer has the number behind its request's; ERROR can
// answer any request.
const (
	FrameHello          FrameType = 0x01
	FrameWelcome        FrameType = 0x02
	FrameAuth           FrameType = 0x03
	FrameOK             FrameType = 0x04
	FrameAppend         FrameType = 0x10
	FrameAppended       FrameType = 0x11
	FrameRoots          FrameType = 0x20
	FrameRootsAnswer    FrameType = 0x21
	FrameEntries        FrameType = 0x22
	FrameEntriesAnswer  FrameType = 0x23
	FrameAccount        FrameType = 0x24
	FrameAccountAnswer  FrameType = 0x25
	FrameProve          FrameType = 0x26
	FrameProveAnswer    FrameType = 0x27
	FrameWatch          FrameType = 0x28
	FrameWatchAnswer    FrameType = 0x29
	FrameStatus         FrameType = 0x30
	FrameStatusAnswer   FrameType = 0x31
	FrameSnapshot       FrameType = 0x40
	FrameSnapshotAnswer FrameType = 0x41
	FrameAdmin          FrameType = 0x42
	FrameAdminAnswer    FrameType = 0x43
	FrameError          FrameType = 0x7f
)

var frameNames = map[FrameType]string{
	FrameHello: "HELLO", FrameWelcome: "WELCOME", FrameAuth: "AUTH", FrameOK: "OK",
	FrameAppend: "APPEND", FrameAppended: "APPENDED",
	FrameRoots: "ROOTS", FrameRootsAnswer: "ROOTS_ANSWER",
	FrameEntries: "ENTRIES", FrameEntriesAnswer: "ENTRIES_ANSWER",
	FrameAccount: "ACCOUNT", FrameAccountAnswer: "ACCOUNT_ANSWER",
	FrameProve: "PROVE", FrameProveAnswer: "PROVE_ANSWER",
	FrameWatch: "WATCH", FrameWatchAnswer: "WATCH_ANSWER",
	FrameStatus: "STATUS", FrameStatusAnswer: "STATUS_ANSWER",
	FrameSnapshot: "SNAPSHOT", FrameSnapshotAnswer: "SNAPSHOT_ANSWER",
	FrameAdmin: "ADMIN", FrameAdminAnswer: "ADMIN_ANSWER", FrameError: "ERROR",
}

// String returns the name of the type, or its number when it has none.
func (t FrameType) String() string {
	if name, ok := frameNames[t]; ok {
		return name
	}
	return fmt.Sprintf("FRAME_%02x", uint8(t))
}

// Flags of a frame.
const (
	FlagCompressed = 1 << 0 // the payload is what Compress made
	FlagMore       = 1 << 1 // further frames of this answer follow under the same request id

	flagsKnown = FlagCompressed | FlagMore
)

// FrameHeader is what stands before each payload.
type FrameHeader struct {
	Length    uint32 // of the payload as it is on the wire, in bytes
	Type      FrameType
	Flags     uint8
	RequestID uint64 // chosen by the client and echoed; 0 is the connection itself
}

// Offsets in a frame header.
const (
	offsetFrameLength   = 0
	offsetFrameType     = 4
	offsetFrameFlags    = 5
	offsetFrameReserved = 6
	offsetFrameRequest  = 8
)

// ParseFrameHeader reads the 16 bytes that a frame starts with. An unknown type
// is no fault here, since its frame can be passed over: whoever dispatches
// answers it. An unknown flag or a reserved byte that is not zero is a fault,
// since what follows may mean something else. The length is for the caller to
// hold against its limit.
func ParseFrameHeader(b []byte) (FrameHeader, Fault) {
	if len(b) < FrameHeaderSize {
		return FrameHeader{}, Fault{ReasonMalformed, len(b), "frame header is cut off"}
	}
	h := FrameHeader{
		Length:    binary.LittleEndian.Uint32(b[offsetFrameLength:]),
		Type:      FrameType(b[offsetFrameType]),
		Flags:     b[offsetFrameFlags],
		RequestID: binary.LittleEndian.Uint64(b[offsetFrameRequest:]),
	}
	switch {
	case h.Flags&^flagsKnown != 0:
		return h, Fault{ReasonMalformed, offsetFrameFlags, "frame has an unknown flag"}
	case b[offsetFrameReserved] != 0:
		return h, Fault{ReasonMalformed, offsetFrameReserved, "reserved byte of the frame header is not zero"}
	case b[offsetFrameReserved+1] != 0:
		return h, Fault{ReasonMalformed, offsetFrameReserved + 1, "reserved byte of the frame header is not zero"}
	}
	return h, Fault{}
}

// PutFrameHeader writes h to the first FrameHeaderSize bytes of b.
func PutFrameHeader(b []byte, h FrameHeader) {
	_ = b[FrameHeaderSize-1]
	binary.LittleEndian.PutUint32(b[offsetFrameLength:], h.Length)
	b[offsetFrameType] = byte(h.Type)
	b[offsetFrameFlags] = h.Flags
	b[offsetFrameReserved], b[offsetFrameReserved+1] = 0, 0
	binary.LittleEndian.PutUint64(b[offsetFrameRequest:], h.RequestID)
}

// AppendFrameHeader appends h to dst.
func AppendFrameHeader(dst []byte, h FrameHeader) []byte {
	var b [FrameHeaderSize]byte
	PutFrameHeader(b[:], h)
	return append(dst, b[:]...)
}

// FinishFrame sets the length of the frame whose header stands at start and
// whose payload is the rest of b:
//
//	start := len(b)
//	b = AppendFrameHeader(b, FrameHeader{Type: FrameError, RequestID: id})
//	b = message.Append(b)
//	FinishFrame(b, start)
//
// The payload MUST NOT be longer than the limit that the peer has named.
func FinishFrame(b []byte, start int) {
	binary.LittleEndian.PutUint32(b[start+offsetFrameLength:], uint32(len(b)-start-FrameHeaderSize))
}
