package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// AmountSize is the encoded size of an Amount in bytes.
const AmountSize = 16

// maxAmountDigits is the number of decimal digits of 2^128-1.
const maxAmountDigits = 39

// Amount is an unsigned 128-bit integer counted in the smallest unit of an
// asset. Every operation that can leave the range says so; none wraps.
type Amount struct {
	Hi, Lo uint64
}

// MaxAmount is 2^128-1.
var MaxAmount = Amount{Hi: ^uint64(0), Lo: ^uint64(0)}

// AmountOf returns n as an Amount.
func AmountOf(n uint64) Amount { return Amount{Lo: n} }

// LoadAmount reads 16 little-endian bytes.
func LoadAmount(b []byte) Amount {
	return Amount{Lo: binary.LittleEndian.Uint64(b), Hi: binary.LittleEndian.Uint64(b[8:])}
}

// Bytes returns the 16 little-endian bytes of a.
func (a Amount) Bytes() (b [AmountSize]byte) {
	a.Put(b[:])
	return b
}

// Put writes the 16 little-endian bytes of a to b.
func (a Amount) Put(b []byte) {
	binary.LittleEndian.PutUint64(b, a.Lo)
	binary.LittleEndian.PutUint64(b[8:], a.Hi)
}

// IsZero reports whether a is 0.
func (a Amount) IsZero() bool { return a.Hi|a.Lo == 0 }

// Cmp returns -1, 0 or +1 as a is less than, equal to or greater than b.
func (a Amount) Cmp(b Amount) int {
	switch {
	case a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// Less reports whether a < b.
func (a Amount) Less(b Amount) bool { return a.Cmp(b) < 0 }

// Add returns a+b modulo 2^128, and false when the sum is beyond 2^128-1.
func (a Amount) Add(b Amount) (sum Amount, ok bool) {
	var carry uint64
	sum.Lo, carry = bits.Add64(a.Lo, b.Lo, 0)
	sum.Hi, carry = bits.Add64(a.Hi, b.Hi, carry)
	return sum, carry == 0
}

// Sub returns a-b modulo 2^128, and false when b is greater than a.
func (a Amount) Sub(b Amount) (difference Amount, ok bool) {
	var borrow uint64
	difference.Lo, borrow = bits.Sub64(a.Lo, b.Lo, 0)
	difference.Hi, borrow = bits.Sub64(a.Hi, b.Hi, borrow)
	return difference, borrow == 0
}

// String returns a in decimal digits.
func (a Amount) String() string {
	var buf [maxAmountDigits]byte
	return string(a.AppendDecimal(buf[:0]))
}

// AppendDecimal appends a in decimal digits to dst.
func (a Amount) AppendDecimal(dst []byte) []byte {
	const chunk = 10_000_000_000_000_000_000 // the largest power of ten in 64 bits: 19 digits at a time
	var buf [maxAmountDigits]byte
	i := len(buf)
	for a.Hi != 0 {
		hi, rest := a.Hi/chunk, a.Hi%chunk
		lo, digits := bits.Div64(rest, a.Lo, chunk)
		for range 19 {
			i--
			buf[i] = byte('0' + digits%10)
			digits /= 10
		}
		a = Amount{Hi: hi, Lo: lo}
	}
	for lo := a.Lo; ; lo /= 10 {
		i--
		buf[i] = byte('0' + lo%10)
		if lo < 10 {
			break
		}
	}
	return append(dst, buf[i:]...)
}

// ErrAmountRange is returned for a number beyond 2^128-1.
var ErrAmountRange = errors.New("amount is greater than 340282366920938463463374607431768211455 (2^128-1)")

// ParseAmount reads decimal digits: no sign, no point, no spaces, no leading
// zeros (so that what is read back is what was written).
func ParseAmount(s string) (Amount, error) {
	if s == "" {
		return Amount{}, errors.New("amount is empty: decimal digits are wanted")
	}
	if len(s) > 1 && s[0] == '0' {
		return Amount{}, fmt.Errorf("amount %.50q has a leading zero", s)
	}
	var a Amount
	for i := range len(s) {
		digit := s[i] - '0'
		if digit > 9 {
			return Amount{}, fmt.Errorf("amount %.50q: %q is not a decimal digit", s, s[i])
		}
		hi, low := bits.Mul64(a.Lo, 10)
		over, top := bits.Mul64(a.Hi, 10)
		var carry, carry2 uint64
		low, carry = bits.Add64(low, uint64(digit), 0)
		top, carry2 = bits.Add64(top, hi, carry)
		if over != 0 || carry2 != 0 {
			return Amount{}, ErrAmountRange
		}
		a = Amount{Hi: top, Lo: low}
	}
	return a, nil
}
