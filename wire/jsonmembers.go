package wire

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// jsonMember is a known member: its name, the types of value that it takes, and
// what reads the text of such a value.
type jsonMember struct {
	name  string
	takes uint8
	set   func(f *Fields, value string) error
}

// Types of value that a member takes.
const (
	takesText    = 1 << 0
	takesInteger = 1 << 1
)

// Indexes into jsonMembers of those that are looked up by name.
const (
	memberKind = iota
	memberAccount
	memberCounterparty
	memberAmount
	memberAsset
	memberNonce
	memberRef
	memberTimestamp
	memberMemo
	memberMemoBase64
)

var jsonMembers = [...]jsonMember{
	memberKind:         {"kind", takesText, setKind},
	memberAccount:      {"account", takesText, func(f *Fields, s string) error { return setName(&f.Account, s) }},
	memberCounterparty: {"counterparty", takesText, func(f *Fields, s string) error { return setName(&f.Counterparty, s) }},
	memberAmount:       {"amount", takesText | takesInteger, setAmount},
	memberAsset:        {"asset", takesText, setAsset},
	memberNonce:        {"nonce", takesText, func(f *Fields, s string) error { return setNonce(&f.Nonce, s) }},
	memberRef:          {"ref", takesText, func(f *Fields, s string) error { return setNonce(&f.Ref, s) }},
	memberTimestamp:    {"ts", takesInteger, setTimestamp},
	memberMemo:         {"memo", takesText, func(f *Fields, s string) error { return setMemo(f, []byte(s)) }},
	memberMemoBase64:   {"memo_base64", takesText, setMemoBase64},
	{"seq", takesInteger, checkSeq},
	{"time", takesText, checkTime},
	{"capability", takesText, func(_ *Fields, s string) error { return checkHex(s, CapabilityIDSize) }},
	{"kid", takesText, func(_ *Fields, s string) error { return checkHex(s, KeyIDSize) }},
}

func memberIndex(name string) int {
	for i := range jsonMembers {
		if jsonMembers[i].name == name {
			return i
		}
	}
	return -1
}

func setKind(f *Fields, s string) error {
	kind, ok := ParseKind(s)
	if !ok {
		names := make([]string, 0, len(kindNames))
		for _, k := range Kinds() {
			names = append(names, k.String())
		}
		return fmt.Errorf("unknown kind %.50q: one of %s is wanted", s, strings.Join(names, ", "))
	}
	f.Kind = kind
	return nil
}

func setName(name *string, s string) error {
	if s == "" {
		return errors.New("an account name is not empty")
	}
	if len(s) > MaxAccountLength {
		return errors.New("an account name has at most 128 bytes")
	}
	for i := range len(s) {
		if !accountByte[s[i]] {
			return fmt.Errorf("%.200q: an account name has only A-Z a-z 0-9 : / - _ . @", s)
		}
	}
	*name = s
	return nil
}

func setAmount(f *Fields, s string) (err error) {
	f.Amount, err = ParseAmount(s)
	if err == nil && f.Amount.IsZero() {
		return errors.New("an amount is greater than 0")
	}
	return err
}

func setAsset(f *Fields, s string) error {
	asset, ok := ParseAsset(s)
	if !ok {
		return fmt.Errorf("%.50q: an asset has at most 8 bytes of A-Z 0-9 . -", s)
	}
	f.Asset = asset
	return nil
}

func setTimestamp(f *Fields, s string) (err error) {
	if f.Timestamp, err = strconv.ParseInt(s, 10, 64); err != nil {
		return fmt.Errorf("%.50q: an integer of 64 bits is wanted, Unix milliseconds", s)
	}
	return nil
}

func setMemo(f *Fields, memo []byte) error {
	if len(memo) > MaxMemoLength {
		return errors.New("a memo has at most 1024 bytes")
	}
	if len(memo) > 0 {
		f.Memo = memo
	}
	return nil
}

func setMemoBase64(f *Fields, s string) error {
	memo, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return errors.New("standard base64 with padding is wanted")
	}
	return setMemo(f, memo)
}

func setNonce(nonce *Nonce, s string) error {
	parsed, ok := ParseNonce(s)
	if !ok {
		return fmt.Errorf("%.50q: 16 bytes as UUID, 32 hex digits or base64 are wanted", s)
	}
	*nonce = parsed
	return nil
}

func checkSeq(_ *Fields, s string) error {
	if seq, err := strconv.ParseUint(s, 10, 64); err != nil || seq == 0 {
		return fmt.Errorf("%.50q: a sequence number is an integer from 1", s)
	}
	return nil
}

func checkTime(_ *Fields, s string) error {
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		return fmt.Errorf("%.50q: a time as in RFC 3339 is wanted", s)
	}
	return nil
}

func checkHex(s string, size int) error {
	if b, err := hex.DecodeString(s); err != nil || len(b) != size {
		return fmt.Errorf("%.50q: %d hex digits are wanted", s, 2*size)
	}
	return nil
}
