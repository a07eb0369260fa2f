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
	Epoch       Epoch      // in force at Size
}

// Epoch is the epoch in force. Its zero value is the one that a ledger begins in, whose log id is
// Meta.LogID.
type Epoch struct {
	Number uint64
	LogID  [16]byte
	Seq    uint64 // sequence number of the Epoch record
}

const (
	markVersion     = 1
	markHeaderLen   = 64
	markFrontierMax = 64
	markEpochLen    = 32 // absent in epoch 0
)

func (m *Mark) encode() []byte {
	b := make([]byte, markHeaderLen, markHeaderLen+32*len(m.Frontier)+markEpochLen)
	b[0] = markVersion
	b[1] = uint8(len(m.Frontier))
	binary.LittleEndian.PutUint64(b[8:], m.Size)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.TimeMs))
	binary.LittleEndian.PutUint64(b[24:], m.NextAccount)
	copy(b[32:], m.Root[:])
	for i := range m.Frontier {
		b = append(b, m.Frontier[i][:]...)
	}
	if m.Epoch != (Epoch{}) {
		binary.LittleEndian.PutUint32(b[4:], markEpochLen)
		b = binary.LittleEndian.AppendUint64(b, m.Epoch.Number)
		b = append(b, m.Epoch.LogID[:]...)
		b = binary.LittleEndian.AppendUint64(b, m.Epoch.Seq)
	}
	return b
}

func (m *Mark) validate() error {
	if len(m.Frontier) > markFrontierMax {
		return fmt.Errorf("frontier of %d hashes is over the limit", len(m.Frontier))
	}
	return nil
}

var errMark = errors.New("the mark does not decode")

func decodeMark(b []byte) (Mark, error) {
	if len(b) < markHeaderLen || b[0] != markVersion || b[2] != 0 || b[3] != 0 {
		return Mark{}, errMark
	}
	frontier, epoch := int(b[1]), int(binary.LittleEndian.Uint32(b[4:]))
	if frontier > markFrontierMax || epoch != 0 && epoch != markEpochLen || len(b) != markHeaderLen+32*frontier+epoch {
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
	if epoch > 0 {
		m.Epoch = Epoch{Number: binary.LittleEndian.Uint64(b), LogID: [16]byte(b[8:]), Seq: binary.LittleEndian.Uint64(b[24:])}
		if m.Epoch.Number == 0 || m.Epoch.Seq == 0 || m.Epoch.Seq > m.Size {
			return Mark{}, errMark
		}
	}
	return m, nil
}

// clone returns a copy that shares nothing with m.
func (m *Mark) clone() Mark {
	c := *m
	c.Frontier = slices.Clone(m.Frontier)
	return c
}
