package capability

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"gopkg.in/macaroon.v2"
)

const (
	tokenBytesMax   = 4096
	caveatsMax      = 32
	textPrefix      = "rl1_"
	macaroonV2      = 2 // the first byte of the binary V2 form
	identVersion    = 1
	identBytes      = 27
	identKIDAt      = 1
	identIDAt       = 9
	identGrantsAt   = 25
	grantAdmin      = 1 << 0
	grantMint       = 1 << 1
	grantBurn       = 1 << 2
	grantReverse    = 1 << 3
	grantGovernance = 1 << 4
	grantsKnown     = 1<<5 - 1
)

// tokenText is base64url without padding and without spare bits.
var tokenText = base64.RawURLEncoding.Strict()

// Token is a token as it travels, well formed by construction: its MAC is unproven
// until [Verify]. It is a bearer secret; no formatting shows it. The zero Token is
// none. A Token is safe for concurrent use.
type Token struct {
	encoded secret
}

// Bytes returns the bytes for HELLO and AUTH: a copy.
func (t Token) Bytes() []byte {
	if t.encoded == nil {
		return nil
	}
	return bytes.Clone(t.encoded())
}

// Text returns the token as text for files and the environment: "rl1_…". It is the
// secret itself.
func (t Token) Text() string {
	if t.encoded == nil {
		return ""
	}
	return textPrefix + tokenText.EncodeToString(t.encoded())
}

// Format shows which capability it is, and never the token.
func (t Token) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, t.String()) }

// String shows which capability it is, and never the token.
func (t Token) String() string {
	if t.encoded == nil {
		return "token(none)"
	}
	e, err := openEnvelope(t.encoded())
	if err != nil {
		return "token(malformed)"
	}
	return fmt.Sprintf("token(capability %v, key %v, redacted)", e.ident.id, e.ident.kid)
}

// TokenFromBytes takes the bytes of a token, which it copies. It checks their form
// and not their MAC. Its errors are of type *Error.
func TokenFromBytes(encoded []byte) (Token, error) {
	if _, err := openEnvelope(encoded); err != nil {
		return Token{}, err
	}
	return Token{hide(bytes.Clone(encoded))}, nil
}

// ParseToken reads the text form; white space around it, such as the line end of a
// file, is not part of it. It checks the form and not the MAC. Its errors are of type
// *Error and repeat nothing of the text.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Token{}, &Error{ReasonUnauth, "parse token: it is empty: pass a token"}
	}
	encoded, isToken := strings.CutPrefix(text, textPrefix)
	if !isToken {
		return Token{}, invalid("parse token: it does not begin with " + textPrefix + ": pass the token's text or the content of its file")
	}
	if len(encoded) > tokenText.EncodedLen(tokenBytesMax) {
		return Token{}, tooLarge()
	}
	// The decoder passes over line ends, which are no part of a token.
	raw, err := tokenText.DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return Token{}, invalid("parse token: what follows " + textPrefix + " is not base64url: was it copied whole?")
	}
	return TokenFromBytes(raw)
}

func tooLarge() *Error {
	return invalid(fmt.Sprintf("check token: it is larger than %d bytes: ask for one with fewer caveats", tokenBytesMax))
}

// ident is the content of a macaroon's identifier.
type ident struct {
	kid    KID
	id     ID
	grants uint16
}

func (n ident) encode() []byte {
	encoded := append([]byte{identVersion}, n.kid[:]...)
	encoded = append(encoded, n.id[:]...)
	return binary.LittleEndian.AppendUint16(encoded, n.grants)
}

func decodeIdent(encoded []byte) (n ident, err *Error) {
	if len(encoded) != identBytes || encoded[0] != identVersion {
		return n, invalid("check token: its identifier is of another version or no ledger's: ask for a new token")
	}
	n.kid, n.id = KID(encoded[identKIDAt:identIDAt]), ID(encoded[identIDAt:identGrantsAt])
	n.grants = binary.LittleEndian.Uint16(encoded[identGrantsAt:])
	if n.grants&^grantsKnown != 0 {
		return n, invalid("check token: its identifier has grants that this program does not know")
	}
	return n, nil
}

// envelope is a token taken apart, with its caveats still opaque.
type envelope struct {
	macaroon *macaroon.Macaroon
	ident    ident
}

// openEnvelope bounds the bytes before they are parsed, and accepts only the one
// encoding of a macaroon of our shape: encoding what was parsed gives the same bytes.
// That refuses trailing bytes, long varints, locations and empty fields in one.
func openEnvelope(encoded []byte) (*envelope, error) {
	switch {
	case len(encoded) == 0:
		return nil, &Error{ReasonUnauth, "check token: there is none: pass a token"}
	case len(encoded) > tokenBytesMax:
		return nil, tooLarge()
	case encoded[0] != macaroonV2:
		return nil, invalid("check token: it is not a macaroon in binary form, version 2")
	}
	var m macaroon.Macaroon
	if err := m.UnmarshalBinary(encoded); err != nil {
		return nil, invalid("check token: it is not a whole macaroon: was it copied whole?")
	}
	if len(m.Caveats()) > caveatsMax {
		return nil, invalid(fmt.Sprintf("check token: it has %d caveats, at most %d are allowed", len(m.Caveats()), caveatsMax))
	}
	for _, c := range m.Caveats() {
		if len(c.VerificationId) > 0 {
			return nil, invalid("check token: it has a third-party caveat; a ledger asks no third party")
		}
	}
	again, err := m.MarshalBinary()
	if err != nil || m.Location() != "" || !bytes.Equal(again, encoded) {
		return nil, invalid("check token: it has a location, trailing bytes or an encoding that is not the shortest")
	}
	n, identErr := decodeIdent(m.Id())
	if identErr != nil {
		return nil, identErr
	}
	return &envelope{&m, n}, nil
}

