package archive

import (
	"context"
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
	folder folder
	key    note.Verifier // nil: signatures are not checked
	head   Head
	slots  []slot // of the chain
	last   *Segment
	read   shelf    // by Record
	claim  [16]byte // of the fence that TakeOver makes
}

// readerShelf bounds what Record keeps, in bytes.
const readerShelf = 64 << 20

// OpenReader opens the archive of a log. key checks what is signed; nil takes it unchecked.
// It lists the segments and reads the head and the last segments; the others are checked when they
// are read. What the place does not answer is *UnavailableError.
func OpenReader(ctx context.Context, objects Objects, id [16]byte, key note.Verifier) (*Reader, error) {
	r := &Reader{folder: folderOf(reading{objects}, id), key: key, read: shelf{limit: readerShelf}}
	if err := r.open(ctx, id); err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	return r, nil
}

// tailMax is how many of the listed places may lie behind a gap: the last of either of the last two terms.
const tailMax = 2 * (UploadsMax - 1)

func (r *Reader) open(ctx context.Context, id [16]byte) error {
	head := &Head{Term: firstTerm, LastTerm: firstTerm} // lost: the segments tell the same
	signed, _, err := r.folder.head(ctx)
	if err != nil {
		return err
	}
	if signed != nil {
		if head, err = openHead(signed, r.key); err != nil {
			return fmt.Errorf("%s: %w", r.folder.path(headName), err)
		}
	}
	listed, err := r.folder.slots(ctx)
	if err != nil {
		return err
	}
	later, err := r.folder.checkListed(ctx, head, listed)
	if err != nil {
		return err
	}
	// From here on each segment says where the next one is.
	sure := max(len(listed)-len(later), len(listed)-tailMax, 0)
	switch {
	case sure > 0:
		r.slots = slices.Clone(listed[:sure])
		err = r.openLast(ctx, head, r.slots[sure-1], id)
	case signed != nil:
		err = r.openEmpty(head, id)
	default:
		if err = r.openLast(ctx, head, slot{1, firstTerm}, id); errors.Is(err, fs.ErrNotExist) && len(listed) == 0 {
			err = fmt.Errorf("%s: %w", r.folder.path(""), ErrNothing)
		}
	}
	if err == nil {
		err = r.follow(ctx)
	}
	if err == nil {
		_, err = r.folder.behind(listed, r.last.next())
	}
	return err
}

// openLast opens the archive at a segment that is in the chain.
func (r *Reader) openLast(ctx context.Context, head *Head, at slot, id [16]byte) error {
	s, err := r.folder.segment(ctx, at, r.key)
	if err != nil {
		return err
	}
	if s.LogID != id {
		return fmt.Errorf("%s belongs to log %x", r.folder.path(at.name()), s.LogID)
	}
	note, err := s.signed(r.key)
	if err != nil {
		return err
	}
	r.head = *head
	r.head.Origin = note.Origin
	r.advance(s)
	return nil
}

// ErrNothing means that a folder is no archive: there is neither a head nor a segment. Its writer has not got
// as far as to make one.
var ErrNothing = errors.New("there is neither a head nor a segment")

// openEmpty opens the archive of a log that has no entry yet: all that is to be known is in the head. Such a
// log is of the ledger's first epoch, since a later one begins behind the one before.
func (r *Reader) openEmpty(head *Head, id [16]byte) error {
	_, logID, kind, err := merkle.ParseOrigin(head.Origin)
	if err == nil && (logID != id || head.Size != 0 || head.Root != kind.Empty()) {
		err = fmt.Errorf("it is of log %x with %d entries, and there is no segment", logID, head.Size)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.folder.path(headName), err)
	}
	r.head = *head
	r.last = &Segment{LogID: id, Genesis: id, Hash: kind, Before: kind.Empty(), Root: kind.Empty(), Term: head.Term}
	return nil
}

// advance takes a segment as the last one.
func (r *Reader) advance(s *Segment) {
	if len(r.slots) == 0 || r.slots[len(r.slots)-1] != s.at {
		r.slots = append(r.slots, s.at)
	}
	r.last = s
	r.head.Size, r.head.Root, r.head.TimeMs, r.head.Term = s.Last, s.Root, s.TimeMs, s.Term
}

