package wire

import "encoding/binary"

// Status asks how the server is. Its payload is empty.
type Status struct{}

// Append appends the payload of m to dst.
func (m *Status) Append(dst []byte) []byte { return dst }

// Decode reads a payload.
func (m *Status) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	return c.end()
}

// StatusAnswer is one JSON object, for people and probes; its members may grow.
type StatusAnswer struct {
	JSON []byte // in place when decoded
}

// Append appends the payload of m to dst.
func (m *StatusAnswer) Append(dst []byte) []byte { return append(dst, m.JSON...) }

// Decode takes a payload as it is: whether it is JSON is for its reader.
func (m *StatusAnswer) Decode(payload []byte) Fault {
	m.JSON = payload
	return Fault{}
}

// ErrorMessage refuses a whole request, or the connection when the request id
// of its frame is 0: then the server closes it.
type ErrorMessage struct {
	Reason       Reason
	RetryAfterMs uint32 // when trying again makes sense, in milliseconds; 0: not said
	Offset       uint32 // of the offending byte from the start of the refused payload or header
	Detail       string // for people
}

// Append appends the payload of m to dst.
func (m *ErrorMessage) Append(dst []byte) []byte {
	dst = append(dst, byte(m.Reason), 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(min(len(m.Detail), MaxDetailLength)))
	dst = binary.LittleEndian.AppendUint32(dst, m.RetryAfterMs)
	dst = binary.LittleEndian.AppendUint32(dst, m.Offset)
	return appendDetail(dst, m.Detail)
}

// Decode reads a payload. A reason that this version does not know is no fault,
// since new ones may be added.
func (m *ErrorMessage) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Reason = Reason(c.u8())
	if m.Reason == 0 {
		c.fail(0, "error has no reason")
	}
	c.zero(1)
	detailLength := c.length16(MaxDetailLength)
	m.RetryAfterMs, m.Offset = c.u32(), c.u32()
	m.Detail = c.text(detailLength)
	return c.end()
}

// Error makes an ErrorMessage usable as an error.
func (m *ErrorMessage) Error() string {
	if m.Detail == "" {
		return m.Reason.String()
	}
	return m.Reason.String() + ": " + m.Detail
}
