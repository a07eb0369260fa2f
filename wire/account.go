package wire

import (
	"encoding/binary"
	"iter"
)

// Flags of an ACCOUNT.
const (
	accountListing  = 1 << 0
	accountOneAsset = 1 << 1
)

// AccountRequest asks what accounts hold. With Listing false it names one
// account. With Listing true it asks for the accounts behind After that start
// with Prefix, in the order of their names.
type AccountRequest struct {
	Listing  bool
	OneAsset bool   // only rows of Asset
	Name     []byte // of the one account; in place when decoded
	After    []byte // listing: names greater than this; empty: from the first
	Prefix   []byte // listing: empty: every name
	Limit    uint32 // listing: most accounts to answer with; 0 leaves it to the server
	Asset    Asset
}

// Append appends the payload of m to dst.
func (m *AccountRequest) Append(dst []byte) []byte {
	var flags uint32
	name := m.Name
	if m.Listing {
		flags, name = accountListing, m.After
	}
	if m.OneAsset {
		flags |= accountOneAsset
	}
	dst = binary.LittleEndian.AppendUint32(dst, flags)
	dst = binary.LittleEndian.AppendUint32(dst, m.Limit)
	dst = append(dst, m.Asset[:]...)
	dst = appendLength8(dst, len(name))
	dst = appendLength8(dst, len(m.Prefix))
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = append(dst, name...)
	return append(dst, m.Prefix...)
}

// Decode reads a payload. The names are views of it.
func (m *AccountRequest) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	flags := c.flags(accountListing | accountOneAsset)
	*m = AccountRequest{Listing: flags&accountListing != 0, OneAsset: flags&accountOneAsset != 0}
	m.Limit, m.Asset = c.u32(), c.asset()
	nameLength, prefixLength := c.length8(MaxAccountLength), c.length8(MaxAccountLength)
	c.zero(6)
	name := c.name(nameLength)
	m.Prefix = c.name(prefixLength)
	if m.Listing {
		m.After = name
	} else {
		m.Name = name
	}
	switch {
	case !c.fault.OK():
	case !m.Listing && nameLength == 0:
		c.fail(16, "account name is empty")
	case !m.Listing && prefixLength != 0:
		c.fail(17, "prefix is only for a listing")
	case !m.Listing && m.Limit != 0:
		c.fail(4, "limit is only for a listing")
	case !m.OneAsset && m.Asset != Asset{}:
		c.fail(8, "asset is named and its flag is not set")
	}
	return c.end()
}

// Flags of an ACCOUNT_ANSWER.
const (
	accountKnown  = 1 << 0
	accountGoesOn = 1 << 1
)

// AccountAnswer is one frame of the answer to an AccountRequest. For one account
// it is as of a durable commit that includes everything that was appended and
// acknowledged on this connection before.
type AccountAnswer struct {
	Size   uint64   // of the durable tree as of which the answer is
	Root   [32]byte // of that tree
	Known  bool     // one account: an entry has named it
	GoesOn bool     // listing: more accounts follow behind the last row; ask again with After
	Count  uint32   // rows in this frame
	Rows   []byte   // in place; written with AppendBalance
}

// Append appends the payload of m to dst.
func (m *AccountAnswer) Append(dst []byte) []byte {
	var flags uint32
	if m.Known {
		flags |= accountKnown
	}
	if m.GoesOn {
		flags |= accountGoesOn
	}
	dst = binary.LittleEndian.AppendUint64(dst, m.Size)
	dst = append(dst, m.Root[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, flags)
	dst = binary.LittleEndian.AppendUint32(dst, m.Count)
	return append(dst, m.Rows...)
}

// Decode reads a payload and checks every row. Rows is a view of it.
func (m *AccountAnswer) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Size, m.Root = c.u64(), c.array32()
	flags := c.flags(accountKnown | accountGoesOn)
	m.Known, m.GoesOn = flags&accountKnown != 0, flags&accountGoesOn != 0
	m.Count = c.u32()
	start := c.at
	for i := uint32(0); i < m.Count && c.fault.OK(); i++ {
		c.balance()
	}
	m.Rows = payload[start:c.at:c.at]
	return c.end()
}

// All yields the rows that Decode checked, in the order of account and asset.
func (m *AccountAnswer) All() iter.Seq[Balance] { return balances(m.Rows) }
