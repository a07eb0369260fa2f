package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// Reader reads the archive of one log. It is not safe for concurrent use.
type Reader struct {
	objects *store.Objects
	key     note.Verifier // nil: signatures are not checked
	head    Head
	firsts  []uint64 // of the segments
	last    *Segment
	cached  *Segment // the one that Record read last
	records []store.Commit
}

// Logs returns the log ids that have a folder in an archive.
func Logs(dir string) (ids [][16]byte, err error) {
	names, err := store.NewObjects(nil, dir).Names("")
	for _, name := range names {
		if id, err := hex.DecodeString(name); err == nil && len(id) == 16 {
			ids = append(ids, [16]byte(id))
		}
	}
	return ids, err
}

// OpenReader opens the archive of a log in dir. key checks what is signed; nil takes it unchecked.
// It lists the segments and reads the head and the last segment; the others are checked when they
// are read.
func OpenReader(fsys *store.FS, dir string, id [16]byte, key note.Verifier) (*Reader, error) {
	r := &Reader{objects: store.NewObjects(fsys, logDir(dir, id)), key: key}
	if err := r.open(id); err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	return r, nil
}

func (r *Reader) open(id [16]byte) error {
	var head *Head
	b, err := r.objects.Read(headName, headBytesMax)
	if err == nil {
		if head, err = openHead(b, r.key); err != nil {
			return fmt.Errorf("%s: %w", r.objects.Path(headName), err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if r.firsts, err = listSegments(r.objects); err != nil {
		return err
	}
	if head == nil {
		head = new(Head) // lost: the segments tell the same
	}
	if _, err := checkListed(r.objects, head, r.firsts); err != nil {
		return err
	}
	if len(r.firsts) == 0 {
		return fmt.Errorf("%s holds no segment", r.objects.Path(""))
	}
	if r.last, err = readSegment(r.objects, r.firsts[len(r.firsts)-1], r.key); err != nil {
		return err
	}
	if r.last.LogID != id {
		return fmt.Errorf("%s belongs to log %x", r.objects.Path(SegmentName(r.last.First)), r.last.LogID)
	}
	signed, err := r.last.signed(r.key)
	if err != nil {
		return err
	}
	r.head = *head
	r.head.Origin, r.head.Size, r.head.Root, r.head.TimeMs = signed.Origin, r.last.Last, r.last.Root, r.last.TimeMs
	return nil
}

// Head returns what the archive holds, up to its last segment.
func (r *Reader) Head() Head { return r.head }

// Genesis returns the log id of the ledger's first epoch.
func (r *Reader) Genesis() [16]byte { return r.last.Genesis }

// Last returns the checkpoint at the end: a signed note.
func (r *Reader) Last() []byte { return r.last.Checkpoint }

// Hash returns the hash of the tree.
func (r *Reader) Hash() merkle.HashKind { return r.last.Hash }

// Commits yields the archived commits in order, from the one that holds sequence number from. Each
// segment is checked: its checksum, its signature, its place and its roots before and behind. The
// Commit holds until the next step. An error names the object and ends the iteration.
func (r *Reader) Commits(from uint64) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		at := max(r.segmentOf(max(from, 1)), 0)
		var before *Segment
		for _, first := range r.firsts[at:] {
			s, err := r.segment(first, before)
			if err != nil {
				yield(nil, err)
				return
			}
			for c, err := range s.All() {
				if err == nil && c.Last() < from {
					continue
				}
				if !yield(c, err) || err != nil {
					return
				}
			}
			before = s
		}
	}
}

// segmentOf returns the index of the last segment that begins at or before seq.
func (r *Reader) segmentOf(seq uint64) int {
	at, found := slices.BinarySearch(r.firsts, seq)
	if found {
		return at
	}
	return at - 1
}

// segment reads a segment and checks that it follows the one before it, where that is known.
func (r *Reader) segment(first uint64, before *Segment) (*Segment, error) {
	s, err := readSegment(r.objects, first, r.key)
	if err != nil {
		return nil, err
	}
	size, root := uint64(0), s.Hash.Empty()
	switch {
	case before != nil:
		size, root = before.Last, before.Root
	case first > r.firsts[0]:
		size, root = s.First-1, s.Before
	}
	if err := s.follows(size, root, r.last.LogID); err != nil {
		return nil, fmt.Errorf("%s: %w", r.objects.Path(SegmentName(first)), err)
	}
	return s, nil
}

// Record appends a record to dst and returns the result.
func (r *Reader) Record(seq uint64, dst []byte) ([]byte, error) {
	if seq == 0 || seq > r.head.Size {
		return dst, fmt.Errorf("read record %d of the archive: %w", seq, store.ErrNotFound)
	}
	if s := r.cached; s == nil || seq < s.First || seq > s.Last {
		if err := r.cache(r.firsts[max(r.segmentOf(seq), 0)]); err != nil {
			return dst, fmt.Errorf("read record %d of the archive: %w", seq, err)
		}
	}
	at, found := slices.BinarySearchFunc(r.records, seq, func(c store.Commit, seq uint64) int {
		if c.Last() < seq {
			return -1
		} else if c.First > seq {
			return 1
		}
		return 0
	})
	if !found {
		return dst, fmt.Errorf("read record %d of the archive: %w", seq, store.ErrNotFound)
	}
	c, start := &r.records[at], uint32(0)
	i := seq - c.First
	if i > 0 {
		start = c.Ends[i-1]
	}
	return append(dst, c.Records[start:c.Ends[i]]...), nil
}

func (r *Reader) cache(first uint64) error {
	s, err := r.segment(first, nil)
	if err != nil {
		return err
	}
	r.cached, r.records = nil, r.records[:0]
	for c, err := range s.All() {
		if err != nil {
			return err
		}
		kept := *c
		kept.Ends, kept.Groups = slices.Clone(c.Ends), nil
		r.records = append(r.records, kept)
	}
	r.cached = s
	return nil
}

// Verify computes every root again from the records. progress, where it is not nil, is called from
// time to time.
func (r *Reader) Verify(ctx context.Context, progress func(done, size uint64)) error {
	frontier := merkle.NewFrontier(r.Hash())
	for c, err := range r.Commits(1) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		start := uint32(0)
		for _, end := range c.Ends {
			frontier.Add(r.Hash().Leaf(c.Records[start:end]))
			start = end
		}
		if root := frontier.Root(); root != merkle.Hash(c.Root) {
			name := SegmentName(r.firsts[max(r.segmentOf(c.First), 0)])
			return fmt.Errorf("%s: entries %d to %d: the root of their commit is %x, the records give %v",
				r.objects.Path(name), c.First, c.Last(), c.Root, root)
		}
		if progress != nil {
			progress(c.Last(), r.head.Size)
		}
	}
	return nil
}

