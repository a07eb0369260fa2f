package fleet

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

const (
	proofHeader = "ron-ledger fleet proof v1"
	proofMax    = 256 << 10
	hashesMax   = 64 // of a path, and of a consistency proof
)

// Proof leads from an entry to a line.
type Proof struct {
	Line        []byte // signed note
	Leaf        []byte
	Index       uint64 // of the leaf
	Path        []merkle.Hash
	Consistency []merkle.Hash // between the receipt's checkpoint and the leaf, the smaller one first
	Receipt     []byte        // verbatim, with the record in it
}

// Proven is what a proof shows.
type Proven struct {
	Line   Line
	Leaf   Leaf
	Seq    uint64 // of the entry
	Record []byte // entry and stamp
}

// Verify checks that the entry of the receipt is in the tree that the line anchors, for a
// ledger that nothing but the line needs to name. It asks no server.
func (p *Proof) Verify(fleet note.Verifier) (*Proven, error) {
	line, err := OpenLine(p.Line, fleet)
	if err != nil {
		return nil, err
	}
	leaf, err := ParseLeaf(p.Leaf)
	if err != nil {
		return nil, err
	}
	if err := merkle.VerifyInclusion(line.Hash, line.Hash.Leaf(p.Leaf), p.Index, line.Ledgers, p.Path, line.Root); err != nil {
		return nil, fmt.Errorf("the ledger is not anchored in the line: %w", err)
	}
	receipt, from, err := leaf.open(p.Receipt)
	if err != nil {
		return nil, err
	}
	if err := leaf.joins(receipt, from, p.Consistency); err != nil {
		return nil, err
	}
	return &Proven{Line: *line, Leaf: *leaf, Seq: receipt.Index + 1, Record: receipt.Extra}, nil
}

// open verifies a receipt of the leaf's ledger, and returns its checkpoint.
func (l *Leaf) open(text []byte) (*merkle.Receipt, merkle.Checkpoint, error) {
	var none merkle.Checkpoint
	receipt, err := merkle.ParseReceipt(text)
	if err != nil {
		return nil, none, err
	}
	if len(receipt.Extra) == 0 {
		return nil, none, errors.New("read receipt: there is no record in it")
	}
	key, err := l.key()
	if err != nil {
		return nil, none, err
	}
	origin, _, _ := bytes.Cut(receipt.Checkpoint, []byte("\n"))
	verifier, err := key.Verifier(string(origin))
	if err != nil {
		return nil, none, err
	}
	signed, err := receipt.Verify(receipt.Extra, verifier)
	return receipt, signed, err
}

// joins checks that the entry that is in the tree of a checkpoint is in that of the leaf: one of the
// trees is the beginning of the other, and the entry is in the smaller one.
func (l *Leaf) joins(receipt *merkle.Receipt, from merkle.Checkpoint, consistency []merkle.Hash) error {
	if receipt.Index >= l.Size {
		return &AheadError{Seq: receipt.Index + 1, Size: l.Size}
	}
	_, _, hash, err := merkle.ParseOrigin(l.Origin)
	if err != nil {
		return err
	}
	small, large := &from, &l.Checkpoint
	if small.Size > large.Size {
		small, large = large, small
	}
	if err := merkle.VerifyConsistency(hash, small.Size, small.Root, large.Size, large.Root, consistency); err != nil {
		return fmt.Errorf("what the receipt is of and what is anchored are not one history: %w", err)
	}
	return nil
}

// AheadError says that an entry is newer than what a line anchors.
type AheadError struct{ Seq, Size uint64 }

func (e *AheadError) Error() string {
	return fmt.Sprintf("entry %d is newer than the line, which anchors %d entries of this ledger: take a later line", e.Seq, e.Size)
}

// Marshal returns the text of a proof.
func (p *Proof) Marshal() []byte {
	b := append([]byte(proofHeader), '\n')
	field := func(name string, value []byte) {
		b = append(append(b, name...), ' ')
		b = append(base64.StdEncoding.AppendEncode(b, value), '\n')
	}
	field("line", p.Line)
	field("leaf", p.Leaf)
	b = append(strconv.AppendUint(append(b, "index "...), p.Index, 10), '\n')
	for i := range p.Path {
		field("path", p.Path[i][:])
	}
	for i := range p.Consistency {
		field("consistency", p.Consistency[i][:])
	}
	return append(append(b, '\n'), p.Receipt...)
}

// IsProof reports whether a text begins as a proof does.
func IsProof(text []byte) bool { return bytes.HasPrefix(text, []byte(proofHeader+"\n")) }

// ParseProof is the inverse of Marshal: it accepts what Marshal returns and nothing else. Whether it
// shows anything, Verify says.
func ParseProof(text []byte) (*Proof, error) {
	head, receipt, ok := bytes.Cut(text, []byte("\n\n"))
	if !IsProof(text) || !ok || len(text) > proofMax {
		return nil, fmt.Errorf("read proof: it is not a text of at most %d bytes that begins with %q", proofMax, proofHeader)
	}
	p := &Proof{Receipt: bytes.Clone(receipt)}
	for row := range bytes.SplitSeq(head, []byte("\n")) {
		name, value, _ := bytes.Cut(row, []byte(" "))
		if err := p.set(string(name), value); err != nil {
			return nil, fmt.Errorf("read proof: %s: %w", name, err)
		}
	}
	if len(p.Path) > hashesMax || len(p.Consistency) > hashesMax {
		return nil, fmt.Errorf("read proof: more than %d hashes", hashesMax)
	}
	if !bytes.Equal(p.Marshal(), text) {
		return nil, errors.New("read proof: it is not written in its one form")
	}
	return p, nil
}

// set takes one line. What is there twice, or out of order, is not what Marshal returns.
func (p *Proof) set(name string, value []byte) (err error) {
	switch name {
	case "line":
		p.Line, err = base64.StdEncoding.AppendDecode(nil, value)
	case "leaf":
		p.Leaf, err = base64.StdEncoding.AppendDecode(nil, value)
	case "index":
		p.Index, err = strconv.ParseUint(string(value), 10, 63)
	case "path", "consistency":
		var h merkle.Hash
		h, err = parseHash(value)
		if name == "path" {
			p.Path = append(p.Path, h)
		} else {
			p.Consistency = append(p.Consistency, h)
		}
	case "ron-ledger": // the first line
	default:
		err = errors.New("there is no such line")
	}
	return err
}
