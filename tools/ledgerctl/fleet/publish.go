package fleet

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

const (
	linesFolder = "lines"
	treeEnding  = ".tree"
	treeHeader  = "ron-ledger fleet tree v1"
	// linesKept is how many lines stay in the state folder with their trees.
	linesKept = 64
	// treeMax bounds a file with a tree, in bytes.
	treeMax = 16 << 20
)

// Anchored is a line with the tree that it is over: all that a proof to it needs beside the receipt.
type Anchored struct {
	Line *Line
	Note []byte // the line, signed
	Tree *Tree
}

// Publish signs a line over the newest roots of all ledgers of which one is known, and keeps it with
// its tree in the state folder. It returns nil where none is known.
func (f *Fleet) Publish(signer note.Signer, hash merkle.HashKind, now time.Time) (*Anchored, error) {
	var leaves []*Leaf
	for _, m := range f.all() {
		if leaf := m.leaf(); leaf != nil {
			leaves = append(leaves, leaf)
		}
	}
	if len(leaves) == 0 {
		return nil, nil
	}
	tree, err := NewTree(hash, leaves)
	if err != nil {
		return nil, err
	}
	line, err := tree.Line(signer.Name(), now)
	if err != nil {
		return nil, err
	}
	signed, err := line.Sign(signer)
	if err != nil {
		return nil, err
	}
	a := &Anchored{Line: &line, Note: signed, Tree: tree}
	return a, f.keep(a)
}

// keep writes a line with its tree, and removes the oldest ones.
func (f *Fleet) keep(a *Anchored) error {
	dir := filepath.Join(f.options.Dir, linesFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the line: %w", err)
	}
	text, err := a.Marshal()
	if err != nil {
		return err
	}
	if err := f.options.Write(filepath.Join(dir, fmt.Sprintf("%013d%s", a.Line.Time.UnixMilli(), treeEnding)), text); err != nil {
		return fmt.Errorf("keep the line: %w", err)
	}
	kept, err := keptLines(f.options.Dir)
	for len(kept) > linesKept && err == nil {
		err = os.Remove(kept[0])
		kept = kept[1:]
	}
	return err
}

// keptLines returns the files with lines in a state folder, the oldest first.
func keptLines(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, linesFolder))
	if err != nil {
		return nil, fmt.Errorf("list the lines: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), treeEnding) {
			paths = append(paths, filepath.Join(dir, linesFolder, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// NewestLine returns the file with the newest line in a state folder.
func NewestLine(dir string) (string, error) {
	paths, err := keptLines(dir)
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("no line is in %s: ledgerctl fleet --publish makes them", dir)
	}
	if err != nil {
		return "", err
	}
	return paths[len(paths)-1], nil
}

// Marshal returns the text of the file with a line and its tree.
func (a *Anchored) Marshal() ([]byte, error) {
	b := append([]byte(treeHeader), '\n')
	for _, leaf := range a.Tree.Leaves {
		each, err := leaf.Marshal()
		if err != nil {
			return nil, err
		}
		b = append(base64.StdEncoding.AppendEncode(append(b, "leaf "...), each), '\n')
	}
	return append(append(b, '\n'), a.Note...), nil
}

// ParseAnchored is the inverse of Marshal for a line that the fleet signed: it fails where the tree is not
// the one that the line is over.
func ParseAnchored(text []byte, fleet note.Verifier) (*Anchored, error) {
	head, signed, ok := bytes.Cut(text, []byte("\n\n"))
	if !ok || len(text) > treeMax || !bytes.HasPrefix(head, []byte(treeHeader+"\n")) {
		return nil, fmt.Errorf("read the tree of a line: it is not a text of at most %d bytes that begins with %q", treeMax, treeHeader)
	}
	line, err := OpenLine(signed, fleet)
	if err != nil {
		return nil, err
	}
	var leaves []*Leaf
	for row := range bytes.SplitSeq(head[len(treeHeader)+1:], []byte("\n")) {
		encoded, _ := bytes.CutPrefix(row, []byte("leaf "))
		b, err := base64.StdEncoding.AppendDecode(nil, encoded)
		if err != nil {
			return nil, fmt.Errorf("read the tree of a line: %w", err)
		}
		leaf, err := ParseLeaf(b)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, leaf)
	}
	tree, err := NewTree(line.Hash, leaves)
	if err != nil {
		return nil, err
	}
	root, err := tree.Root()
	if err == nil && (root != line.Root || uint64(len(leaves)) != line.Ledgers) {
		err = errors.New("read the tree of a line: it is not the tree that the line is over")
	}
	return &Anchored{Line: line, Note: bytes.Clone(signed), Tree: tree}, err
}

// Consistency returns the proof that the tree of the smaller size is the beginning of the larger one, of a
// ledger.
type Consistency func(smaller, larger uint64) ([]merkle.Hash, error)

// Prove makes the proof from the entry of a receipt to the line. consistency is asked where the receipt is of
// another size than what is anchored.
func (a *Anchored) Prove(receipt []byte, consistency Consistency) (*Proof, error) {
	for i, leaf := range a.Tree.Leaves {
		opened, from, err := leaf.open(receipt)
		if err != nil {
			continue // of another ledger, or what Verify says
		}
		if opened.Index >= leaf.Size {
			return nil, &AheadError{Seq: opened.Index + 1, Size: leaf.Size}
		}
		p := &Proof{Line: a.Note, Index: uint64(i), Receipt: receipt}
		if p.Leaf, err = leaf.Marshal(); err != nil {
			return nil, err
		}
		if p.Path, err = a.Tree.Path(p.Index); err != nil {
			return nil, err
		}
		if from.Size != leaf.Size {
			if p.Consistency, err = consistency(min(from.Size, leaf.Size), max(from.Size, leaf.Size)); err != nil {
				return nil, err
			}
		}
		return p, nil
	}
	if _, err := merkle.ParseReceipt(receipt); err != nil {
		return nil, err
	}
	return nil, errors.New("the line anchors no ledger that has signed this receipt, or the receipt does not hold or has no record in it: ledgerctl verify-receipt says which")
}