// listSegments returns the first sequence numbers of the segments, sorted.
func listSegments(objects *store.Objects) ([]uint64, error) {
	names, err := objects.Names(segmentPrefix)
	if err != nil {
		return nil, err
	}
	firsts := make([]uint64, 0, len(names))
	for _, name := range names {
		first, ok := segmentFirst(name)
		if !ok {
			return nil, fmt.Errorf("%s has no name of a segment: take it away", objects.Path(name))
		}
		firsts = append(firsts, first)
	}
	return firsts, nil
}

// checkListed holds the list of segments against the head and returns those that the head does not
// know yet. Where one is missing the others are opened to say which.
func checkListed(objects *store.Objects, head *Head, firsts []uint64) (later []uint64, err error) {
	known, found := slices.BinarySearch(firsts, head.LastFirst)
	if head.Segments == 0 {
		known = 0
	} else if found {
		known++
	}
	if head.Segments > 0 && !found {
		return nil, fmt.Errorf("%s is missing: the head knows it as the last of %d segments", objects.Path(SegmentName(head.LastFirst)), head.Segments)
	}
	if uint64(known) != head.Segments {
		return nil, fmt.Errorf("there are %d of %d segments: %w", known, head.Segments, findHole(objects, firsts[:known]))
	}
	if head.Segments == 0 {
		return firsts, nil
	}
	last, err := readSegment(objects, head.LastFirst, nil)
	if err != nil {
		return nil, err
	}
	if last.sum != head.LastSum || last.Last != head.Size || last.Root != head.Root {
		return nil, fmt.Errorf("%s is not the segment that the head knows", objects.Path(SegmentName(head.LastFirst)))
	}
	return firsts[known:], nil
}

// findHole names the first place where segments do not follow each other.
func findHole(objects *store.Objects, firsts []uint64) error {
	next := uint64(1)
	for _, first := range firsts {
		if first != next {
			break
		}
		s, err := readSegment(objects, first, nil)
		if err != nil {
			return err
		}
		next = s.Last + 1
	}
	return fmt.Errorf("%s is missing, or one before it is damaged", objects.Path(SegmentName(next)))
}

// readSegment reads a segment and checks its checksum and, with a key, its checkpoint.
func readSegment(objects *store.Objects, first uint64, key note.Verifier) (*Segment, error) {
	name := SegmentName(first)
	b, err := objects.Read(name, segmentBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: %w", objects.Path(name), err)
	}
	if err != nil {
		return nil, err
	}
	s, err := decodeSegment(name, b)
	if err == nil {
		_, err = s.signed(key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", objects.Path(name), err)
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
