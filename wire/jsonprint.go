package wire

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Recorded is what the ledger adds to an entry: the read-only members of its JSON.
// The zero value is an entry that is not recorded yet, and prints none of them.
type Recorded struct {
	Seq    uint64
	TimeMs int64 // of its commit, Unix milliseconds by the server's clock
	Stamp  Stamp
}

// jsonTime is RFC 3339 in UTC with milliseconds.
const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// AppendJSON appends an entry as one JSON object, without a line break.
// ParseJSONEntry reads it back to the same fields, unless it is of a kind that no
// client can send. Strings are escaped so far
// that a terminal shows them and obeys none of them.
func AppendJSON(dst []byte, f *Fields, r Recorded) []byte {
	dst = append(dst, '{')
	if r.Seq != 0 {
		dst = append(dst, `"seq":`...)
		dst = strconv.AppendUint(dst, r.Seq, 10)
		dst = append(dst, ',')
	}
	dst = append(dst, `"kind":`...)
	dst = appendJSONString(dst, f.Kind.String())
	dst = appendJSONMember(dst, "account", f.Account)
	if f.Counterparty != "" {
		dst = appendJSONMember(dst, "counterparty", f.Counterparty)
	}
	dst = append(dst, `,"amount":"`...)
	dst = f.Amount.AppendDecimal(dst)
	dst = append(dst, '"')
	if f.Asset != (Asset{}) {
		dst = appendJSONMember(dst, "asset", f.Asset.String())
	}
	dst = append(dst, `,"nonce":"`...)
	dst = f.Nonce.AppendUUID(dst)
	dst = append(dst, '"')
	if f.Kind.HasRef() {
		dst = append(dst, `,"ref":"`...)
		dst = f.Ref.AppendUUID(dst)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"ts":`...)
	dst = strconv.AppendInt(dst, f.Timestamp, 10)
	dst = appendJSONMemo(dst, f.Memo)
	if r.Seq != 0 {
		dst = appendRecorded(dst, r)
	}
	return append(dst, '}')
}

func appendJSONMember(dst []byte, name, value string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return appendJSONString(dst, value)
}

func appendJSONMemo(dst, memo []byte) []byte {
	switch {
	case len(memo) == 0:
		return dst
	case utf8.Valid(memo):
		return appendJSONMember(dst, "memo", string(memo))
	}
	dst = append(dst, `,"memo_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, memo)
	return append(dst, '"')
}

// appendRecorded appends the read-only members behind the entry's own.
func appendRecorded(dst []byte, r Recorded) []byte {
	if t := time.UnixMilli(r.TimeMs).UTC(); r.TimeMs != 0 && t.Year() >= 0 && t.Year() <= 9999 {
		dst = append(dst, `,"time":"`...)
		dst = t.AppendFormat(dst, jsonTime)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"capability":"`...)
	dst = hex.AppendEncode(dst, r.Stamp.CapabilityID[:])
	dst = append(dst, `","kid":"`...)
	dst = hex.AppendEncode(dst, r.Stamp.KeyID[:])
	return append(dst, '"')
}

// appendJSONString appends s, which is UTF-8, in quotes. It escapes what JSON asks
// for and all that is not printable: controls, invisible and bidirectional marks.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case strconv.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			dst = appendEscape(appendEscape(dst, high), low)
		default:
			dst = appendEscape(dst, r)
		}
	}
	return append(dst, '"')
}

// appendEscape appends one UTF-16 code unit as an escape.
func appendEscape(dst []byte, unit rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[unit>>12&0xf], digits[unit>>8&0xf], digits[unit>>4&0xf], digits[unit&0xf])
}
