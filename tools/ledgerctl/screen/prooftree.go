package screen

import (
	"fmt"
	"math/bits"
	"strings"
)

// ProofTree draws the inclusion proof of a leaf, from the root down: at each branch the half
// that the leaf is in, and the hash that the proof has of the other. path is the proof from the
// leaf's sibling upwards, hashes as text. Entries are counted from 1, as ledgers do; a path of
// another length than the tree asks for is said to be one.
func ProofTree(root, leaf string, seq, size uint64, path []string) []string {
	lines := []string{fmt.Sprintf("root %s", root)}
	draw := proofDrawing{leaf: leaf, path: path}
	draw.half(0, size, seq-1, "")
	if draw.short || len(draw.path) > 0 {
		return []string{fmt.Sprintf("the proof has %d hashes, which is no proof of entry %d in a tree of %d", len(path), seq, size)}
	}
	return append(lines, draw.lines...)
}

// proofDrawing is a drawing that takes the path from its end, where the root is.
type proofDrawing struct {
	leaf  string
	path  []string
	lines []string
	short bool
}

// half draws the n entries behind start, of which the one at index is proven (RFC 9162, section 2.1.3).
func (d *proofDrawing) half(start, n, index uint64, indent string) {
	if n == 1 {
		d.lines = append(d.lines, fmt.Sprintf("%s└── %s  %s  ◀ proven", indent, entries(start, n), d.leaf))
		return
	}
	if len(d.path) == 0 {
		d.short = true
		return
	}
	sibling := d.path[len(d.path)-1]
	d.path = d.path[:len(d.path)-1]
	left := uint64(1) << (bits.Len64(n-1) - 1)
	here, there := entries(start, left), entries(start+left, n-left)
	if index < start+left {
		here, there = there, here
	} else {
		start, left = start+left, n-left
	}
	d.lines = append(d.lines, fmt.Sprintf("%s├── %s  %s  given", indent, here, sibling))
	if left > 1 {
		d.lines = append(d.lines, fmt.Sprintf("%s└── %s  computed", indent, there))
		indent += "    "
	}
	d.half(start, left, index, indent)
}

func entries(start, n uint64) string {
	if n == 1 {
		return fmt.Sprintf("entry %d", start+1)
	}
	return fmt.Sprintf("entries %d to %d", start+1, start+n)
}

// Abbreviated is the beginning of a hash, which is enough to tell it from others by eye.
func Abbreviated(hash string) string {
	const enough = 16
	if len(hash) <= enough {
		return hash
	}
	return strings.ToLower(hash[:enough]) + "…"
}
