package wire

import (
	"encoding/binary"
)

// Sizes of an entry in bytes.
const (
	EntryHeaderSize    = 72
	EntryMinSize       = 80
	EntryMaxSize       = 2048 // what the size field may say; the longest entry that the other rules allow has 1352 bytes
	StampSize          = 24   // capability id and key id, added by the server
	RecordMaxSize      = EntryMaxSize + StampSize
	MaxAccountLength   = 128
	MaxMemoLength      = 1024
	EntryVersion1      = 1
	entryAlignment     = 8
	offsetSize         = 0
	offsetVersion      = 2
	offsetKind         = 3
	offsetAccountLen   = 4
	offsetCounterLen   = 5
	offsetMemoLen      = 6
	offsetTimestamp    = 8
	offsetNonce        = 16
	offsetAmount       = 32
	offsetRef          = 48
	offsetAsset        = 64
	offsetVariablePart = EntryHeaderSize
)

// Nonce is the caller's idempotency key; with the account it is the identity of
// an entry.
type Nonce [16]byte

// Asset names what an amount counts: up to 8 bytes of `A-Z 0-9 . -`, padded with
// zeros. All zero is the ledger's one unnamed unit.
type Asset [8]byte

// String returns the name without its padding; the unnamed unit is "".
func (a Asset) String() string {
	n := len(a)
	for n > 0 && a[n-1] == 0 {
		n--
	}
	return string(a[:n])
}

// ParseAsset reads a name of 0 to 8 bytes.
func ParseAsset(s string) (a Asset, ok bool) {
	if len(s) > len(a) {
		return a, false
	}
	copy(a[:], s)
	return a, checkAsset(a[:]) < 0 && a.String() == s // a zero byte in s is no padding
}

// Entry is one value movement in its only encoding: the bytes that the client
// wrote into a frame, that the log stores and that the leaf hashes. Its accessors
// look at the bytes in place. They are valid on bytes that CheckEntry accepted.
type Entry []byte

// Size returns the whole length in bytes, padding included.
func (e Entry) Size() int { return int(binary.LittleEndian.Uint16(e[offsetSize:])) }

// Kind returns what the entry does.
func (e Entry) Kind() Kind { return Kind(e[offsetKind]) }

// Timestamp returns the caller's time in Unix milliseconds: recorded, never used
// for order.
func (e Entry) Timestamp() int64 { return int64(binary.LittleEndian.Uint64(e[offsetTimestamp:])) }

// Nonce returns the caller's idempotency key.
func (e Entry) Nonce() Nonce { return Nonce(e[offsetNonce:]) }

// Amount returns the amount, greater than zero, in the smallest unit of the asset.
func (e Entry) Amount() Amount { return LoadAmount(e[offsetAmount:]) }

// Ref returns the nonce of the earlier entry of the same account that a Reverse,
// Release or Capture names, or the old log id of an Epoch; zero for other kinds.
func (e Entry) Ref() Nonce { return Nonce(e[offsetRef:]) }

// Asset returns what the amount counts.
func (e Entry) Asset() Asset { return Asset(e[offsetAsset:]) }

// Account returns the name of the account in place.
func (e Entry) Account() []byte {
	end := offsetVariablePart + int(e[offsetAccountLen])
	return e[offsetVariablePart:end:end]
}

// Counterparty returns the name of the other account in place; empty where the
// kind has none.
func (e Entry) Counterparty() []byte {
	start := offsetVariablePart + int(e[offsetAccountLen])
	end := start + int(e[offsetCounterLen])
	return e[start:end:end]
}

// Memo returns the caller's opaque bytes in place.
func (e Entry) Memo() []byte {
	start := offsetVariablePart + int(e[offsetAccountLen]) + int(e[offsetCounterLen])
	end := start + int(binary.LittleEndian.Uint16(e[offsetMemoLen:]))
	return e[start:end:end]
}

// SameContent reports whether e and other are equal in all but the timestamp,
// which is what makes a second entry of the same identity a duplicate and not a
// conflict (FORMATS §2, idempotency).
func (e Entry) SameContent(other Entry) bool {
	return len(e) == len(other) &&
		string(e[:offsetTimestamp]) == string(other[:offsetTimestamp]) &&
		string(e[offsetNonce:]) == string(other[offsetNonce:])
}

// AppendContent appends e without its timestamp, which is what SameContent compares, in the form of an
// entry whose timestamp is zero.
func (e Entry) AppendContent(dst []byte) []byte {
	dst = append(dst, e[:offsetTimestamp]...)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(dst, e[offsetNonce:]...)
}

