package wire

import "encoding/binary"

// Flags of a PROVE.
const (
	proveByIdentity  = 1 << 0
	proveConsistency = 1 << 1
	proveFlags       = proveByIdentity | proveConsistency
)

// MaxProofHashes is how many hashes a proof can have: a consistency proof has one
// more than the tree of 2^63-1 records is high.
const MaxProofHashes = 64

// Prove asks for a proof: that an entry is in the tree, named by its sequence
// number or, when Account is not empty, by its identity; or, with Consistency,
// that the tree of From records is the beginning of that of Size.
type Prove struct {
	Consistency bool
	From        uint64 // the sequence number, or the older size; 0 with an identity
	Size        uint64 // of the tree in which to prove; 0 = that of the newest checkpoint
	Account     []byte // in place when decoded
	Nonce       Nonce
}

// Append appends the payload of m to dst.
func (m *Prove) Append(dst []byte) []byte {
	var flags uint32
	if len(m.Account) > 0 {
		flags |= proveByIdentity
	}
	if m.Consistency {
		flags |= proveConsistency
	}
	dst = binary.LittleEndian.AppendUint32(dst, flags)
	dst = appendLength8(dst, len(m.Account))
	dst = append(dst, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, m.From)
	dst = binary.LittleEndian.AppendUint64(dst, m.Size)
	dst = append(dst, m.Nonce[:]...)
	return append(dst, m.Account...)
}

// Decode reads a payload. Account is a view of it.
func (m *Prove) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	flags := c.flags(proveFlags)
	nameLength := c.length8(MaxAccountLength)
	c.zero(3)
	m.Consistency = flags&proveConsistency != 0
	m.From, m.Size = c.u64(), c.u64()
	m.Nonce = Nonce(c.array16())
	m.Account = c.name(nameLength)
	byIdentity := flags&proveByIdentity != 0
	switch {
	case !c.fault.OK():
	case flags == proveFlags:
		c.fail(0, "an identity and consistency exclude each other")
	case byIdentity && nameLength == 0:
		c.fail(4, "account name is empty")
	case byIdentity && m.From != 0:
		c.fail(8, "an identity and a sequence number exclude each other")
	case !byIdentity && (nameLength != 0 || m.Nonce != Nonce{}):
		c.fail(4, "an identity is given without its flag")
	case !byIdentity && !m.Consistency && m.From == 0:
		c.fail(8, "sequence numbers start at 1")
	case m.Size != 0 && m.From > m.Size:
		c.fail(8, "what is to be proven is not in a tree of that size")
	}
	return c.end()
}

// ProveAnswer is the proof, with what it takes to check it: the root of the tree,
// the record, and the newest signed checkpoint. Where Prove left Size open, the
// checkpoint is that of Size and Root, and record, proof and checkpoint make a
// receipt.
type ProveAnswer struct {
	Consistency bool
	From        uint64 // sequence number of the entry, or the older size
	Size        uint64 // of the tree in which it is proven
	Root        [32]byte
	Proof       [][32]byte // RFC 9162 §2.1.3.1 or §2.1.4.1
	Record      Record     // of an inclusion proof; in place when decoded
	Checkpoint  []byte     // a signed note; in place when decoded
}

// Append appends the payload of m to dst.
func (m *ProveAnswer) Append(dst []byte) []byte {
	var flags uint32
	if m.Consistency {
		flags = proveConsistency
	}
	dst = binary.LittleEndian.AppendUint32(dst, flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(min(len(m.Proof), 0xffff)))
	dst = appendLength16(dst, len(m.Record))
	dst = binary.LittleEndian.AppendUint64(dst, m.From)
	dst = binary.LittleEndian.AppendUint64(dst, m.Size)
	dst = append(dst, m.Root[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Checkpoint)))
	dst = append(dst, 0, 0, 0, 0)
	for i := range m.Proof {
		dst = append(dst, m.Proof[i][:]...)
	}
	dst = append(dst, m.Record...)
	return append(dst, m.Checkpoint...)
}

// Decode reads a payload. Record and Checkpoint are views of it; Proof is used again.
func (m *ProveAnswer) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Proof, m.Record, m.Checkpoint = m.Proof[:0], nil, nil
	m.Consistency = c.flags(proveConsistency) != 0
	hashes := int(c.u16())
	if hashes > MaxProofHashes {
		c.fail(4, "more hashes than a proof can have")
	}
	recordLength := c.length16(EntryMaxSize + StampSize)
	m.From, m.Size, m.Root = c.u64(), c.u64(), c.array32()
	checkpointLength := c.u32()
	c.zero(4)
	if c.fault.OK() && m.Consistency != (recordLength == 0) {
		c.fail(6, "an inclusion proof has a record, and no other has")
	}
	if c.fault.OK() && m.From > m.Size {
		c.fail(8, "what is proven is not in a tree of that size")
	}
	for range hashes {
		if m.Proof = append(m.Proof, c.array32()); !c.fault.OK() {
			break
		}
	}
	m.Record = c.record(recordLength)
	if c.fault.OK() && uint64(checkpointLength) != uint64(len(payload)-c.at) {
		c.fail(56, "the length of the checkpoint does not agree with that of the message")
	}
	if c.fault.OK() {
		m.Checkpoint = c.bytes(int(checkpointLength))
	}
	return c.end()
}

// record reads a record of n bytes in place; nil where n is 0.
func (c *cursor) record(n int) Record {
	start := c.at
	b := c.bytes(n)
	if len(b) == 0 {
		return nil
	}
	record, fault := NextRecord(b)
	if !fault.OK() {
		fault.Offset += start
		c.fault = fault
		return nil
	}
	if len(record) != n {
		c.fail(start+len(record), "bytes follow the record")
	}
	return record
}
