package wire

import "encoding/binary"

// Flags of an APPEND.
const (
	AppendAtomic   = 1 << 0 // all entries are committed next to each other, or none is
	AppendBalances = 1 << 1 // the answer carries the balances of the touched accounts
	AppendDryRun   = 1 << 2 // judge and answer as if, and book nothing

	appendFlags = AppendAtomic | AppendBalances | AppendDryRun
)

// AppendRequestHeaderSize is the size of what stands before the entries, in bytes.
const AppendRequestHeaderSize = 24

// AppendRequest asks to book entries. On the wire its fixed part is followed by
// Count entries back to back.
type AppendRequest struct {
	Flags   uint32
	Count   uint32   // 1 or more
	IdemID  [16]byte // identity of an atomic request; zero: none
	Entries []byte   // in place
}

// Append appends the payload of m to dst.
func (m *AppendRequest) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, m.Flags)
	dst = binary.LittleEndian.AppendUint32(dst, m.Count)
	dst = append(dst, m.IdemID[:]...)
	return append(dst, m.Entries...)
}

// Decode reads the fixed part and holds Count against the bytes that follow.
// The entries themselves are for NextEntry: when one of them has an unusable
// size, or bytes are left behind the last, the request as a whole is malformed.
func (m *AppendRequest) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Flags, m.Count, m.IdemID = c.flags(appendFlags), c.u32(), c.array16()
	m.Entries = c.bytes(len(c.payload) - c.at)
	switch {
	case !c.fault.OK():
	case m.Count == 0:
		c.fail(4, "request has no entries")
	case uint64(m.Count)*EntryMinSize > uint64(len(m.Entries)):
		c.fail(4, "entry count is more than the payload can hold")
	case uint64(m.Count)*EntryMaxSize < uint64(len(m.Entries)):
		c.fail(4, "entry count is less than the payload holds")
	case m.IdemID != [16]byte{} && m.Flags&AppendAtomic == 0:
		c.fail(8, "idem_id is only for an atomic request")
	}
	return c.end()
}
