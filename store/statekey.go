package store

import "encoding/binary"

// Identity is what makes an entry one and the same: its nonce and the number of its account.
type Identity struct {
	Nonce   [16]byte
	Account uint64
}

// Prefixes of the keys of the state database. doc.go has the table.
const (
	keyBalance  = 'b'
	keyContents = 'd'
	keyHold     = 'h'
	keyMark     = 'm'
	keyAccount  = 'n'
	keyRequest  = 'q'
	keyRoot     = 'r'
	keySupply   = 's'
	keyTile     = 't'
	keyReversed = 'v'
	keyIndex    = 'x' // the last, so that no other table spans it
)

// accountNameMax is the longest account name, in bytes.
const accountNameMax = 128

// stateKeyMax is the length of the longest key of the state.
const stateKeyMax = 1 + accountNameMax + 1 + 8

func appendIdentityKey(b []byte, prefix byte, id *Identity) []byte {
	b = append(b, prefix)
	b = append(b, id.Nonce[:]...)
	return binary.BigEndian.AppendUint64(b, id.Account)
}

func appendNameKey(b []byte, prefix byte, name []byte) []byte {
	return append(append(b, prefix), name...)
}

// appendBalanceKey: names hold no zero byte, so keys sort by name, then asset.
func appendBalanceKey(b []byte, name []byte, asset *[8]byte) []byte {
	b = append(appendNameKey(b, keyBalance, name), 0)
	return append(b, asset[:]...)
}

func appendSeqKey(b []byte, prefix byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, prefix), seq)
}

func appendTileKey(b []byte, level uint8, index uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, keyTile, level), index)
}
