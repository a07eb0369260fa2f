package wire

import "encoding/binary"

// Bounds and layout of an Epoch entry.
const (
	// EpochAccount is the account that every Epoch entry names: with the log id as nonce
	// it is the identity under which ENTRIES and PROVE find the entry.
	EpochAccount         = "epoch"
	MaxEpochReasonLength = 256
	epochMemoFixed       = 48
	epochMemoRoot        = 8
	epochMemoKnown       = 40
)

// Epoch is what an Epoch entry says: the log of OldLogID is cut at size Cut, and the same
// tree goes on under LogID, with this entry as its next leaf. The server alone writes one,
// as a commit of its own, under a stamp of zeros.
type Epoch struct {
	Number   uint64 // 1 for the first one that is written; a ledger begins in epoch 0
	LogID    [16]byte
	OldLogID [16]byte
	Cut      uint64   // size of the tree before the entry
	Root     [32]byte // of that tree
	// Known is the highest sequence number that is known to have been acknowledged in the
	// old epoch; 0 = not known. The entries Cut+1..Known of the old epoch are lost.
	Known  uint64
	TimeMs int64  // of the act, Unix milliseconds, by the clock of whoever began the epoch
	Reason string // why, for people: printable ASCII, at most 256 bytes
}

// AppendEpoch appends the entry to dst. On a fault dst comes back as it was.
func AppendEpoch(dst []byte, e *Epoch) ([]byte, Fault) {
	memo := binary.LittleEndian.AppendUint64(nil, e.Cut)
	memo = append(memo, e.Root[:]...)
	memo = binary.LittleEndian.AppendUint64(memo, e.Known)
	f := Fields{
		Kind: KindEpoch, Account: EpochAccount, Amount: AmountOf(e.Number), Nonce: e.LogID, Ref: e.OldLogID,
		Timestamp: e.TimeMs, Memo: append(memo, e.Reason...),
	}
	start := len(dst)
	dst, fault := layOut(dst, &f)
	if fault.OK() {
		fault = checkRecorded(Entry(dst[start:]))
	}
	if !fault.OK() {
		return dst[:start], fault
	}
	return dst, Fault{}
}

// Epoch returns what an entry of kind Epoch says. It is valid on entries of records that
// NextRecord accepted.
func (e Entry) Epoch() Epoch {
	memo := e.Memo()
	return Epoch{
		Number: e.Amount().Lo, LogID: e.Nonce(), OldLogID: e.Ref(), TimeMs: e.Timestamp(),
		Cut: binary.LittleEndian.Uint64(memo), Root: [32]byte(memo[epochMemoRoot:]),
		Known: binary.LittleEndian.Uint64(memo[epochMemoKnown:]), Reason: string(memo[epochMemoFixed:]),
	}
}

// checkEpoch checks what an Epoch entry has beyond any other, in the order of the offsets.
func checkEpoch(e Entry) Fault {
	memo := e.Memo()
	memoAt := offsetVariablePart + len(EpochAccount)
	switch {
	case string(e.Account()) != EpochAccount:
		return Fault{ReasonMalformed, offsetAccountLen, "the account of an Epoch is epoch"}
	case len(memo) < epochMemoFixed || len(memo) > epochMemoFixed+MaxEpochReasonLength:
		return Fault{ReasonMalformed, offsetMemoLen, "the memo of an Epoch has 48 to 304 bytes"}
	case e.Nonce() == Nonce{}:
		return Fault{ReasonMalformed, offsetNonce, "the log id is zero"}
	case e.Amount().Hi != 0:
		return Fault{ReasonMalformed, offsetAmount + 8, "the number of an epoch is above 2^64-1"}
	case e.Ref() == e.Nonce():
		return Fault{ReasonMalformed, offsetRef, "the old log id is the new one"}
	case e.Asset() != Asset{}:
		return Fault{ReasonMalformed, offsetAsset, "an Epoch has no asset"}
	}
	for i, c := range memo[epochMemoFixed:] {
		if c < 0x20 || c > 0x7e {
			return Fault{ReasonMalformed, memoAt + epochMemoFixed + i, "the reason is not printable ASCII"}
		}
	}
	return Fault{}
}
