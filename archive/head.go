package archive

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

const (
	headName     = "head"
	headTitle    = "ron-ledger archive v1"
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
}

// text is what gets signed.
func (h *Head) text() string {
	return fmt.Sprintf("%s\n%s\nsize %d\nroot %s\ntime %d\nsegments %d\nbytes %d\nlast %d %x\n",
		headTitle, h.Origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]), h.TimeMs, h.Segments, h.Bytes, h.LastFirst, h.LastSum)
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
	text := unchecked(signed)
	if key != nil {
		opened, err := note.Open(signed, note.VerifierList(key))
		if err != nil {
			return nil, fmt.Errorf("it is not signed by %s: %w", key.Name(), err)
		}
		text = opened.Text
	}
	h, err := parseHead(text)
	if err == nil && key != nil && h.Origin != key.Name() {
		err = fmt.Errorf("it is that of %s", h.Origin)
	}
	return h, err
}

// unchecked returns the text of a signed note without looking at its signatures.
func unchecked(signed []byte) string {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	return string(text) + "\n"
}

// parseHead accepts what text returns and nothing else.
func parseHead(text string) (*Head, error) {
	h := new(Head)
	var root, sum string
	n, err := fmt.Sscanf(text, headTitle+"\n%s\nsize %d\nroot %s\ntime %d\nsegments %d\nbytes %d\nlast %d %s\n",
		&h.Origin, &h.Size, &root, &h.TimeMs, &h.Segments, &h.Bytes, &h.LastFirst, &sum)
	if err != nil || n != 8 {
		return nil, errors.New("it is not the head of an archive")
	}
	rawRoot, err1 := base64.StdEncoding.DecodeString(root)
	rawSum, err2 := hex.DecodeString(sum)
	if err1 != nil || err2 != nil || len(rawRoot) != len(h.Root) || len(rawSum) != len(h.LastSum) {
		return nil, errors.New("it is not the head of an archive")
	}
	copy(h.Root[:], rawRoot)
	copy(h.LastSum[:], rawSum)
	if h.text() != text {
		return nil, errors.New("it is not the head of an archive")
	}
	return h, nil
}
