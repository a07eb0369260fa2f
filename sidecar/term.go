package sidecar

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
}

func (t heldTerm) text() string {
	mode := archiveAsync
	if t.sync {
		mode = archiveSync
	}
	return fmt.Sprintf("term %d %s\n", t.term, mode)
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
	mode := ""
	_, err = fmt.Sscanf(string(text), "term %d %s\n", &t.term, &mode)
	if t.sync = mode == archiveSync; err != nil || t.term == 0 || t.text() != string(text) {
		return t, fmt.Errorf("%s is damaged: what this home may write to its archive cannot be told: adopt the archive into an empty home (archive.adopt)", h.path(termFile))
	}
	return t, nil
}

// holdTerm makes a home one that holds a term.
func (h *home) holdTerm(t heldTerm) error {
	return writeFile(h.path(termFile), []byte(t.text()), 0o600)
}
