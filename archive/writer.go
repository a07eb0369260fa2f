package archive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// WriterOptions says what is archived and where.
type WriterOptions struct {
	Store *store.Store
	Dir   string    // of the archive; the log gets a folder in it
	FS    *store.FS // nil = the disk

	// Signer and Verifier are those of the ledger's checkpoints, named by the origin.
	Signer   note.Signer
	Verifier note.Verifier
	// FrontierAt returns the frontier of the first size records of the log.
	FrontierAt func(size uint64) (merkle.Frontier, error)
}

// Writer ships what is durable to an archive. Ship is for one goroutine; Archived may be called from
// any.
type Writer struct {
	options WriterOptions
	objects *store.Objects
	logID   [16]byte
	kind    merkle.HashKind

	// Invariant, while opened: head is what the archive holds, signed and on disk, and frontier
	// that of its size.
	opened   bool
	frontier merkle.Frontier
	raw      []byte
	target   int // a segment ends behind the commit with which it has so many bytes

	mu   sync.Mutex
	head Head
}

// AheadError says that an archive holds more than the log, or another log: records that were
// durable are lost.
type AheadError struct {
	Path       string
	Size       uint64 // of the log
	Archived   uint64
	Root, Here merkle.Hash // where sizes do not tell: at Archived, in the archive and in the log
}

func (e *AheadError) Error() string {
	if e.Archived > e.Size {
		return fmt.Sprintf("the archive %s holds %d entries and the log ends at %d: entries %d to %d were durable and are lost here",
			e.Path, e.Archived, e.Size, e.Size+1, e.Archived)
	}
	return fmt.Sprintf("the archive %s has root %v at size %d, the log has %v: this is another log", e.Path, e.Root, e.Archived, e.Here)
}

// NewWriter returns a writer. It touches nothing before Ship.
func NewWriter(o WriterOptions) (*Writer, error) {
	_, id, kind, err := merkle.ParseOrigin(o.Signer.Name())
	if err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	return &Writer{
		options: o, logID: id, kind: kind, objects: store.NewObjects(o.FS, logDir(o.Dir, id)), target: segmentRawTarget,
	}, nil
}

func logDir(dir string, id [16]byte) string { return dir + "/" + hex.EncodeToString(id[:]) }

// Archived returns what the archive holds, as of the last Ship that found out; zero before.
func (w *Writer) Archived() Head {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

// Ship brings the archive up to what is durable now, or returns why not: the next call goes on from
// what the archive holds then. *AheadError is for good.
func (w *Writer) Ship(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			w.opened = false // whatever was being written may be there or not: look again
		}
	}()
	tail, err := w.options.Store.Last()
	if err != nil {
		return fmt.Errorf("archive the log: %w", err)
	}
	if !w.opened {
		if err := w.open(tail); err != nil {
			return fmt.Errorf("open the archive: %w", err)
		}
		w.opened = true
	}
	for head := w.Archived(); head.Size < tail.Size; head = w.Archived() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("archive the log from %d: %w", head.Size+1, err)
		}
		if err := w.ship(head); err != nil {
			return fmt.Errorf("archive the log from %d: %w", head.Size+1, err)
		}
	}
	return nil
}

// ship makes the next segment.
func (w *Writer) ship(head Head) error {
	s := &Segment{LogID: w.logID, Genesis: w.options.Store.Meta().LogID, Hash: w.kind, First: head.Size + 1, Before: head.Root}
	raw := w.raw[:0]
	for c, err := range w.options.Store.Commits(s.First) {
		if err != nil {
			return err
		}
		if err := w.grow(c); err != nil {
			return err
		}
		s.Last, s.Root, s.TimeMs = c.Last(), c.Root, c.TimeMs
		s.Commits++
		if raw = appendCommit(raw, c); len(raw) >= w.target {
			break
		}
	}
	w.raw = raw
	if cap(raw) > 4*segmentRawTarget { // one large commit is no reason to keep so much
		w.raw = nil
	}
	var err error
	s.Checkpoint, err = merkle.Checkpoint{Origin: w.options.Signer.Name(), Size: s.Last, Root: s.Root}.Sign(w.options.Signer)
	if err != nil {
		return err
	}
	object, err := s.encode(raw)
	if err != nil {
		return err
	}
	if err := w.objects.Create(SegmentName(s.First), object); err != nil {
		return err
	}
	return w.advance(head.with(s))
}