// caveats decodes the caveats. One that this program does not know is an error, and
// so is a governance caveat that the minter did not grant.
func (e *envelope) caveats() ([]Caveat, error) {
	caveats := make([]Caveat, 0, len(e.macaroon.Caveats()))
	for i, opaque := range e.macaroon.Caveats() {
		c, err := decodeCaveat(opaque.Id)
		if err != nil {
			return nil, invalid(fmt.Sprintf("check token: caveat %d: %v", i+1, err))
		}
		if c.typ == TypeGovernance && e.ident.grants&grantGovernance == 0 {
			return nil, invalid(fmt.Sprintf("check token: caveat %d: governance = reverse was not granted by minting", i+1))
		}
		caveats = append(caveats, c)
	}
	return caveats, nil
}

// Mint makes a token under an active key. The caveats MUST hold one log at least;
// what they name of admin, Mint, Burn, Reverse and governance becomes a grant in the
// identifier. The capability id is drawn from the system's randomness.
func Mint(key Key, caveats ...Caveat) (Token, error) {
	if key.secret == nil || key.State != KeyActive {
		return Token{}, fmt.Errorf("mint token: key %v does not mint: take the newest active one", key.KID)
	}
	n := ident{kid: key.KID}
	rand.Read(n.id[:])
	hasLog := false
	for _, c := range caveats {
		hasLog = hasLog || c.typ == TypeLog
		n.grants |= grantsOf(c)
	}
	if !hasLog {
		return Token{}, fmt.Errorf("mint token: no log caveat: name the log, so that the token ends with its epoch")
	}
	m, err := macaroon.New(key.secret(), n.encode(), "", macaroon.V2)
	if err != nil {
		return Token{}, fmt.Errorf("mint token: %w", err)
	}
	t, err := seal(m, caveats)
	if err != nil {
		return Token{}, fmt.Errorf("mint token: %w", err)
	}
	return t, nil
}

// grantsOf is what a caveat names of that which absence does not give.
func grantsOf(c Caveat) (grants uint16) {
	switch c.typ {
	case TypeOp:
		if c.valid() && c.ops()&OpAdmin != 0 {
			grants |= grantAdmin
		}
	case TypeKind:
		if c.valid() {
			for kind, grant := range kindGrants {
				if c.kinds()&(1<<kind) != 0 {
					grants |= grant
				}
			}
		}
	case TypeGovernance:
		grants |= grantGovernance
	}
	return grants
}

// kindGrants has the kinds that are granted by name alone.
var kindGrants = map[uint8]uint16{kindMint: grantMint, kindBurn: grantBurn, kindReverse: grantReverse}

// Narrow returns the token with more caveats. It needs no key and no server. The
// result never allows anything that the token did not; a governance caveat, which
// would grant, is an error.
func (t Token) Narrow(caveats ...Caveat) (Token, error) {
	e, err := openEnvelope(t.Bytes())
	if err != nil {
		return Token{}, fmt.Errorf("narrow token: %w", err)
	}
	for _, c := range caveats {
		if c.typ == TypeGovernance {
			return Token{}, fmt.Errorf("narrow token: governance = reverse grants, and only minting grants")
		}
	}
	narrowed, err := seal(e.macaroon, caveats)
	if err != nil {
		return Token{}, fmt.Errorf("narrow token: %w", err)
	}
	return narrowed, nil
}

// seal appends the caveats to m and encodes it, within the bounds.
func seal(m *macaroon.Macaroon, caveats []Caveat) (Token, error) {
	if count := len(m.Caveats()) + len(caveats); count > caveatsMax {
		return Token{}, fmt.Errorf("it would have %d caveats, at most %d are allowed", count, caveatsMax)
	}
	for _, c := range caveats {
		if err := c.validate(); err != nil {
			return Token{}, err
		}
		if err := m.AddFirstPartyCaveat(c.appendTo(nil)); err != nil {
			return Token{}, fmt.Errorf("add a caveat: %w", err)
		}
	}
	encoded, err := m.MarshalBinary()
	if err != nil {
		return Token{}, fmt.Errorf("encode: %w", err)
	}
	if len(encoded) > tokenBytesMax {
		return Token{}, fmt.Errorf("it would have %d bytes, at most %d are allowed", len(encoded), tokenBytesMax)
	}
	return Token{hide(encoded)}, nil
}
