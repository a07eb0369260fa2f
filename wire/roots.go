package wire

import "encoding/binary"

// Roots asks for the roots of the commits after a size.
type Roots struct {
	Since  uint64 // roots of a size greater than this
	Limit  uint32 // most roots to answer with; 0 leaves it to the server
	WaitMs uint32 // how long to wait for the first one, in milliseconds; the server may wait less
}

// Append appends the payload of m to dst.
func (m *Roots) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, m.Since)
	dst = binary.LittleEndian.AppendUint32(dst, m.Limit)
	return binary.LittleEndian.AppendUint32(dst, m.WaitMs)
}

// Decode reads a payload.
func (m *Roots) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Since, m.Limit, m.WaitMs = c.u64(), c.u32(), c.u32()
	return c.end()
}

// RootsAnswer lists roots in the order of their sizes.
type RootsAnswer struct {
	Next       uint64 // the next Since
	Roots      []Head // one for each commit, in order
	Checkpoint []byte // the newest published checkpoint, a signed note; empty when there is none yet
}

// Append appends the payload of m to dst.
func (m *RootsAnswer) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, m.Next)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Roots)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Checkpoint)))
	for i := range m.Roots {
		dst = m.Roots[i].append(dst)
	}
	return append(dst, m.Checkpoint...)
}

// Decode reads a payload. Checkpoint is a view of it; Roots is used again.
func (m *RootsAnswer) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Roots, m.Checkpoint = m.Roots[:0], nil
	m.Next = c.u64()
	count, checkpointLength := c.u32(), c.u32()
	if uint64(count)*headSize+uint64(checkpointLength) != uint64(len(payload)-c.at) {
		c.fail(8, "counts do not agree with the length of the message")
	}
	for i := uint32(0); i < count && c.fault.OK(); i++ {
		m.Roots = append(m.Roots, c.head())
	}
	m.Checkpoint = c.bytes(int(checkpointLength))
	return c.end()
}

// Watch asks to be told of every commit after a size, until the connection ends.
type Watch struct {
	From uint64 // the size that the caller knows
}

// Append appends the payload of m to dst.
func (m *Watch) Append(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(dst, m.From)
}

// Decode reads a payload.
func (m *Watch) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.From = c.u64()
	return c.end()
}

// WatchAnswer tells of the entries First..Head.Size. To a reader that is slow,
// several commits are told as one.
type WatchAnswer struct {
	First uint64 // sequence number of the first entry that was not told of before
	Head  Head
}

// Append appends the payload of m to dst.
func (m *WatchAnswer) Append(dst []byte) []byte {
	return m.Head.append(binary.LittleEndian.AppendUint64(dst, m.First))
}

// Decode reads a payload.
func (m *WatchAnswer) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.First, m.Head = c.u64(), c.head()
	return c.end()
}