// with returns the head behind one more segment.
func (h Head) with(s *Segment) Head {
	h.Size, h.Root, h.TimeMs = s.Last, s.Root, s.TimeMs
	h.Segments++
	h.Bytes += uint64(s.bytes)
	h.LastFirst, h.LastSum = s.First, s.sum
	return h
}

// advance makes a head the one that counts.
func (w *Writer) advance(head Head) error {
	signed, err := head.sign(w.options.Signer)
	if err != nil {
		return err
	}
	if err := w.objects.Replace(headName, signed); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.head = head
	return nil
}

// grow adds a commit of the log to the frontier, if it follows and its root is that of its records.
func (w *Writer) grow(c *store.Commit) error {
	if c.First != w.frontier.Size()+1 {
		return fmt.Errorf("the log has a commit that begins at %d, where one should begin at %d", c.First, w.frontier.Size()+1)
	}
	start := uint32(0)
	for _, end := range c.Ends {
		w.frontier.Add(w.kind.Leaf(c.Records[start:end]))
		start = end
	}
	if root := w.frontier.Root(); root != merkle.Hash(c.Root) {
		return fmt.Errorf("the root of the commit at %d is %x in the log, its records give %v: the log is damaged, and this is not archived", c.First, c.Root, root)
	}
	return nil
}

// open finds out what the archive holds and compares it with the log.
func (w *Writer) open(tail store.Tail) error {
	if err := w.objects.Make(); err != nil {
		return err
	}
	head, err := w.storedHead()
	if err != nil {
		return err
	}
	listed, err := listSegments(w.objects)
	if err != nil {
		return err
	}
	later, err := checkListed(w.objects, head, listed)
	if err != nil {
		return err
	}
	if err := w.compare(head, tail); err != nil {
		return err
	}
	if tail.First > head.Size+1 {
		return fmt.Errorf("%s ends at %d, and the log begins at %d: the entries between are in neither; use the archive that has them",
			w.objects.Path(""), head.Size, tail.First)
	}
	w.mu.Lock()
	w.head = *head
	w.mu.Unlock()
	for _, first := range later {
		if err := w.adopt(first, tail); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) storedHead() (*Head, error) {
	b, err := w.objects.Read(headName, headBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return &Head{Origin: w.options.Signer.Name(), Root: w.kind.Empty()}, nil
	}
	var head *Head
	if err == nil {
		head, err = openHead(b, w.options.Verifier)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: the segments tell the same, so that it is made again when it is taken away", w.objects.Path(headName), err)
	}
	return head, nil
}

// compare holds the archive's size and root against the log, and takes its frontier.
func (w *Writer) compare(head *Head, tail store.Tail) error {
	if head.Size > tail.Size {
		return &AheadError{Path: w.objects.Path(""), Size: tail.Size, Archived: head.Size}
	}
	frontier, err := w.options.FrontierAt(head.Size)
	if err != nil {
		return fmt.Errorf("compute the root at size %d: %w", head.Size, err)
	}
	if root := frontier.Root(); root != head.Root {
		return &AheadError{Path: w.objects.Path(""), Size: tail.Size, Archived: head.Size, Root: head.Root, Here: root}
	}
	w.frontier = frontier
	return nil
}

// adopt takes a segment that the head does not know yet: what was written when a process ended
// before it could replace the head.
func (w *Writer) adopt(first uint64, tail store.Tail) error {
	s, err := readSegment(w.objects, first, w.options.Verifier)
	if err != nil {
		return err
	}
	head := w.Archived()
	if err := s.follows(head.Size, head.Root, w.logID); err != nil {
		return fmt.Errorf("%s: %w", w.objects.Path(SegmentName(first)), err)
	}
	if s.Last > tail.Size {
		return &AheadError{Path: w.objects.Path(""), Size: tail.Size, Archived: s.Last}
	}
	for c, err := range w.options.Store.Commits(s.First) {
		if err != nil {
			return err
		}
		if c.First > s.Last {
			break
		}
		if err := w.grow(c); err != nil {
			return err
		}
	}
	if here := w.frontier.Root(); w.frontier.Size() != s.Last || here != s.Root {
		return &AheadError{Path: w.objects.Path(SegmentName(first)), Size: tail.Size, Archived: s.Last, Root: s.Root, Here: here}
	}
	return w.advance(head.with(s))
}
