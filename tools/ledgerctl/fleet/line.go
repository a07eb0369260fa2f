package fleet

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

const (
	lineHeader = "ron-ledger fleet v1"
	lineMax    = 64 << 10 // bytes of a signed line
	nameMax    = 128
)

// Line is what a fleet signs: the root over the newest roots of all ledgers.
type Line struct {
	Name    string // of the fleet
	Hash    merkle.HashKind
	Ledgers uint64
	Root    merkle.Hash
	Time    time.Time // to the millisecond
}

// Line returns the line over a tree.
func (t *Tree) Line(name string, now time.Time) (Line, error) {
	root, err := t.Root()
	return Line{Name: name, Hash: t.Hash, Ledgers: uint64(len(t.Leaves)), Root: root, Time: time.UnixMilli(now.UnixMilli())}, err
}

func (l *Line) text() string {
	return fmt.Sprintf("%s\n%s\nhash %v\nledgers %d\nroot %s\ntime %d\n", lineHeader, l.Name, l.Hash, l.Ledgers,
		base64.StdEncoding.EncodeToString(l.Root[:]), l.Time.UnixMilli())
}

// Sign returns the line as a signed note. The signer has to be named as the fleet is.
func (l *Line) Sign(fleet note.Signer) ([]byte, error) {
	if err := checkName(l.Name); err != nil {
		return nil, fmt.Errorf("sign the line: %w", err)
	}
	if fleet.Name() != l.Name {
		return nil, fmt.Errorf("sign the line: the key is named %q, the fleet %q", fleet.Name(), l.Name)
	}
	signed, err := note.Sign(&note.Note{Text: l.text()}, fleet)
	if err != nil {
		return nil, fmt.Errorf("sign the line: %w", err)
	}
	return signed, nil
}

// OpenLine returns the line in a note that the fleet signed.
func OpenLine(signed []byte, fleet note.Verifier) (*Line, error) {
	if len(signed) > lineMax {
		return nil, fmt.Errorf("open the line: %d bytes, at most %d are allowed", len(signed), lineMax)
	}
	opened, err := note.Open(signed, note.VerifierList(fleet))
	if err != nil {
		return nil, fmt.Errorf("open the line, signed by %q: %w", fleet.Name(), err)
	}
	for _, signature := range opened.Sigs {
		// note.Open ignores stray bits in the last character.
		raw, err := base64.StdEncoding.DecodeString(signature.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != signature.Base64 {
			return nil, fmt.Errorf("open the line: the signature by %q is not in the one base64 form", signature.Name)
		}
	}
	l, err := parseLine(opened.Text)
	if err != nil {
		return nil, fmt.Errorf("open the line: %w", err)
	}
	if l.Name != fleet.Name() {
		return nil, fmt.Errorf("open the line: it is of the fleet %q, the key of %q", l.Name, fleet.Name())
	}
	return l, nil
}

func parseLine(text string) (*Line, error) {
	rows := strings.Split(text, "\n")
	if len(rows) != 7 || rows[0] != lineHeader {
		return nil, fmt.Errorf("it is not the six lines that begin with %q", lineHeader)
	}
	l := &Line{Name: rows[1]}
	var errs [4]error
	l.Hash, errs[0] = merkle.ParseHashKind(strings.TrimPrefix(rows[2], "hash "))
	l.Ledgers, errs[1] = strconv.ParseUint(strings.TrimPrefix(rows[3], "ledgers "), 10, 63)
	l.Root, errs[2] = parseHash([]byte(strings.TrimPrefix(rows[4], "root ")))
	ms, err := strconv.ParseInt(strings.TrimPrefix(rows[5], "time "), 10, 64)
	l.Time, errs[3] = time.UnixMilli(ms), err
	if err := errors.Join(append(errs[:], checkName(l.Name))...); err != nil {
		return nil, err
	}
	if l.text() != text {
		return nil, errors.New("it is not written in its one form")
	}
	return l, nil
}

// checkName asks of the name of a fleet what a signed note asks of that of a key.
func checkName(name string) error {
	if name == "" || len(name) > nameMax || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '+' || r > '~' }) {
		return fmt.Errorf("%.140q is no name of a fleet: 1 to %d printable ASCII characters without space and plus", name, nameMax)
	}
	return nil
}

// parseHash reads a hash in the one base64 form that it has.
func parseHash(encoded []byte) (h merkle.Hash, err error) {
	decoded, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil || len(decoded) != len(h) || !bytes.Equal(base64.StdEncoding.AppendEncode(nil, decoded), encoded) {
		return h, fmt.Errorf("%.48q is not base64 of %d bytes", encoded, len(h))
	}
	return merkle.Hash(decoded), nil
}
