package sidecar

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// termFile says which term of the archive this home may write in. Where it is missing that is the
// first: nobody has taken the ledger over.
const termFile = "archive.term"

// heldTerm is what termFile says.
type heldTerm struct {
	term uint64
	// sync: the archive may say that nothing is acknowledged before it is there. Before it is not so any
	// more the archive has to say otherwise, or whoever takes over would take it for whole.
	sync bool
	// unused: nothing was sent in it yet.
	unused bool
	// claim is that of the fence by which this home is about to end its own term, and begin the next one; zero: it is not.
	claim [16]byte
}

const unusedTerm = "unused\n"

func (t heldTerm) text() string {
	mode := archiveAsync
	if t.sync {
		mode = archiveSync
	}
	text := fmt.Sprintf("term %d %s\n", t.term, mode)
	switch {
	case t.unused:
		text += unusedTerm
	case t.claim != [16]byte{}:
		text += fmt.Sprintf("claim %x\n", t.claim)
	}
	return text
}

// term returns the term that a home holds.
func (h *home) term() (t heldTerm, err error) {
	text, err := os.ReadFile(h.path(termFile))
	if errors.Is(err, fs.ErrNotExist) {
		return heldTerm{term: 1}, nil
	}
	if err != nil {
		return t, fmt.Errorf("read the term of this home: %w", err)
	}
	t = parseTerm(string(text))
	if t.term == 0 || t.text() != string(text) {
		return t, fmt.Errorf("%s is damaged: what this home may write to its archive cannot be told: adopt the archive into an empty home (archive.adopt)", h.path(termFile))
	}
	return t, nil
}

// parseTerm is the inverse of text; of other texts it returns anything.
func parseTerm(text string) (t heldTerm) {
	mode, claim := "", []byte(nil)
	first, second, _ := strings.Cut(text, "\n")
	_, _ = fmt.Sscanf(first, "term %d %s", &t.term, &mode)
	_, _ = fmt.Sscanf(second, "claim %x", &claim)
	t.sync, t.unused = mode == archiveSync, second == unusedTerm
	copy(t.claim[:], claim)
	return t
}

// holdTerm makes a home one that holds a term.
func (h *home) holdTerm(t heldTerm) error {
	return writeFile(h.path(termFile), []byte(t.text()), 0o600)
}
