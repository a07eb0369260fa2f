package wire

import "strconv"

// Kind says what an entry does (FORMATS §2). The numbers are frozen.
type Kind uint8

// The kinds of entries.
const (
	KindCredit   Kind = 1   // account += amount: a leg of an atomic request
	KindDebit    Kind = 2   // account -= amount: a leg of an atomic request
	KindTransfer Kind = 3   // account -= amount, counterparty += amount
	KindMint     Kind = 4   // account += amount, supply += amount
	KindBurn     Kind = 5   // account -= amount, supply -= amount
	KindHold     Kind = 6   // available -= amount, held += amount
	KindReverse  Kind = 7   // the inverse of the entry named by ref, once, whole
	KindRelease  Kind = 8   // amount of the hold named by ref goes back to available
	KindCapture  Kind = 9   // amount of the hold named by ref goes to counterparty
	KindEpoch    Kind = 240 // written by the server alone: the first record of an epoch (Epoch)
)

var kindNames = [...]string{
	KindCredit: "Credit", KindDebit: "Debit", KindTransfer: "Transfer", KindMint: "Mint", KindBurn: "Burn",
	KindHold: "Hold", KindReverse: "Reverse", KindRelease: "Release", KindCapture: "Capture",
}

// Kinds returns the kinds that a client can send, in the order of their numbers.
func Kinds() []Kind {
	return []Kind{KindCredit, KindDebit, KindTransfer, KindMint, KindBurn, KindHold, KindReverse, KindRelease, KindCapture}
}

// FromClient reports whether a client can send entries of this kind.
func (k Kind) FromClient() bool { return k >= KindCredit && k <= KindCapture }

// HasCounterparty reports whether entries of this kind name a counterparty.
func (k Kind) HasCounterparty() bool { return k == KindTransfer || k == KindCapture }

// HasRef reports whether entries of this kind name an earlier entry, or, as Epoch does, the
// log id before.
func (k Kind) HasRef() bool {
	return k == KindReverse || k == KindRelease || k == KindCapture || k == KindEpoch
}

// String returns the name used in JSON, caveats and metrics.
func (k Kind) String() string {
	if k.FromClient() {
		return kindNames[k]
	}
	if k == KindEpoch {
		return "Epoch"
	}
	return "Kind" + strconv.Itoa(int(k))
}

// ParseKind is the inverse of String for the kinds that a client can send.
func ParseKind(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}
