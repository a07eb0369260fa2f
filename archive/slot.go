package archive

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// slot is a place in the chain of an archive, which one object can have: the first sequence number
// behind the object before it, and the term in force there.
type slot struct {
	first uint64
	term  uint64
}

const (
	segmentPrefix = "segment-"
	firstTerm     = 1
)

// SegmentName returns the name of the segment of the first term that begins with a sequence number.
func SegmentName(first uint64) string { return slot{first, firstTerm}.name() }

// name returns the name of the object there.
func (s slot) name() string {
	if s.term == firstTerm {
		return fmt.Sprintf("%s%020d", segmentPrefix, s.first)
	}
	return fmt.Sprintf("%s%020d.%020d", segmentPrefix, s.first, s.term)
}

func isSegment(name string) bool { return strings.HasPrefix(name, segmentPrefix) }

// parseSlot is the inverse of name.
func parseSlot(name string) (s slot, ok bool) {
	numbers, ok := strings.CutPrefix(name, segmentPrefix)
	first, term, later := strings.Cut(numbers, ".")
	s.first, s.term = number(first), firstTerm
	if later {
		s.term = number(term)
	}
	return s, ok && s.first > 0 && s.term > 0 && s.name() == name
}

// number returns 0 for what is none.
func number(digits string) uint64 {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// compare orders places as the chain has them.
func (s slot) compare(t slot) int {
	return cmp.Or(cmp.Compare(s.term, t.term), cmp.Compare(s.first, t.first))
}
