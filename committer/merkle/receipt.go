package merkle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/note"
)

const (
	receiptHeader = "c2sp.org/tlog-proof@v1"
	// maxExtraSize bounds the extra data of a receipt in bytes.
	maxExtraSize = 64 << 10
	// maxProofHashes is the height of a tree of MaxSize leaves.
	maxProofHashes = 63
)

// Receipt shows offline and for ever that a record is in a log: a C2SP tlog-proof.
type Receipt struct {
	// Extra is data beside the proof. ledgerctl keeps the record there, so that a receipt is
	// one file: Verify is called with it, and then the proof vouches for it.
	Extra []byte
	// Index is the leaf's, the sequence number less one.
	Index uint64
	// Proof is the inclusion proof, from the leaf's sibling upwards.
	Proof []Hash
	// Checkpoint is the signed note with the root that the proof leads to, verbatim.
	Checkpoint []byte
}

// Verify checks that record is in the log that signed the receipt's checkpoint, and returns
// the checkpoint. The hash is the one that the signed origin names, so log has to be the
// verifier of an origin that ParseOrigin accepts.
func (r *Receipt) Verify(record []byte, log note.Verifier) (Checkpoint, error) {
	c, err := OpenCheckpoint(r.Checkpoint, log)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verify receipt: %w", err)
	}
	_, _, k, err := ParseOrigin(c.Origin)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verify receipt: %w", err)
	}
	if err := VerifyInclusion(k, k.Leaf(record), r.Index, c.Size, r.Proof, c.Root); err != nil {
		return Checkpoint{}, fmt.Errorf("verify receipt: %w", err)
	}
	return c, nil
}

// Marshal returns the text of r. It fails where a part is one that ParseReceipt refuses.
func (r *Receipt) Marshal() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("write receipt: %w", err)
	}
	text := append([]byte(receiptHeader), '\n')
	if len(r.Extra) > 0 {
		text = append(text, "extra "...)
		text = append(base64.StdEncoding.AppendEncode(text, r.Extra), '\n')
	}
	text = append(text, "index "...)
	text = append(strconv.AppendUint(text, r.Index, 10), '\n')
	for i := range r.Proof {
		text = append(base64.StdEncoding.AppendEncode(text, r.Proof[i][:]), '\n')
	}
	text = append(text, '\n')
	return append(text, r.Checkpoint...), nil
}

// check holds the bounds that Marshal and ParseReceipt share.
func (r *Receipt) check() error {
	switch {
	case len(r.Extra) > maxExtraSize:
		return fmt.Errorf("%d bytes of extra data, at most %d are allowed", len(r.Extra), maxExtraSize)
	case r.Index >= MaxSize:
		return fmt.Errorf("index %d is not below %d", r.Index, uint64(MaxSize))
	case len(r.Proof) > maxProofHashes:
		return fmt.Errorf("more than %d hashes", maxProofHashes)
	case len(r.Checkpoint) == 0 || r.Checkpoint[len(r.Checkpoint)-1] != '\n':
		return errors.New("the checkpoint does not end in a newline")
	case len(r.Checkpoint) > maxNoteSize:
		return fmt.Errorf("a checkpoint of %d bytes, at most %d are allowed", len(r.Checkpoint), maxNoteSize)
	}
	return nil
}

// ParseReceipt is the inverse of Marshal: it accepts what Marshal returns and nothing else. It
// keeps no part of text. Whether the receipt shows anything, Verify says.
func ParseReceipt(text []byte) (*Receipt, error) {
	r := new(Receipt)
	lines := lineReader{rest: text}
	if string(lines.next()) != receiptHeader {
		return nil, fmt.Errorf("read receipt: the first line is not %q", receiptHeader)
	}
	line := lines.next()
	if encoded, ok := bytes.CutPrefix(line, []byte("extra ")); ok {
		extra, err := parseExtra(encoded)
		if err != nil {
			return nil, fmt.Errorf("read receipt: extra: %w", err)
		}
		r.Extra, line = extra, lines.next()
	}
	decimal, ok := bytes.CutPrefix(line, []byte("index "))
	if !ok {
		return nil, errors.New("read receipt: the line with the index is missing")
	}
	var err error
	if r.Index, err = parseDecimal(decimal); err != nil {
		return nil, fmt.Errorf("read receipt: index: %w", err)
	}
	for line = lines.next(); len(line) > 0; line = lines.next() {
		h, err := parseBase64Hash(line)
		if err != nil {
			return nil, fmt.Errorf("read receipt: hash %d: %w", len(r.Proof)+1, err)
		}
		if r.Proof = append(r.Proof, h); len(r.Proof) > maxProofHashes {
			break
		}
	}
	if lines.short {
		return nil, errors.New("read receipt: it ends before the checkpoint")
	}
	r.Checkpoint = bytes.Clone(lines.rest)
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("read receipt: %w", err)
	}
	return r, nil
}

// parseExtra reads base64 in its one form, of at least one byte.
func parseExtra(encoded []byte) ([]byte, error) {
	if len(encoded) > base64.StdEncoding.EncodedLen(maxExtraSize) {
		return nil, fmt.Errorf("%d characters are more than %d bytes take", len(encoded), maxExtraSize)
	}
	extra, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil || len(extra) == 0 || base64.StdEncoding.EncodeToString(extra) != string(encoded) {
		return nil, errors.New("not base64 of one byte or more")
	}
	return extra, nil
}

// lineReader takes lines that end in a newline off rest. Where none is left, next returns nil
// and short is set.
type lineReader struct {
	rest  []byte
	short bool
}

func (l *lineReader) next() []byte {
	line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
	if !ok {
		l.short = true
		return nil
	}
	l.rest = rest
	return line
}
