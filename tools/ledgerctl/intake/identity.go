package intake

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/rustyonions/ron-ledger/wire"
)

// identity makes nonces for entries of a file that has none. It keeps 16 bytes and a
// count for each kind of entry that differs: some 40 MB for a million lines.
type identity struct {
	seen map[[16]byte]uint64
}

// nonce is the same for the same entry at the same place among its equals.
func (id *identity) nonce(f *wire.Fields) wire.Nonce {
	h := sha256.New()
	part := func(b []byte) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(b)))
		h.Write(length[:])
		h.Write(b)
	}
	part([]byte("ron-ledger/import/v1"))
	part([]byte(f.Kind.String()))
	part([]byte(f.Account))
	part([]byte(f.Counterparty))
	part([]byte(f.Asset.String()))
	part([]byte(f.Amount.String()))
	part(f.Ref[:])
	part(binary.BigEndian.AppendUint64(nil, uint64(f.Timestamp)))
	part(f.Memo)
	var first [16]byte
	copy(first[:], h.Sum(nil))
	if id.seen == nil {
		id.seen = make(map[[16]byte]uint64)
	}
	before := id.seen[first]
	id.seen[first] = before + 1
	if before == 0 {
		return wire.Nonce(first)
	}
	part(binary.BigEndian.AppendUint64(nil, before))
	var nonce wire.Nonce
	copy(nonce[:], h.Sum(nil))
	return nonce
}
