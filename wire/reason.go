package wire

import "strconv"

// Reason says why something was refused. There is one list for the wire, the
// metrics and the logs. The numbers are frozen: new reasons are appended, none
// is renumbered or renamed. Zero means "not refused".
type Reason uint8

// The reasons, in the order in which FORMATS §3 lists them.
const (
	ReasonUnauth            Reason = 1  // no token, or none yet
	ReasonCapInvalid        Reason = 2  // the token does not verify, or does not hold here and now
	ReasonUnknownKind       Reason = 3  // an entry kind that clients cannot send
	ReasonPolicyDenied      Reason = 4  // the token holds, but does not allow this
	ReasonBusy              Reason = 5  // a bounded queue is full: try again later
	ReasonTooLarge          Reason = 6  // a length above its limit
	ReasonTimeout           Reason = 7  // a deadline passed
	ReasonInternal          Reason = 8  // a fault of the server
	ReasonMalformed         Reason = 9  // bytes that the format does not allow
	ReasonConflict          Reason = 10 // the same identity with other content
	ReasonInsufficientFunds Reason = 11 // a balance, hold or supply would go below zero
	ReasonUnbalanced        Reason = 12 // legs whose credits and debits differ
	ReasonUnknownRef        Reason = 13 // ref names nothing that this kind can act on
	ReasonAlreadyReversed   Reason = 14 // the entry that ref names was reversed before
	ReasonOverflow          Reason = 15 // a sum beyond 2^128-1
	ReasonSafeMode          Reason = 16 // the ledger is read-only until an operator acts
	ReasonDiskPressure      Reason = 17 // free disk space is below the reserve
	ReasonDraining          Reason = 18 // the server is shutting down
)

var reasonNames = [...]string{
	ReasonUnauth:            "unauth",
	ReasonCapInvalid:        "cap_invalid",
	ReasonUnknownKind:       "unknown_kind",
	ReasonPolicyDenied:      "policy_denied",
	ReasonBusy:              "busy",
	ReasonTooLarge:          "too_large",
	ReasonTimeout:           "timeout",
	ReasonInternal:          "internal",
	ReasonMalformed:         "malformed",
	ReasonConflict:          "conflict",
	ReasonInsufficientFunds: "insufficient_funds",
	ReasonUnbalanced:        "unbalanced",
	ReasonUnknownRef:        "unknown_ref",
	ReasonAlreadyReversed:   "already_reversed",
	ReasonOverflow:          "overflow",
	ReasonSafeMode:          "safe_mode",
	ReasonDiskPressure:      "disk_pressure",
	ReasonDraining:          "draining",
}

// Reasons returns every reason in the order of its number.
func Reasons() []Reason {
	all := make([]Reason, 0, len(reasonNames)-1)
	for r := ReasonUnauth; int(r) < len(reasonNames); r++ {
		all = append(all, r)
	}
	return all
}

// String returns the name that wire, metrics and logs share.
func (r Reason) String() string {
	if r == 0 {
		return "none"
	}
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "reason_" + strconv.Itoa(int(r))
}

// ParseReason is the inverse of String for the known reasons.
func ParseReason(name string) (Reason, bool) {
	for _, r := range Reasons() {
		if reasonNames[r] == name {
			return r, true
		}
	}
	return 0, false
}

// Fault says what is wrong with some bytes: the reason, the offset of the
// offending byte from the start of what was checked, and a constant text. The
// zero Fault means that nothing is wrong. It is a value, so that refusing costs
// no allocation.
type Fault struct {
	Reason Reason
	Offset int
	Detail string
}

// OK reports whether nothing is wrong.
func (f Fault) OK() bool { return f.Reason == 0 }

// Error makes a Fault usable as an error; callers MUST test OK first.
func (f Fault) Error() string {
	return f.Reason.String() + " at byte " + strconv.Itoa(f.Offset) + ": " + f.Detail
}

// Err returns nil when nothing is wrong and the fault as an error otherwise.
func (f Fault) Err() error {
	if f.OK() {
		return nil
	}
	return f
}
