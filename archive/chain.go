package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// checkListed holds the listed places against the head and returns those that the head does not
// know yet, which need not be of the chain. Where one is missing the others are opened to say which.
func (f folder) checkListed(ctx context.Context, head *Head, chain []slot) (later []slot, err error) {
	if head.Segments == 0 {
		return chain, nil
	}
	known, found := slices.BinarySearchFunc(chain, head.last(), slot.compare)
	if !found {
		return nil, fmt.Errorf("%s is missing: the head knows it as the last of %d segments", f.path(head.last().name()), head.Segments)
	}
	known++
	if uint64(known) != head.Segments {
		return nil, fmt.Errorf("there are %d of %d segments: %w", known, head.Segments, f.findHole(ctx, chain[:known]))
	}
	last, err := f.segment(ctx, head.last(), nil)
	if err != nil {
		return nil, err
	}
	if last.sum != head.LastSum || last.Last != head.Size || last.Root != head.Root || last.Term != head.Term {
		return nil, fmt.Errorf("%s is not the segment that the head knows", f.path(head.last().name()))
	}
	return chain[known:], nil
}

// behind returns the listed places that lie behind the end of the chain, where the next segment would be at end: what was
// on its way when its writer ended, and what should lie before it never arrived. It is not of the chain, nor will be once the
// term has ended. More than can have been on its way is a chain with a hole.
func (f folder) behind(listed []slot, end slot) (left []slot, err error) {
	for _, at := range listed {
		if at.compare(end) > 0 {
			left = append(left, at)
		}
	}
	if len(left) > 0 && (len(left) >= UploadsMax || left[len(left)-1].term > end.term) {
		return nil, fmt.Errorf("%s is missing, and %d segments are listed behind it", f.path(end.name()), len(left))
	}
	return left, nil
}

// findHole names the first place where segments do not follow each other.
func (f folder) findHole(ctx context.Context, chain []slot) error {
	next := slot{1, firstTerm}
	for _, at := range chain {
		if at != next {
			break
		}
		s, err := f.segment(ctx, at, nil)
		if err != nil {
			return err
		}
		next = s.next()
	}
	return fmt.Errorf("%s is missing, or one before it is damaged", f.path(next.name()))
}

// segment reads a segment and checks its checksum and, with a key, its checkpoint. Where there is
// none it is fs.ErrNotExist.
func (f folder) segment(ctx context.Context, at slot, key note.Verifier) (*Segment, error) {
	name := at.name()
	b, _, err := f.objects.Read(ctx, f.key(name), segmentBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: %w", f.path(name), err)
	}
	if err != nil {
		return nil, err
	}
	s, err := decodeSegment(name, b)
	if err == nil {
		_, err = s.signed(key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path(name), err)
	}
	return s, nil
}

// signed returns the checkpoint at the end of the segment; with a key it has to be signed by it.
func (s *Segment) signed(key note.Verifier) (c merkle.Checkpoint, err error) {
	if key != nil {
		c, err = merkle.OpenCheckpoint(s.Checkpoint, key)
	} else {
		c, err = merkle.ParseCheckpoint([]byte(unchecked(s.Checkpoint)))
	}
	if err == nil && (c.Size != s.Last || c.Root != s.Root) {
		err = fmt.Errorf("its checkpoint is of size %d, root %v, and its end is at %d, root %v", c.Size, c.Root, s.Last, s.Root)
	}
	return c, err
}

// follows checks that a segment goes on behind the first size records, of that root.
func (s *Segment) follows(size uint64, root merkle.Hash, id [16]byte) error {
	switch {
	case s.LogID != id:
		return fmt.Errorf("it belongs to log %x", s.LogID)
	case s.First != size+1:
		return fmt.Errorf("it begins at %d, and the segment before it ends at %d: one is missing, or one is there twice", s.First, size)
	case s.Before != root:
		return fmt.Errorf("the root before it is %v, the segment before it ends with %v", s.Before, root)
	}
	return nil
}