// NextEntry returns the entry that b starts with and its fault, if any. When the
// size field is unusable, so that nothing behind it can be found, entry is nil.
// Otherwise entry covers the whole entry, faulty or not, and the next one starts
// behind it. Offsets count from the start of the entry. It allocates nothing.
func NextEntry(b []byte) (entry Entry, fault Fault) {
	if entry, fault = sizedEntry(b); entry == nil {
		return nil, fault
	}
	return entry, checkSized(entry)
}

// sizedEntry cuts the entry that b starts with by its size field.
func sizedEntry(b []byte) (entry Entry, fault Fault) {
	if len(b) < EntryHeaderSize {
		return nil, Fault{ReasonMalformed, len(b), "entry is cut off: fewer than 72 bytes are left"}
	}
	size := int(binary.LittleEndian.Uint16(b))
	switch {
	case size < EntryMinSize:
		return nil, Fault{ReasonMalformed, offsetSize, "entry size is below 80 bytes"}
	case size > EntryMaxSize:
		return nil, Fault{ReasonTooLarge, offsetSize, "entry size is above 2048 bytes"}
	case size%entryAlignment != 0:
		return nil, Fault{ReasonMalformed, offsetSize, "entry size is not a multiple of 8"}
	case size > len(b):
		return nil, Fault{ReasonMalformed, offsetSize, "entry size is beyond the end of the data"}
	}
	return Entry(b[:size:size]), Fault{}
}

// CheckEntry reports what is wrong with b as exactly one entry that a client may
// send. A decoder accepts exactly what AppendEntry can produce.
func CheckEntry(b []byte) Fault {
	entry, fault := NextEntry(b)
	if fault.OK() && len(entry) != len(b) {
		return Fault{ReasonMalformed, len(entry), "bytes follow the entry"}
	}
	return fault
}

// checkSized checks an entry whose size field agrees with its length. Fields are
// checked in the order of their offsets, so the first offending byte is named.
func checkSized(e Entry) Fault {
	if fault := checkVersion(e); !fault.OK() {
		return fault
	}
	if !e.Kind().FromClient() {
		return Fault{ReasonUnknownKind, offsetKind, "kind is none that a client can send"}
	}
	return checkFields(e)
}

func checkVersion(e Entry) Fault {
	if e[offsetVersion] != EntryVersion1 {
		return Fault{ReasonMalformed, offsetVersion, "entry version is not 1"}
	}
	return Fault{}
}

// checkFields checks everything behind version and kind.
func checkFields(e Entry) Fault {
	kind := e.Kind()
	accountLength, counterLength := int(e[offsetAccountLen]), int(e[offsetCounterLen])
	memoLength := int(binary.LittleEndian.Uint16(e[offsetMemoLen:]))
	switch {
	case accountLength == 0:
		return Fault{ReasonMalformed, offsetAccountLen, "account name is empty"}
	case accountLength > MaxAccountLength:
		return Fault{ReasonMalformed, offsetAccountLen, "account name is longer than 128 bytes"}
	case kind.HasCounterparty() && counterLength == 0:
		return Fault{ReasonMalformed, offsetCounterLen, "this kind needs a counterparty"}
	case !kind.HasCounterparty() && counterLength != 0:
		return Fault{ReasonMalformed, offsetCounterLen, "this kind has no counterparty"}
	case counterLength > MaxAccountLength:
		return Fault{ReasonMalformed, offsetCounterLen, "counterparty name is longer than 128 bytes"}
	case memoLength > MaxMemoLength:
		return Fault{ReasonMalformed, offsetMemoLen, "memo is longer than 1024 bytes"}
	}
	if e.Amount().IsZero() {
		return Fault{ReasonMalformed, offsetAmount, "amount is zero"}
	}
	if !kind.HasRef() && e.Ref() != (Nonce{}) {
		return Fault{ReasonMalformed, offsetRef, "this kind has no ref"}
	}
	if at := checkAsset(e[offsetAsset:offsetVariablePart]); at >= 0 {
		return Fault{ReasonMalformed, offsetAsset + at, "asset has a byte outside A-Z 0-9 . - or one behind its padding"}
	}
	return checkVariablePart(e, accountLength+counterLength, memoLength)
}