// follow takes up what lies behind the last segment: what a list does not show yet, or what was
// written meanwhile.
func (r *Reader) follow(ctx context.Context) error {
	for {
		s, err := r.segment(ctx, r.last.next(), r.last)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		r.advance(s)
	}
}

// Head returns what the archive holds, up to its last segment.
func (r *Reader) Head() Head { return r.head }

// Successor returns the log id under which the ledger went on where its epoch was ended by a take-over;
// zero where it was not.
func (r *Reader) Successor() [16]byte { return r.last.Successor }

// Genesis returns the log id of the ledger's first epoch.
func (r *Reader) Genesis() [16]byte { return r.last.Genesis }

// Last returns the checkpoint at the end: a signed note.
func (r *Reader) Last() []byte { return r.last.Checkpoint }

// Hash returns the hash of the tree.
func (r *Reader) Hash() merkle.HashKind { return r.last.Hash }

// Commits yields the archived commits in order, from the one that holds sequence number from. Each
// segment is checked: its checksum, its signature, its place and its roots before and behind. The
// Commit holds until the next step. An error names the object and ends the iteration.
func (r *Reader) Commits(ctx context.Context, from uint64) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		at := max(r.segmentOf(max(from, 1)), 0)
		var before *Segment
		for _, place := range r.slots[at:] {
			s, err := r.segment(ctx, place, before)
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
	behind, _ := slices.BinarySearchFunc(r.slots, seq, func(at slot, seq uint64) int {
		if at.first <= seq {
			return -1
		}
		return 1
	})
	return behind - 1
}

// segment reads a segment and checks that it follows the one before it, where that is known.
func (r *Reader) segment(ctx context.Context, at slot, before *Segment) (*Segment, error) {
	s, err := r.folder.segment(ctx, at, r.key)
	if err != nil {
		return nil, err
	}
	size, root := uint64(0), s.Hash.Empty()
	id := s.LogID
	switch {
	case before != nil:
		size, root, id = before.Last, before.Root, before.LogID
	case at != r.slots[0]:
		size, root = s.First-1, s.Before
	}
	if r.last != nil {
		id = r.last.LogID
	}
	if err := s.follows(size, root, id); err != nil {
		return nil, fmt.Errorf("%s: %w", r.folder.path(at.name()), err)
	}
	return s, nil
}

// Record appends a record to dst and returns the result. It keeps segments that it has read.
func (r *Reader) Record(ctx context.Context, seq uint64, dst []byte) ([]byte, error) {
	if seq == 0 || seq > r.head.Size {
		return dst, fmt.Errorf("read record %d of the archive: %w", seq, store.ErrNotFound)
	}
	u := r.read.get(seq)
	if u == nil {
		s, err := r.segment(ctx, r.slots[max(r.segmentOf(seq), 0)], nil)
		if err == nil {
			u, err = s.unpack()
		}
		if err == nil && !u.has(seq) {
			err = fmt.Errorf("%s ends at %d: %w", r.folder.path(s.at.name()), s.Last, store.ErrNotFound)
		}
		if err != nil {
			return dst, fmt.Errorf("read record %d of the archive: %w", seq, err)
		}
		r.read.put(u)
	}
	return append(dst, u.record(seq).Bytes...), nil
}

// Verify computes every root again from the records. progress, where it is not nil, is called from
// time to time.
func (r *Reader) Verify(ctx context.Context, progress func(done, size uint64)) error {
	frontier := merkle.NewFrontier(r.Hash())
	var leaves []merkle.Hash
	for c, err := range r.Commits(ctx, 1) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		leaves = r.Hash().AppendLeaves(leaves[:0], c.Records, c.Ends)
		frontier.AddAll(leaves)
		if root := frontier.Root(); root != merkle.Hash(c.Root) {
			name := r.slots[max(r.segmentOf(c.First), 0)].name()
			return fmt.Errorf("%s: entries %d to %d: the root of their commit is %x, the records give %v",
				r.folder.path(name), c.First, c.Last(), c.Root, root)
		}
		if progress != nil {
			progress(c.Last(), r.head.Size)
		}
	}
	return nil
}
