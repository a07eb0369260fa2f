package wire

import (
	"encoding/binary"
	"iter"
	"strconv"
)

// Outcome says what became of an entry that is not plainly new.
type Outcome uint8

// The outcomes.
const (
	OutcomeDuplicate Outcome = 1 // booked before, under the sequence number that the result names
	OutcomeRejected  Outcome = 2 // not booked, for the reason that the result names
)

// String returns the name used in JSON and logs.
func (o Outcome) String() string {
	switch o {
	case OutcomeDuplicate:
		return "duplicate"
	case OutcomeRejected:
		return "rejected"
	}
	return "outcome_" + strconv.Itoa(int(o))
}

// MaxDetailLength is the longest message for people in an answer, in bytes of
// printable ASCII. Longer ones are cut when they are written.
const MaxDetailLength = 512

// EntryResult tells what became of one entry of a request that is not plainly new.
type EntryResult struct {
	Index   uint32 // in the request, from 0
	Outcome Outcome
	Reason  Reason // of a rejected entry; 0 for a duplicate
	Offset  uint32 // of the offending byte from the start of the entry
	Seq     uint64 // of the earlier entry for a duplicate; 0 for a rejected one
	Detail  string // for people
}

// Balance is what an account holds of an asset.
type Balance struct {
	Account   []byte // in place when decoded
	Asset     Asset
	Available Amount
	Held      Amount
}

// Appended answers an AppendRequest, once the commit that covers it is durable.
// The new entries of a request are numbered without a gap in the order of their
// indexes, so the entries without a result are First, First+1, … Last.
type Appended struct {
	First, Last uint64   // of the entries that are new with this request; 0, 0 when none is
	Size        uint64   // of the tree of the commit that covers the request
	Root        [32]byte // of that tree
	Accepted    uint32   // number of new entries
	Results     []EntryResult
	Balances    []Balance // where asked for: as of this request
}

// Sizes of the parts of an APPENDED in bytes, without their strings.
const (
	AppendedHeaderSize = 68
	entryResultSize    = 20
	balanceSize        = 41
)

// AppendAppended appends the payload of m to dst. It allocates nothing when dst
// has room.
func AppendAppended(dst []byte, m *Appended) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, m.First)
	dst = binary.LittleEndian.AppendUint64(dst, m.Last)
	dst = binary.LittleEndian.AppendUint64(dst, m.Size)
	dst = append(dst, m.Root[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, m.Accepted)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Results)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(m.Balances)))
	for i := range m.Results {
		r := &m.Results[i]
		dst = binary.LittleEndian.AppendUint32(dst, r.Index)
		dst = append(dst, byte(r.Outcome), byte(r.Reason))
		dst = binary.LittleEndian.AppendUint16(dst, uint16(min(len(r.Detail), MaxDetailLength)))
		dst = binary.LittleEndian.AppendUint32(dst, r.Offset)
		dst = binary.LittleEndian.AppendUint64(dst, r.Seq)
		dst = appendDetail(dst, r.Detail)
	}
	for i := range m.Balances {
		dst = AppendBalance(dst, &m.Balances[i])
	}
	return dst
}

// AppendBalance appends one row: of an Appended, or of the Rows of an AccountAnswer.
func AppendBalance(dst []byte, b *Balance) []byte {
	dst = appendLength8(dst, len(b.Account))
	dst = append(dst, b.Asset[:]...)
	dst = appendAmount(dst, b.Available)
	dst = appendAmount(dst, b.Held)
	return append(dst, b.Account...)
}

// AppendedView is an Appended in place: its iterators read the payload that
// Decode checked and are valid as long as that is.
type AppendedView struct {
	First, Last uint64
	Size        uint64
	Root        [32]byte
	Accepted    uint32
	ResultCount uint32
	results     []byte
	balances    []byte
}

// Decode reads and checks a payload.
func (m *AppendedView) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.First, m.Last, m.Size, m.Root = c.u64(), c.u64(), c.u64(), c.array32()
	m.Accepted, m.ResultCount = c.u32(), c.u32()
	balances := c.u32()
	start := c.at
	for i := uint32(0); i < m.ResultCount && c.fault.OK(); i++ {
		c.checkEntryResult()
	}
	middle := c.at
	for i := uint32(0); i < balances && c.fault.OK(); i++ {
		c.balance()
	}
	fault := c.end()
	if fault.OK() {
		m.results, m.balances = payload[start:middle:middle], payload[middle:len(payload):len(payload)]
	} else {
		*m = AppendedView{}
	}
	return fault
}

// Results yields the results in the order of their indexes.
func (m *AppendedView) Results() iter.Seq[EntryResult] {
	return func(yield func(EntryResult) bool) {
		c := cursor{payload: m.results}
		for c.at < len(c.payload) {
			r, detailLength := c.entryResult()
			r.Detail = string(c.bytes(detailLength))
			if !yield(r) {
				return
			}
		}
	}
}

// Balances yields the balances in the order in which the server wrote them.
func (m *AppendedView) Balances() iter.Seq[Balance] { return balances(m.balances) }

// balances yields checked rows in place.
func balances(rows []byte) iter.Seq[Balance] {
	return func(yield func(Balance) bool) {
		c := cursor{payload: rows}
		for c.at < len(c.payload) {
			if b := c.balance(); !c.fault.OK() || !yield(b) {
				return
			}
		}
	}
}

// entryResult reads a result up to its detail.
func (c *cursor) entryResult() (r EntryResult, detailLength int) {
	r.Index, r.Outcome, r.Reason = c.u32(), Outcome(c.u8()), Reason(c.u8())
	detailLength = c.length16(MaxDetailLength)
	r.Offset, r.Seq = c.u32(), c.u64()
	return r, detailLength
}

// checkEntryResult passes over one result without copying its detail. Reasons
// that this version does not know are no fault, since new ones may be added.
func (c *cursor) checkEntryResult() {
	start := c.at
	r, detailLength := c.entryResult()
	switch {
	case r.Outcome != OutcomeDuplicate && r.Outcome != OutcomeRejected:
		c.fail(start+4, "outcome is neither 1 nor 2")
	case r.Outcome == OutcomeRejected && r.Reason == 0:
		c.fail(start+5, "rejected entry has no reason")
	case r.Outcome == OutcomeDuplicate && r.Reason != 0:
		c.fail(start+5, "duplicate entry has a reason")
	case r.Outcome == OutcomeRejected && r.Seq != 0:
		c.fail(start+12, "rejected entry has a sequence number")
	case r.Outcome == OutcomeDuplicate && r.Seq == 0:
		c.fail(start+12, "duplicate entry has no sequence number")
	}
	c.checkText(detailLength)
}

func (c *cursor) balance() (b Balance) {
	nameLength := c.length8(MaxAccountLength)
	if nameLength == 0 {
		c.fail(c.at-1, "account name is empty")
	}
	b.Asset, b.Available, b.Held = c.asset(), c.amount(), c.amount()
	b.Account = c.name(nameLength)
	return b
}
