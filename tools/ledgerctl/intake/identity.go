package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/rustyonions/ron-ledger/wire"
)

// The filter of an import. Its numbers are part of what nonces are, and never change.
const (
	filterWords  = 1 << 23 // of 64 bits: 64 MiB, of which a small file touches little
	filterProbes = 4
)

// repeatsMax bounds how many entries that came before are told apart, some 50 MB of them.
const repeatsMax = 1 << 20

// identity makes nonces for entries of a file that has none. It remembers an entry that came once in a filter of a
// fixed size, and one that came again with a count.
//
// The filter takes some entries for repeated that are not: one in 40,000 of ten million. Such an entry is counted as
// the second of its kind. That is harmless: its nonce is still like no other's, and the same each time the file is
// read, since the filter depends on nothing but the entries before it.
type identity struct {
	filter  []uint64
	repeats map[[16]byte]uint64 // how often each came before, at least
}

// nonce is the same for the same entry at the same place among its equals.
func (id *identity) nonce(f *wire.Fields) (nonce wire.Nonce, err error) {
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
	sum := h.Sum(nil)
	before, err := id.before([32]byte(sum))
	if err != nil {
		return nonce, err
	}
	if before > 0 {
		part(binary.BigEndian.AppendUint64(nil, before))
		sum = h.Sum(nil)
	}
	copy(nonce[:], sum)
	return nonce, nil
}

// before counts an entry, and returns how often it came before.
func (id *identity) before(sum [32]byte) (uint64, error) {
	if id.filter == nil {
		id.filter, id.repeats = make([]uint64, filterWords), make(map[[16]byte]uint64)
	}
	known := true
	for i := range filterProbes {
		bit := binary.BigEndian.Uint64(sum[8*i:]) % (64 * filterWords)
		known = known && id.filter[bit/64]>>(bit%64)&1 == 1
		id.filter[bit/64] |= 1 << (bit % 64)
	}
	if !known {
		return 0, nil
	}
	first := [16]byte(sum[:16])
	before := id.repeats[first] + 1
	if before == 1 && len(id.repeats) == repeatsMax {
		return 0, fmt.Errorf("more than %d entries come more than once: have the mapping name a nonce, or a number for it", repeatsMax)
	}
	id.repeats[first] = before
	return before, nil
}
