package wire

import "encoding/binary"

// snapshotToArchive is the flag of SNAPSHOT. 1 is none.
const snapshotToArchive = 2

// Snapshot asks for a copy of the whole ledger.
type Snapshot struct {
	// ToArchive has it put into the archive of the sidecar. What is answered then is what it is: JSON.
	ToArchive bool
}

// Append appends the payload of m to dst.
func (m *Snapshot) Append(dst []byte) []byte {
	flags := uint32(0)
	if m.ToArchive {
		flags |= snapshotToArchive
	}
	return binary.LittleEndian.AppendUint32(dst, flags)
}

// Decode reads a payload.
func (m *Snapshot) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.ToArchive = c.flags(snapshotToArchive) != 0
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
