package wire

// Sizes of the parts of a Stamp in bytes.
const (
	CapabilityIDSize = 16
	KeyIDSize        = 8
)

// Stamp says which token authorised an entry. The server adds it; there is no
// secret in it.
type Stamp struct {
	CapabilityID [CapabilityIDSize]byte
	KeyID        [KeyIDSize]byte
}

// Append appends the 24 bytes of s to dst.
func (s *Stamp) Append(dst []byte) []byte {
	dst = append(dst, s.CapabilityID[:]...)
	return append(dst, s.KeyID[:]...)
}

// Record is what the log keeps and the leaf hashes: an entry and the stamp
// behind it. Its accessors are valid on bytes that NextRecord accepted.
type Record []byte

// Entry returns the entry in place.
func (r Record) Entry() Entry { return Entry(r[: len(r)-StampSize : len(r)-StampSize]) }

// Stamp returns the stamp.
func (r Record) Stamp() (s Stamp) {
	stamp := r[len(r)-StampSize:]
	copy(s.CapabilityID[:], stamp)
	copy(s.KeyID[:], stamp[CapabilityIDSize:])
	return s
}

// NextRecord returns the record that b starts with. Unlike NextEntry it takes the
// kinds that the server alone writes too. Offsets count from the start of b. It
// allocates nothing.
func NextRecord(b []byte) (Record, Fault) {
	entry, fault := sizedEntry(b)
	if !fault.OK() {
		return nil, fault
	}
	if fault = checkRecorded(entry); !fault.OK() {
		return nil, fault
	}
	size := len(entry) + StampSize
	if len(b) < size {
		return nil, Fault{ReasonMalformed, len(b), "stamp is cut off"}
	}
	record := Record(b[:size:size])
	if entry.Kind() == KindEpoch && record.Stamp() != (Stamp{}) {
		return nil, Fault{ReasonMalformed, len(entry), "the stamp of an Epoch is not zero"}
	}
	return record, Fault{}
}

// checkRecorded checks an entry as it stands in a record.
func checkRecorded(e Entry) Fault {
	if fault := checkVersion(e); !fault.OK() {
		return fault
	}
	if kind := e.Kind(); !kind.FromClient() && kind != KindEpoch {
		return Fault{ReasonUnknownKind, offsetKind, "kind is none that is known"}
	}
	fault := checkFields(e)
	if fault.OK() && e.Kind() == KindEpoch {
		fault = checkEpoch(e)
	}
	return fault
}
