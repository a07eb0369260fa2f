package wire

import (
	"encoding/base64"
	"encoding/hex"
)

// Lengths of the forms in which people write 16 bytes.
const (
	nonceHexLength    = 32
	nonceUUIDLength   = 36
	nonceBase64Length = 22 // without its padding
)

// ParseNonce reads 16 bytes as UUID, as 32 hex digits, or as base64 (standard or
// for URLs, padded or not).
func ParseNonce(s string) (n Nonce, ok bool) {
	switch len(s) {
	case nonceUUIDLength:
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return n, false
		}
		return nonceFromHex(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
	case nonceHexLength:
		return nonceFromHex(s)
	case nonceBase64Length + 2:
		if s[nonceBase64Length:] != "==" {
			return n, false
		}
		return nonceFromBase64(s[:nonceBase64Length])
	case nonceBase64Length:
		return nonceFromBase64(s)
	}
	return n, false
}

func nonceFromHex(s string) (n Nonce, ok bool) {
	_, err := hex.Decode(n[:], []byte(s))
	return n, err == nil
}

// nonceFromBase64 is strict: the four bits that the last digit does not need are
// zero. It does not take line breaks either, which encoding/base64 would skip:
// they would leave fewer than 16 bytes.
func nonceFromBase64(s string) (n Nonce, ok bool) {
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := encoding.Strict().DecodeString(s); err == nil && len(b) == len(n) {
			return Nonce(b), true
		}
	}
	return n, false
}

// String returns n as a UUID.
func (n Nonce) String() string { return string(n.AppendUUID(nil)) }

// AppendUUID appends n as a UUID.
func (n Nonce) AppendUUID(dst []byte) []byte {
	dst = hex.AppendEncode(dst, n[:4])
	for i := 4; i < len(n); {
		width := 2
		if i == 10 {
			width = 6
		}
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, n[i:i+width])
		i += width
	}
	return dst
}
