package wire

import (
	"encoding/binary"
	"iter"
)

// entriesByIdentity is the flag of an ENTRIES that names one entry.
const entriesByIdentity = 1 << 0

// EntriesRequest asks for records: those of a range of sequence numbers, or,
// when Account is not empty, the one of an identity.
type EntriesRequest struct {
	From, To uint64 // inclusive; To of 2^64-1 means up to the head
	Account  []byte // in place when decoded
	Nonce    Nonce
}

// Append appends the payload of m to dst.
func (m *EntriesRequest) Append(dst []byte) []byte {
	var flags uint32
	if len(m.Account) > 0 {
		flags = entriesByIdentity
	}
	dst = binary.LittleEndian.AppendUint32(dst, flags)
	dst = appendLength8(dst, len(m.Account))
	dst = append(dst, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, m.From)
	dst = binary.LittleEndian.AppendUint64(dst, m.To)
	dst = append(dst, m.Nonce[:]...)
	return append(dst, m.Account...)
}

// Decode reads a payload. Account is a view of it.
func (m *EntriesRequest) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	flags := c.flags(entriesByIdentity)
	nameLength := c.length8(MaxAccountLength)
	c.zero(3)
	m.From, m.To = c.u64(), c.u64()
	m.Nonce = Nonce(c.array16())
	m.Account = c.name(nameLength)
	switch {
	case !c.fault.OK():
	case flags&entriesByIdentity != 0 && nameLength == 0:
		c.fail(4, "account name is empty")
	case flags&entriesByIdentity != 0 && (m.From != 0 || m.To != 0):
		c.fail(8, "an identity and a range exclude each other")
	case flags&entriesByIdentity == 0 && (nameLength != 0 || m.Nonce != Nonce{}):
		c.fail(4, "an identity and a range exclude each other")
	case flags&entriesByIdentity == 0 && (m.From == 0 || m.From > m.To):
		c.fail(8, "range starts at 0 or ends before it starts")
	}
	return c.end()
}

// EntriesAnswerHeaderSize is the size of what stands before the rows of an
// EntriesAnswer, in bytes; EntriesRowSize that of a row without its record.
const (
	EntriesAnswerHeaderSize = 32
	EntriesRowSize          = 16
)

// EntriesAnswer is one frame of the answer to an EntriesRequest.
type EntriesAnswer struct {
	Size   uint64 // of the durable tree as of which the answer is
	Oldest uint64 // the lowest sequence number that the server still holds; 0 when it holds none
	Next   uint64 // what to ask for next, when the server ended before To; 0 when it did not
	Count  uint32 // rows in this frame
	Rows   []byte // in place; written with AppendEntriesRow
}

// EntriesRow is one record with its place.
type EntriesRow struct {
	Seq    uint64
	TimeMs int64 // of its commit, Unix milliseconds by the server's clock
	Record Record
}

// AppendEntriesRow appends a row to the Rows of an answer.
func AppendEntriesRow(dst []byte, row EntriesRow) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, row.Seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(row.TimeMs))
	return append(dst, row.Record...)
}

// Append appends the payload of m to dst.
func (m *EntriesAnswer) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, m.Size)
	dst = binary.LittleEndian.AppendUint64(dst, m.Oldest)
	dst = binary.LittleEndian.AppendUint64(dst, m.Next)
	dst = binary.LittleEndian.AppendUint32(dst, m.Count)
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, m.Rows...)
}

// Decode reads a payload and checks every row. Rows is a view of it.
func (m *EntriesAnswer) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Size, m.Oldest, m.Next, m.Count = c.u64(), c.u64(), c.u64(), c.u32()
	c.zero(4)
	start := c.at
	for i := uint32(0); i < m.Count && c.fault.OK(); i++ {
		c.entriesRow()
	}
	m.Rows = payload[start:c.at:c.at]
	return c.end()
}

// All yields the rows that Decode checked, in place.
func (m *EntriesAnswer) All() iter.Seq[EntriesRow] {
	return func(yield func(EntriesRow) bool) {
		c := cursor{payload: m.Rows}
		for c.at < len(c.payload) {
			row := c.entriesRow()
			if !c.fault.OK() || !yield(row) {
				return
			}
		}
	}
}

func (c *cursor) entriesRow() (row EntriesRow) {
	row.Seq, row.TimeMs = c.u64(), int64(c.u64())
	if !c.fault.OK() {
		return row
	}
	record, fault := NextRecord(c.payload[c.at:])
	if !fault.OK() {
		fault.Offset += c.at
		c.fault = fault
		return row
	}
	row.Record = record
	c.at += len(record)
	return row
}
