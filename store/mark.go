package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Mark says what a checkpoint is as of. The zero Mark is that of an empty ledger.
type Mark struct {
	Size        uint64     // sequence number of the last record that is covered
	Root        [32]byte   // root at that size
	TimeMs      int64      // of the commit that ends there
	NextAccount uint64     // number that the next new account gets
	Frontier    [][32]byte // hashes of the tree's right edge, at most 64
	Extra       []byte     // opaque to the store, at most 4 KiB
}

const (
	markVersion     = 1
	markHeaderLen   = 64
	markFrontierMax = 64
	markExtraMax    = 4096
)

func (m *Mark) encode() []byte {
	b := make([]byte, markHeaderLen, markHeaderLen+32*len(m.Frontier)+len(m.Extra))
	b[0] = markVersion
	b[1] = uint8(len(m.Frontier))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(m.Extra)))
	binary.LittleEndian.PutUint64(b[8:], m.Size)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.TimeMs))
	binary.LittleEndian.PutUint64(b[24:], m.NextAccount)
	copy(b[32:], m.Root[:])
	for i := range m.Frontier {
		b = append(b, m.Frontier[i][:]...)
	}
	return append(b, m.Extra...)
}

func (m *Mark) validate() error {
	if len(m.Frontier) > markFrontierMax || len(m.Extra) > markExtraMax {
		return fmt.Errorf("frontier of %d hashes or extra of %d bytes is over the limit", len(m.Frontier), len(m.Extra))
	}
	return nil
}

var errMark = errors.New("the mark does not decode")

func decodeMark(b []byte) (Mark, error) {
	if len(b) < markHeaderLen || b[0] != markVersion || b[2] != 0 || b[3] != 0 {
		return Mark{}, errMark
	}
	frontier, extra := int(b[1]), int(binary.LittleEndian.Uint32(b[4:]))
	if frontier > markFrontierMax || extra > markExtraMax || len(b) != markHeaderLen+32*frontier+extra {
		return Mark{}, errMark
	}
	m := Mark{
		Size:        binary.LittleEndian.Uint64(b[8:]),
		TimeMs:      int64(binary.LittleEndian.Uint64(b[16:])),
		NextAccount: binary.LittleEndian.Uint64(b[24:]),
		Root:        [32]byte(b[32:64]),
	}
	b = b[markHeaderLen:]
	for range frontier {
		m.Frontier = append(m.Frontier, [32]byte(b))
		b = b[32:]
	}
	if extra > 0 {
		m.Extra = append(m.Extra, b...)
	}
	return m, nil
}

// clone returns a copy that shares nothing with m.
func (m *Mark) clone() Mark {
	c := *m
	c.Frontier = slices.Clone(m.Frontier)
	c.Extra = slices.Clone(m.Extra)
	return c
}
