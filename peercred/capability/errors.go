package capability

// The reasons of refusal, as the wire, metrics and logs name them.
const (
	ReasonUnauth       = "unauth"        // no token
	ReasonCapInvalid   = "cap_invalid"   // a token that does not hold here, now, for this peer
	ReasonPolicyDenied = "policy_denied" // a token that holds, but not for this
)

// Error is a refusal of a token. Its text helps who holds the token; it has no part
// of a secret or of a MAC.
type Error struct {
	reason string
	text   string
}

func (e *Error) Error() string { return e.text }

// Reason is one of the Reason constants.
func (e *Error) Reason() string { return e.reason }

func invalid(text string) *Error { return &Error{reason: ReasonCapInvalid, text: text} }

// Denial names the caveat that stands against a request or an entry. The zero value,
// Granted, means that none does. The order is that of precedence.
type Denial uint8

// The denials. The first group is of Session, the second of May and Entry.
const (
	Granted Denial = iota

	DeniedLog
	DeniedUID
	DeniedGID
	DeniedNotBefore
	DeniedExpires

	DeniedOp
	DeniedKind
	DeniedGovernance
	DeniedAccount
	DeniedAsset
	DeniedAmount
)

var denials = [...]struct {
	word string
	err  *Error
}{
	Granted:          {word: "granted"},
	DeniedLog:        {"log", invalid("check token: it is for another log, or for an epoch before a restore: ask for a new token")},
	DeniedUID:        {"uid", invalid("check token: it is not for the uid of this process: ask for a token of its own")},
	DeniedGID:        {"gid", invalid("check token: it is not for a group of this process: ask for a token of its own")},
	DeniedNotBefore:  {"not-before", invalid("check token: it is not valid yet: wait, or compare the clocks")},
	DeniedExpires:    {"expires", invalid("check token: it has expired: ask for a new token")},
	DeniedOp:         {"op", denied("check caveats: the token does not allow this operation (op)")},
	DeniedKind:       {"kind", denied("check caveats: the token does not allow this kind of entry (kind)")},
	DeniedGovernance: {"governance", denied("check caveats: a reversal needs governance = reverse, which only minting grants")},
	DeniedAccount:    {"account", denied("check caveats: the token does not allow every account of this entry (account)")},
	DeniedAsset:      {"asset", denied("check caveats: the token does not allow this asset (asset)")},
	DeniedAmount:     {"amount", denied("check caveats: the amount is above the token's bound (amount)")},
}

func denied(text string) *Error { return &Error{reason: ReasonPolicyDenied, text: text} }

// String names the caveat in the words of its type, or says "granted".
func (d Denial) String() string {
	if int(d) < len(denials) {
		return denials[d].word
	}
	return "unknown"
}

// Reason is the reason for the wire; "" where the request is granted.
func (d Denial) Reason() string {
	switch {
	case d == Granted:
		return ""
	case d <= DeniedExpires:
		return ReasonCapInvalid
	default:
		return ReasonPolicyDenied
	}
}

// Err is the denial as an *Error, nil where the request is granted. It allocates
// nothing.
func (d Denial) Err() error {
	if d == Granted {
		return nil
	}
	if int(d) < len(denials) {
		return denials[d].err
	}
	return denials[DeniedOp].err
}
