package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// WriterOptions says what is archived and where.
type WriterOptions struct {
	Store   *store.Store
	Objects Objects // the log gets a folder there
	Term    uint64  // that the ledger holds; 0 = the first

	// Shipped, where it is not nil, is called with the size that the archive holds, behind each segment.
	Shipped func(size uint64)
	// Sync is what the head says: nothing is acknowledged that is not archived.
	Sync bool
	// LazyHead leaves the head behind the segments until Settle, or until they are many.
	LazyHead bool

	// Signer and Verifier are those of the ledger's checkpoints, named by the origin.
	Signer   note.Signer
	Verifier note.Verifier
	// FrontierAt returns the frontier of the first size records of the log.
	FrontierAt func(size uint64) (merkle.Frontier, error)
}

// Writer ships what is durable to an archive. Ship and Settle are for one goroutine; Archived may be
// called from any.
type Writer struct {
	options WriterOptions
	folder  folder
	logID   [16]byte
	kind    merkle.HashKind

	// Invariant, while opened: head is what the archive holds, and frontier that of its size. The head
	// that is stored has that version and lags by so many segments.
	opened   bool
	frontier merkle.Frontier
	version  string
	lag      int
	sync     bool // as the stored head says
	raw      []byte
	target   int // a segment ends behind the commit with which it has so many bytes
	part     int // bytes of a part of a snapshot

	mu   sync.Mutex
	head Head
}

// headLag is how many segments the stored head may lag behind. Whoever opens the archive reads them.
const headLag = 64

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
	o.Term = max(o.Term, firstTerm)
	return &Writer{options: o, logID: id, kind: kind, folder: folderOf(o.Objects, id), target: segmentRawTarget, part: snapshotPartBytes}, nil
}

// Archived returns what the archive holds, as of the last Ship that found out; zero before.
func (w *Writer) Archived() Head {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

// Ship brings the archive up to what is durable now, or returns why not: the next call goes on from
// what the archive holds then. *AheadError and *FencedError are for good.
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
		if err := w.open(ctx, tail); err != nil {
			return fmt.Errorf("open the archive: %w", err)
		}
		w.opened = true
	}
	for head := w.Archived(); head.Size < tail.Size; head = w.Archived() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("archive the log from %d: %w", head.Size+1, err)
		}
		if err := w.ship(ctx, head); err != nil {
			return fmt.Errorf("archive the log from %d: %w", head.Size+1, err)
		}
		if w.lag >= headLag {
			if err := w.settle(ctx); err != nil {
				return err
			}
		}
	}
	if w.options.LazyHead {
		return nil
	}
	return w.settle(ctx)
}

// Settle brings the stored head up to the segments.
func (w *Writer) Settle(ctx context.Context) error {
	if !w.opened {
		return nil
	}
	err := w.settle(ctx)
	w.opened = err == nil
	return err
}

// Confirm asks the archive whether the place of the next segment is still free, so that the term is the writer's yet:
// nothing tells before something is shipped. It is for a log that is archived whole.
func (w *Writer) Confirm(ctx context.Context) error {
	w.opened = false
	if err := w.Ship(ctx); err != nil {
		return err
	}
	return w.Settle(ctx)
}

// ship makes the next segment.
func (w *Writer) ship(ctx context.Context, head Head) error {
	s := &Segment{
		LogID: w.logID, Genesis: w.options.Store.Meta().LogID, Hash: w.kind,
		First: head.Size + 1, Before: head.Root, Term: head.Term, at: head.next(),
	}
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
	return w.put(ctx, s, raw)
}

// put writes a segment at its place, and takes it as the end of the archive.
func (w *Writer) put(ctx context.Context, s *Segment, raw []byte) error {
	object, err := s.seal(raw, w.options.Signer)
	if err != nil {
		return err
	}
	err = w.folder.create(ctx, s.at, object)
	if taken := new(errTaken); errors.As(err, &taken) && taken.segment.Term > w.options.Term {
		return w.fenced(taken.segment.Term, s.First-1)
	}
	if err != nil {
		return err
	}
	w.advance(s)
	return nil
}

// seal signs the end of a segment and returns the object.
func (s *Segment) seal(raw []byte, key note.Signer) (object []byte, err error) {
	s.Checkpoint, err = merkle.Checkpoint{Origin: key.Name(), Size: s.Last, Root: s.Root}.Sign(key)
	if err != nil {
		return nil, err
	}
	return s.encode(raw)
}

// with returns the head behind one more segment.
func (h Head) with(s *Segment) Head {
	h.Size, h.Root, h.TimeMs, h.Term = s.Last, s.Root, s.TimeMs, s.Term
	h.Segments++
	h.Bytes += uint64(s.bytes)
	h.LastFirst, h.LastTerm, h.LastSum = s.First, s.at.term, s.sum
	return h
}

// advance takes a segment that is in the archive as its end.
func (w *Writer) advance(s *Segment) {
	w.lag++
	w.mu.Lock()
	w.head = w.head.with(s)
	w.mu.Unlock()
	if w.options.Shipped != nil {
		w.options.Shipped(s.Last)
	}
}

// settle is Settle. Where another head was stored meanwhile it says whose.
func (w *Writer) settle(ctx context.Context) error {
	if w.lag == 0 && w.sync == w.options.Sync && w.version != "" { // one of an empty log is stored, too
		return nil
	}
	head := w.Archived()
	head.Sync = w.options.Sync
	signed, err := head.sign(w.options.Signer)
	if err != nil {
		return err
	}
	version, err := w.folder.objects.Put(ctx, w.folder.key(headName), signed, w.version)
	if errors.Is(err, store.ErrObjectChanged) {
		there, now, readErr := w.folder.head(ctx)
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		if other, openErr := openHead(there, w.options.Verifier); openErr == nil && other.Term > w.options.Term {
			return w.fencedBy(ctx, other.Term)
		}
		if bytes.Equal(there, signed) { // the answer to an earlier attempt was lost
			version, err = now, nil
		}
	}
	if err != nil {
		return fmt.Errorf("write the head of the archive: %w", err)
	}
	w.version, w.lag, w.sync = version, 0, head.Sync
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
