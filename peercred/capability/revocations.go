package capability

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Revocations are the capabilities and keys that are valid no more. Their file is
// text, one a line:
//
//	capability 00112233445566778899aabbccddeeff  # what follows is for people
//	kid 0011223344556677
//
// A nil Revocations, and the zero value, revoke nothing. It is safe for concurrent
// reading; to change it, make another and swap them.
type Revocations struct {
	ids  map[ID]struct{}
	kids map[KID]struct{}
}

// ParseRevocations reads a revocation file. A line that it does not understand is an
// error: a slip must not leave valid what somebody meant to revoke.
func ParseRevocations(text []byte) (*Revocations, error) {
	r := new(Revocations)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if err := r.parseLine(fields); err != nil {
			return nil, fmt.Errorf("parse revocations: line %d: %w", number, err)
		}
	}
	return r, nil
}

func (r *Revocations) parseLine(fields []string) error {
	if len(fields) != 2 {
		return fmt.Errorf("expected the word capability or kid, and an id")
	}
	switch fields[0] {
	case "capability":
		var id ID
		if err := parseHex(id[:], fields[1]); err != nil {
			return fmt.Errorf("capability: %w", err)
		}
		r.RevokeID(id)
	case "kid":
		var kid KID
		if err := parseHex(kid[:], fields[1]); err != nil {
			return fmt.Errorf("kid: %w", err)
		}
		r.RevokeKID(kid)
	default:
		return fmt.Errorf("expected the word capability or kid")
	}
	return nil
}

// RevokeID revokes a capability, and with it all that were narrowed from it.
func (r *Revocations) RevokeID(id ID) {
	if r.ids == nil {
		r.ids = make(map[ID]struct{})
	}
	r.ids[id] = struct{}{}
}

// RevokeKID revokes all that a key has minted.
func (r *Revocations) RevokeKID(kid KID) {
	if r.kids == nil {
		r.kids = make(map[KID]struct{})
	}
	r.kids[kid] = struct{}{}
}

// Len is the number of capabilities and keys that are revoked.
func (r *Revocations) Len() int {
	if r == nil {
		return 0
	}
	return len(r.ids) + len(r.kids)
}

// Revoked reports whether a capability or its key is revoked. It allocates nothing.
func (r *Revocations) Revoked(id ID, kid KID) bool {
	if r == nil {
		return false
	}
	_, idRevoked := r.ids[id]
	_, kidRevoked := r.kids[kid]
	return idRevoked || kidRevoked
}

// Marshal returns the file, sorted; what was written for people is not kept.
func (r *Revocations) Marshal() []byte {
	var file bytes.Buffer
	if r == nil {
		return nil
	}
	for _, kid := range slices.SortedFunc(maps.Keys(r.kids), func(a, b KID) int { return bytes.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&file, "kid %v\n", kid)
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.ids), func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&file, "capability %v\n", id)
	}
	return file.Bytes()
}
