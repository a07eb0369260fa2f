package archive

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

const (
	headName     = "head"
	headTitle    = "ron-ledger archive v2"
	headTitleV1  = "ron-ledger archive v1" // the first term: it says none
	headBytesMax = 8 << 10
)

// Head is what an archive says that it holds.
type Head struct {
	Origin    string // of the ledger's checkpoints
	Size      uint64 // records that are archived: 1..Size
	Root      merkle.Hash
	TimeMs    int64  // of the last commit
	Segments  uint64 // number of them
	Bytes     uint64 // in all of them, as they are stored
	LastFirst uint64 // first sequence number of the last segment; 0 = there is none
	LastSum   [32]byte
	LastTerm  uint64 // in the name of the last segment
	Term      uint64 // in force behind it
	Sync      bool   // nothing is acknowledged that is not archived
}

// Words of the head's mode.
const (
	modeSync  = "sync"
	modeAsync = "async"
)

func (h *Head) mode() string {
	if h.Sync {
		return modeSync
	}
	return modeAsync
}

// last returns the place of the last segment.
func (h Head) last() slot { return slot{h.LastFirst, h.LastTerm} }

// next returns the place of what follows.
func (h Head) next() slot { return slot{h.Size + 1, h.Term} }

// text is what gets signed.
func (h *Head) text() string {
	return fmt.Sprintf("%s\n%s\nterm %d\nmode %s\nsize %d\nroot %s\ntime %d\nsegments %d\nbytes %d\nlast %d %x %d\n",
		headTitle, h.Origin, h.Term, h.mode(), h.Size, base64.StdEncoding.EncodeToString(h.Root[:]), h.TimeMs, h.Segments, h.Bytes, h.LastFirst, h.LastSum, h.LastTerm)
}

// textV1 is what used to be signed.
func (h *Head) textV1() string {
	return fmt.Sprintf("%s\n%s\nsize %d\nroot %s\ntime %d\nsegments %d\nbytes %d\nlast %d %x\n",
		headTitleV1, h.Origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]), h.TimeMs, h.Segments, h.Bytes, h.LastFirst, h.LastSum)
}

// sign returns the head as a signed note.
func (h *Head) sign(key note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: h.text()}, key)
	if err != nil {
		return nil, fmt.Errorf("sign the head of the archive: %w", err)
	}
	return signed, nil
}

// openHead reads a head signed by key. With a nil key it reads it unchecked.
func openHead(signed []byte, key note.Verifier) (*Head, error) {
	text, err := openNote(signed, key)
	if err != nil {
		return nil, err
	}
	h, err := parseHead(text)
	if err == nil && key != nil && h.Origin != key.Name() {
		err = fmt.Errorf("it is that of %s", h.Origin)
	}
	return h, err
}

// openNote returns the text of a note signed by key; with a nil key unchecked.
func openNote(signed []byte, key note.Verifier) (string, error) {
	if key == nil {
		return unchecked(signed), nil
	}
	opened, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return "", fmt.Errorf("it is not signed by %s: %w", key.Name(), err)
	}
	return opened.Text, nil
}

// unchecked returns the text of a signed note without looking at its signatures.
func unchecked(signed []byte) string {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	return string(text) + "\n"
}

var errNoHead = errors.New("it is not the head of an archive")

// parseHead accepts what text and textV1 return and nothing else.
func parseHead(text string) (*Head, error) {
	h := &Head{Term: firstTerm, LastTerm: firstTerm}
	var root, sum, mode string
	fields := []any{&h.Origin, &h.Size, &root, &h.TimeMs, &h.Segments, &h.Bytes, &h.LastFirst, &sum}
	format, again := headTitleV1+"\n%s\nsize %d\nroot %s\ntime %d\nsegments %d\nbytes %d\nlast %d %s\n", h.textV1
	if strings.HasPrefix(text, headTitle+"\n") {
		format, again = headTitle+"\n%s\nterm %d\nmode %s\nsize %d\nroot %s\ntime %d\nsegments %d\nbytes %d\nlast %d %s %d\n", h.text
		fields = append(slices.Insert(fields, 1, any(&h.Term), any(&mode)), &h.LastTerm)
	}
	if n, err := fmt.Sscanf(text, format, fields...); err != nil || n != len(fields) {
		return nil, errNoHead
	}
	h.Sync = mode == modeSync
	rawRoot, err1 := base64.StdEncoding.DecodeString(root)
	rawSum, err2 := hex.DecodeString(sum)
	if err1 != nil || err2 != nil || len(rawRoot) != len(h.Root) || len(rawSum) != len(h.LastSum) {
		return nil, errNoHead
	}
	copy(h.Root[:], rawRoot)
	copy(h.LastSum[:], rawSum)
	if again() != text || h.Term < firstTerm || h.LastTerm < firstTerm || h.LastTerm > h.Term {
		return nil, errNoHead
	}
	return h, nil
}