// checkVariablePart checks the names, the size against the lengths and the
// padding.
func checkVariablePart(e Entry, namesLength, memoLength int) Fault {
	used := offsetVariablePart + namesLength + memoLength
	if len(e) != alignEntry(used) {
		return Fault{ReasonMalformed, offsetSize, "entry size does not follow from the lengths in it"}
	}
	for i, c := range e[offsetVariablePart : offsetVariablePart+namesLength] {
		if !accountByte[c] {
			return Fault{ReasonMalformed, offsetVariablePart + i, "account name has a byte outside A-Z a-z 0-9 : / - _ . @"}
		}
	}
	for i, c := range e[used:] {
		if c != 0 {
			return Fault{ReasonMalformed, used + i, "padding is not zero"}
		}
	}
	return Fault{}
}

// alignEntry rounds n up to the alignment of entries.
func alignEntry(n int) int { return (n + entryAlignment - 1) &^ (entryAlignment - 1) }

// checkAsset returns the index of the first offending byte, -1 when there is none.
func checkAsset(b []byte) int {
	if binary.LittleEndian.Uint64(b) == 0 {
		return -1
	}
	ended := false
	for i, c := range b {
		if c == 0 && i > 0 {
			ended = true
			continue
		}
		if ended || !assetByte[c] {
			return i
		}
	}
	return -1
}

var accountByte, assetByte = byteSet(
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/-_.@"), byteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")

func byteSet(members string) (set [256]bool) {
	for _, c := range []byte(members) {
		set[c] = true
	}
	return set
}

// Fields is an entry in parts, for those who make one or print one. The hot path
// never builds it.
type Fields struct {
	Kind         Kind
	Account      string
	Counterparty string
	Asset        Asset
	Amount       Amount
	Nonce        Nonce
	Ref          Nonce
	Timestamp    int64 // Unix milliseconds
	Memo         []byte
}

// Fields returns the parts of e, copied.
func (e Entry) Fields() Fields {
	return Fields{
		Kind: e.Kind(), Account: string(e.Account()), Counterparty: string(e.Counterparty()), Asset: e.Asset(),
		Amount: e.Amount(), Nonce: e.Nonce(), Ref: e.Ref(), Timestamp: e.Timestamp(), Memo: append([]byte(nil), e.Memo()...),
	}
}

// AppendEntry appends the encoding of f to dst. On a fault dst comes back as it
// was; the fault names the byte that would have been wrong. It allocates nothing
// when dst has room.
func AppendEntry(dst []byte, f *Fields) ([]byte, Fault) {
	start := len(dst)
	dst, fault := layOut(dst, f)
	if fault.OK() {
		fault = checkSized(Entry(dst[start:]))
	}
	if !fault.OK() {
		return dst[:start], fault
	}
	return dst, Fault{}
}

// layOut appends the bytes of f, whose content is not checked but for lengths that do not
// fit their fields.
func layOut(dst []byte, f *Fields) ([]byte, Fault) {
	switch {
	case len(f.Account) > MaxAccountLength:
		return dst, Fault{ReasonMalformed, offsetAccountLen, "account name is longer than 128 bytes"}
	case len(f.Counterparty) > MaxAccountLength:
		return dst, Fault{ReasonMalformed, offsetCounterLen, "counterparty name is longer than 128 bytes"}
	case len(f.Memo) > MaxMemoLength:
		return dst, Fault{ReasonMalformed, offsetMemoLen, "memo is longer than 1024 bytes"}
	}
	start := len(dst)
	used := EntryHeaderSize + len(f.Account) + len(f.Counterparty) + len(f.Memo)
	size := max(alignEntry(used), EntryMinSize)
	var header [EntryHeaderSize]byte
	binary.LittleEndian.PutUint16(header[offsetSize:], uint16(size))
	header[offsetVersion] = EntryVersion1
	header[offsetKind] = byte(f.Kind)
	header[offsetAccountLen] = byte(len(f.Account))
	header[offsetCounterLen] = byte(len(f.Counterparty))
	binary.LittleEndian.PutUint16(header[offsetMemoLen:], uint16(len(f.Memo)))
	binary.LittleEndian.PutUint64(header[offsetTimestamp:], uint64(f.Timestamp))
	copy(header[offsetNonce:], f.Nonce[:])
	f.Amount.Put(header[offsetAmount:])
	copy(header[offsetRef:], f.Ref[:])
	copy(header[offsetAsset:], f.Asset[:])
	dst = append(dst, header[:]...)
	dst = append(dst, f.Account...)
	dst = append(dst, f.Counterparty...)
	dst = append(dst, f.Memo...)
	var padding [entryAlignment]byte
	return append(dst, padding[:start+size-len(dst)]...), Fault{}
}
