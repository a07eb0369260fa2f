package wire

import "encoding/binary"

// Snapshot asks for a copy of the whole ledger.
type Snapshot struct{}

// Append appends the payload of m to dst.
func (m *Snapshot) Append(dst []byte) []byte { return binary.LittleEndian.AppendUint32(dst, 0) }

// Decode reads a payload.
func (m *Snapshot) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	c.flags(0)
	return c.end()
}

// SnapshotAnswer is the next piece of the file. The last one has no FlagMore; where an ERROR comes
// in its place the file is of no use.
type SnapshotAnswer struct {
	Piece []byte // in place when decoded
}

// Append appends the payload of m to dst.
func (m *SnapshotAnswer) Append(dst []byte) []byte { return append(dst, m.Piece...) }

// Decode takes a payload as it is.
func (m *SnapshotAnswer) Decode(payload []byte) Fault {
	m.Piece = payload
	return Fault{}
}
