package capability

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
//	sum 16 hex digits
//
// The last line is the beginning of the SHA-256 of the other lines as Marshal writes them, sorted and without
// what is for people: a damaged id would be another id, and leave valid what was revoked. Where people write the file it
// may be left out. A nil Revocations, and the zero value, revoke nothing. It is safe for concurrent
// reading; to change it, make another and swap them.
type Revocations struct {
	ids  map[ID]struct{}
	kids map[KID]struct{}
}

// ParseRevocations reads a revocation file. A line that it does not understand is an
// error: a slip must not leave valid what somebody meant to revoke.
func ParseRevocations(text []byte) (*Revocations, error) {
	r := new(Revocations)
	number, summed := 0, false
	for line := range strings.Lines(string(text)) {
		number++
		fields := revocationFields(line)
		if len(fields) == 0 {
			continue
		}
		var err error
		switch {
		case summed:
			err = errors.New("behind the sum nothing follows: take its line out where the list was changed by hand")
		case fields[0] == sumFirst:
			err = r.checkSum(fields)
			summed = true
		default:
			err = r.parseLine(fields)
		}
		if err != nil {
			return nil, fmt.Errorf("parse revocations: line %d: %w", number, err)
		}
	}
	return r, nil
}

// revocationFields are the words of a line that are not for people alone.
func revocationFields(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Fields(line)
}

// sumFirst is the first word of the line with the sum.
var sumFirst = strings.TrimSpace(sumWord)

func (r *Revocations) checkSum(fields []string) error {
	if strings.Join(fields, " ") != r.sum() {
		return errors.New("the sum is not that of the lines before it: the list is damaged: restore it; " +
			"where it was changed by hand, take the line of the sum out")
	}
	return nil
}

// sum is the line behind the others.
func (r *Revocations) sum() string {
	hash := sha256.Sum256(r.lines())
	return sumWord + hex.EncodeToString(hash[:sumBytes])
}

// AppendRevocation adds a line to a revocation file, before its sum, which is made anew. A file that has none
// gets one where it has no other line: people may be its writers. It fails where the file or the line cannot be read.
func AppendRevocation(text []byte, line string) ([]byte, error) {
	r, err := ParseRevocations(text)
	if err != nil {
		return nil, err
	}
	sum := r.Len() == 0
	var file bytes.Buffer
	for old := range strings.Lines(string(text)) {
		if fields := revocationFields(old); len(fields) > 0 && fields[0] == sumFirst {
			sum = true
			continue
		}
		fmt.Fprintln(&file, strings.TrimSuffix(old, "\n"))
	}
	fmt.Fprintln(&file, line)
	if r, err = ParseRevocations(file.Bytes()); err != nil {
		return nil, err
	}
	if sum {
		fmt.Fprintln(&file, r.sum())
	}
	return file.Bytes(), nil
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

// Marshal returns the file, sorted and with its sum; what was written for people is not kept.
func (r *Revocations) Marshal() []byte {
	if r == nil {
		return nil
	}
	return fmt.Appendln(r.lines(), r.sum())
}

// lines are those of what is revoked.
func (r *Revocations) lines() []byte {
	var file bytes.Buffer
	for _, kid := range slices.SortedFunc(maps.Keys(r.kids), func(a, b KID) int { return bytes.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&file, "kid %v\n", kid)
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.ids), func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&file, "capability %v\n", id)
	}
	return file.Bytes()
}
