package client

import (
	"fmt"
	"iter"

	"github.com/rustyonions/ron-ledger/wire"
)

// Batch is the entries of one append, encoded. It is made to be used again: Reset
// keeps its memory, so that filling it allocates nothing in the steady state. It
// belongs to one goroutine, and from Submit until the answer to the client.
type Batch struct {
	// Atomic commits all entries next to each other, or none.
	Atomic bool

	// Balances asks for the balances of the touched accounts after this request.
	Balances bool

	// DryRun asks what would become of the entries at this moment; nothing is booked.
	DryRun bool

	// IdemID is the identity of an atomic request as a whole; zero: none.
	IdemID [16]byte

	entries []byte
	ends    []uint32 // where each entry ends
	tried   [16]byte // log id of the ledger that may have booked it; zero: none
}

// Add encodes an entry and appends it. Its error is a wire.Fault that names the
// offending byte; the batch is then as it was.
func (b *Batch) Add(f *wire.Fields) error {
	entries, fault := wire.AppendEntry(b.entries, f)
	if !fault.OK() {
		return fmt.Errorf("encode entry: %w", fault)
	}
	b.entries = entries
	b.ends = append(b.ends, uint32(len(entries)))
	return nil
}

// AddRaw appends an entry that is already encoded. It is checked and copied.
func (b *Batch) AddRaw(entry wire.Entry) error {
	if fault := wire.CheckEntry(entry); !fault.OK() {
		return fmt.Errorf("check entry: %w", fault)
	}
	b.entries = append(b.entries, entry...)
	b.ends = append(b.ends, uint32(len(b.entries)))
	return nil
}

// Len returns the number of entries.
func (b *Batch) Len() int { return len(b.ends) }

// Size returns the length of the payload in bytes.
func (b *Batch) Size() int { return wire.AppendRequestHeaderSize + len(b.entries) }

// Entry returns the i-th entry in place.
func (b *Batch) Entry(i int) wire.Entry {
	start := uint32(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	return wire.Entry(b.entries[start:b.ends[i]:b.ends[i]])
}

// All yields the entries in place, with their indexes.
func (b *Batch) All() iter.Seq2[int, wire.Entry] {
	return func(yield func(int, wire.Entry) bool) {
		for i := range b.ends {
			if !yield(i, b.Entry(i)) {
				return
			}
		}
	}
}

// Reset empties the batch and keeps its memory and options, but for IdemID, which
// names one request.
func (b *Batch) Reset() {
	b.entries, b.ends, b.IdemID, b.tried = b.entries[:0], b.ends[:0], [16]byte{}, [16]byte{}
}

// request returns the batch as a message.
func (b *Batch) request() wire.AppendRequest {
	m := wire.AppendRequest{Count: uint32(len(b.ends)), IdemID: b.IdemID, Entries: b.entries}
	if b.Atomic {
		m.Flags |= wire.AppendAtomic
	}
	if b.Balances {
		m.Flags |= wire.AppendBalances
	}
	if b.DryRun {
		m.Flags |= wire.AppendDryRun
	}
	return m
}

// check holds the batch against what the server takes.
func (b *Batch) check(w *wire.Welcome) error {
	tooLarge := func(format string, args ...any) error {
		return &ReasonError{Reason: wire.ReasonTooLarge, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case b.Len() == 0:
		return &ReasonError{Reason: wire.ReasonMalformed, Detail: "batch has no entries"}
	case b.IdemID != [16]byte{} && !b.Atomic:
		return &ReasonError{Reason: wire.ReasonMalformed, Detail: "IdemID is only for an atomic batch"}
	case w.MaxEntriesPerRequest > 0 && uint64(b.Len()) > uint64(w.MaxEntriesPerRequest):
		return tooLarge("batch has %d entries, the server takes %d", b.Len(), w.MaxEntriesPerRequest)
	case uint64(b.Size()) > uint64(w.MaxFrame):
		return tooLarge("batch has %d bytes, the server takes %d", b.Size(), w.MaxFrame)
	}
	return nil
}
