package model

import (
	"strings"

	"github.com/rustyonions/ron-ledger/wire"
)

const (
	accountAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/-_.@"
	assetAlphabet   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
	nameMax         = 128
	memoMax         = 1024
)

// Shape returns why an entry is none at all; 0 = it is one.
func Shape(f *wire.Fields) wire.Reason {
	if f.Kind < wire.KindCredit || f.Kind > wire.KindCapture {
		return wire.ReasonUnknownKind
	}
	twoSided := f.Kind == wire.KindTransfer || f.Kind == wire.KindCapture
	refers := f.Kind == wire.KindReverse || f.Kind == wire.KindRelease || f.Kind == wire.KindCapture
	asset := strings.TrimRight(string(f.Asset[:]), "\x00")
	switch {
	case f.Account == "" || !spelled(f.Account, accountAlphabet, nameMax),
		(f.Counterparty != "") != twoSided || !spelled(f.Counterparty, accountAlphabet, nameMax),
		!spelled(asset, assetAlphabet, len(f.Asset)),
		f.Amount == wire.Amount{},
		f.Ref != wire.Nonce{} && !refers,
		len(f.Memo) > memoMax:
		return wire.ReasonMalformed
	}
	return 0
}

// spelled reports whether s has at most length bytes, all of the alphabet.
func spelled(s, alphabet string, length int) bool {
	return len(s) <= length && strings.Trim(s, alphabet) == ""
}
