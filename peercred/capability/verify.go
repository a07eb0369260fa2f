package capability

import (
	"errors"
	"fmt"
)

// Info is what a token says of itself. Nothing of it is proven.
type Info struct {
	KID          KID
	CapabilityID ID
	Caveats      []Caveat // in the token's order

	// Allows are the rights in words that the token would have if its MAC is right:
	// see [Rights.Words].
	Allows []string
}

// Inspect reads a token without any key. It proves nothing: only [Verify] does.
func Inspect(t Token) (Info, error) {
	e, err := openEnvelope(t.Bytes())
	if err != nil {
		return Info{}, err
	}
	caveats, err := e.caveats()
	if err != nil {
		return Info{}, err
	}
	return Info{
		KID:          e.ident.kid,
		CapabilityID: e.ident.id,
		Caveats:      caveats,
		Allows:       compile(e.ident, caveats).Words(),
	}, nil
}

// Verify checks a token's MAC under the key that it names, in constant time, and then
// that neither its capability nor its key is revoked and that all its caveats are
// known. It returns the caveats compiled. Nothing but the key's name is answered to
// who cannot make a MAC. Whether uid, gid, log and time hold is for [Rights.Session],
// on every request.
//
// Errors are of type *Error: unauth for no token, cap_invalid for all else.
func Verify(t Token, ring *Keyring, revoked *Revocations) (*Rights, error) {
	e, err := openEnvelope(t.Bytes())
	if err != nil {
		return nil, err
	}
	key, known := ring.Key(e.ident.kid)
	if !known {
		return nil, invalid(fmt.Sprintf("verify token: key %v is not in the keyring: it was removed, or minted for another ledger: ask for a new token", e.ident.kid))
	}
	if _, err := e.macaroon.VerifySignature(key.secret(), nil); err != nil {
		return nil, invalid("verify token: its MAC does not match: it was changed, or minted under another key")
	}
	if revoked.Revoked(e.ident.id, e.ident.kid) {
		return nil, invalid(fmt.Sprintf("verify token: capability %v or its key %v is revoked: ask for a new token", e.ident.id, e.ident.kid))
	}
	caveats, err := e.caveats()
	if err != nil {
		return nil, err
	}
	return compile(e.ident, caveats), nil
}

// ReasonOf returns the reason of an error of this package, cap_invalid where it
// carries none: a token that could not be judged is not valid.
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.reason
	}
	return ReasonCapInvalid
}
