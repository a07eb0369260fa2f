package wire

import "encoding/binary"

// cursor reads a message from its first byte to its last. The first fault
// stays, and everything read after it is zero.
type cursor struct {
	payload []byte
	at      int
	fault   Fault
}

func (c *cursor) fail(offset int, detail string) {
	if c.fault.OK() {
		c.fault = Fault{ReasonMalformed, offset, detail}
	}
}

// bytes returns the next n bytes in place.
func (c *cursor) bytes(n int) []byte {
	if n > len(c.payload)-c.at {
		c.fail(len(c.payload), "message is cut off")
	}
	if !c.fault.OK() {
		return nil
	}
	b := c.payload[c.at : c.at+n : c.at+n]
	c.at += n
	return b
}

func (c *cursor) u8() uint8 {
	if b := c.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// array16 and array32 read identifiers and hashes.
func (c *cursor) array16() (a [16]byte) {
	copy(a[:], c.bytes(len(a)))
	return a
}

func (c *cursor) array32() (a [32]byte) {
	copy(a[:], c.bytes(len(a)))
	return a
}

// zero passes over n reserved bytes.
func (c *cursor) zero(n int) {
	for i, b := range c.bytes(n) {
		if b != 0 {
			c.fail(c.at-n+i, "reserved byte is not zero")
		}
	}
}

// length8 and length16 read the length of a string that may have at most limit bytes.
func (c *cursor) length8(limit int) int {
	n := int(c.u8())
	if n > limit {
		c.fail(c.at-1, "length is above its limit")
	}
	return n
}

func (c *cursor) length16(limit int) int {
	n := int(c.u16())
	if n > limit {
		c.fail(c.at-2, "length is above its limit")
	}
	return n
}

// text reads n bytes of printable ASCII, so that what a peer sends can be shown
// on a terminal.
func (c *cursor) text(n int) string { return string(c.checkText(n)) }

// checkText is text in place.
func (c *cursor) checkText(n int) []byte {
	b := c.bytes(n)
	for i, char := range b {
		if !printable(char) {
			c.fail(c.at-n+i, "text has a byte that is not printable ASCII")
		}
	}
	return b
}

// name reads n bytes of the alphabet of account names in place.
func (c *cursor) name(n int) []byte {
	b := c.bytes(n)
	for i, char := range b {
		if !accountByte[char] {
			c.fail(c.at-n+i, "account name has a byte outside A-Z a-z 0-9 : / - _ . @")
		}
	}
	return b
}

func (c *cursor) asset() (a Asset) {
	if b := c.bytes(len(a)); b != nil {
		copy(a[:], b)
		if at := checkAsset(b); at >= 0 {
			c.fail(c.at-len(a)+at, "asset has a byte outside A-Z 0-9 . - or one behind its padding")
		}
	}
	return a
}

func (c *cursor) amount() Amount {
	if b := c.bytes(AmountSize); b != nil {
		return LoadAmount(b)
	}
	return Amount{}
}

// flags reads a u32 of which only the bits of known may be set.
func (c *cursor) flags(known uint32) uint32 {
	f := c.u32()
	if f&^known != 0 {
		c.fail(c.at-4, "unknown flag is set")
	}
	return f
}

// end returns the fault of the whole message.
func (c *cursor) end() Fault {
	if c.at != len(c.payload) {
		c.fail(c.at, "bytes follow the message")
	}
	return c.fault
}

func printable(c byte) bool { return c >= 0x20 && c <= 0x7e }

// appendLength8 and appendLength16 write the length of a string. One that does
// not fit is written as the highest value, which is above the limit of every
// field, so that the peer refuses the message instead of misreading it.
func appendLength8(dst []byte, n int) []byte {
	return append(dst, byte(min(n, 0xff)))
}

func appendLength16(dst []byte, n int) []byte {
	return binary.LittleEndian.AppendUint16(dst, uint16(min(n, 0xffff)))
}

func appendAmount(dst []byte, a Amount) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, a.Lo)
	return binary.LittleEndian.AppendUint64(dst, a.Hi)
}

// appendDetail appends a message for people, cut to MaxDetailLength bytes, and
// those that are not printable ASCII replaced.
func appendDetail(dst []byte, detail string) []byte {
	for i := range min(len(detail), MaxDetailLength) {
		char := detail[i]
		if !printable(char) {
			char = '?'
		}
		dst = append(dst, char)
	}
	return dst
}
