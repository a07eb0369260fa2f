package sidecartest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rustyonions/ron-ledger/store"
)

// Found is how damage to a home came to light, or that it did no harm.
type Found string

// What can become of a damaged home. Silent must never be.
const (
	FoundHarmless Found = "harmless"       // everything acknowledged is there and right
	FoundRefused  Found = "start refused"  // with an error
	FoundSafeMode Found = "safe mode"      // what is missing is named
	FoundStopped  Found = "stopped"        // Fatal was called
	FoundAudit    Found = "found by audit" // by CheckLedger, or by the answer to a read
	FoundSilent   Found = "SILENT LOSS"
)

// Inspect opens a damaged home that held the story up to acked and says what a person would
// see, in words too. The file system is used up.
func (s *Story) Inspect(fs *store.FS, dir string, acked uint64) (Found, error) {
	at := &progress{}
	at.acked.Store(acked)
	at.sent.Store(acked)
	l, err := s.begin(fs, dir, at)
	switch {
	case errors.Is(err, errStopped):
		return FoundStopped, err
	case err != nil:
		return FoundRefused, err
	}
	head := l.committer.Head()
	found, why := FoundHarmless, error(nil)
	if loss := l.committer.Loss(); loss != nil {
		found, why = FoundSafeMode, loss
		if loss.What == "" || head.Size < acked && loss.First > 0 && (loss.First != head.Size+1 || loss.Last > acked) {
			found, why = FoundSilent, fmt.Errorf("safe mode at %d of %d names %d to %d: %w", head.Size, acked, loss.First, loss.Last, loss)
		}
	} else if head.Size != acked || head.Root != s.roots[acked] {
		found, why = FoundSilent, fmt.Errorf("the log ends at %d with root %s, %d was acknowledged with %s", head.Size, head.Root, acked, s.roots[acked])
	} else if err := CheckLedger(l.store); err != nil {
		found, why = FoundAudit, err
	}
	if err := l.close(); err != nil && found == FoundHarmless {
		found, why = FoundAudit, err
	}
	return found, why
}

// fileKind names what a file of a home is, for a table.
func fileKind(path string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	within := "home"
	for _, dir := range []string{"log", "state"} {
		if strings.Contains(path, "/"+dir+"/") {
			within = dir
		}
	}
	switch {
	case strings.HasSuffix(base, ".log"):
		return within + " WAL"
	case strings.HasSuffix(base, ".sst"):
		return within + " table"
	case strings.HasPrefix(base, "MANIFEST"):
		return within + " MANIFEST"
	case strings.HasPrefix(base, "OPTIONS"):
		return within + " OPTIONS"
	case strings.HasPrefix(base, "marker."):
		return within + " marker"
	}
	return within + " " + base
}
