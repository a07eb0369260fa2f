package archive

import (
	"context"
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

	// Uploads is how many segments may be on their way at once, up to UploadsMax; 0 = one.
	Uploads int
	// Renew begins the next term before anything is shipped: an earlier run may have had several segments on their way,
	// which arrive late. Hold then keeps what the ledger holds, durably: a term, and the claim of the fence that is about to
	// end it; zero behind it. Claim is the one that was kept last. nil keeps nothing.
	Renew bool
	Claim [16]byte
	Hold  func(term uint64, claim [16]byte) error

	// Shipped, where it is not nil, is called with the size that the archive holds, behind each segment whose predecessors
	// are all there. It MUST NOT call the writer.
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

// Writer ships what is durable to an archive. Archived may be called from any goroutine, and Failures; the others are for one.
type Writer struct {
	options WriterOptions
	folder  folder
	logID   [16]byte
	kind    merkle.HashKind
	term    uint64 // that the ledger holds

	// Invariant, while opened: made is the end of the archive when all that is on its way is there, and frontier that of
	// its size. The head that is stored has that version.
	opened   bool
	made     end
	frontier merkle.Frontier
	version  string
	sync     bool // as the stored head says
	settling chan error
	leaves   []merkle.Hash // of the last commit
	target   int           // a segment ends behind the commit with which it has so many bytes
	part     int           // bytes of a part of a snapshot

	changed  chan struct{} // an upload has ended
	failures chan struct{} // and failed
	running  sync.WaitGroup

	mu      sync.Mutex
	head    Head      // what the archive holds, whole
	lag     int       // by so many segments the stored head lags behind it
	pending []*upload // what is on its way behind it, in order
	own     bool      // no run before this one has anything on its way in the term
	buffers [][]byte  // for the commits of segments
}

// end is where an archive ends.
type end struct {
	Size uint64
	Root merkle.Hash
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
	o.Uploads = min(max(o.Uploads, 1), UploadsMax)
	if o.Hold == nil {
		o.Hold = func(uint64, [16]byte) error { return nil }
	}
	return &Writer{
		options: o, logID: id, kind: kind, folder: folderOf(o.Objects, id), term: max(o.Term, firstTerm), target: segmentRawTarget, part: snapshotPartBytes,
		changed: make(chan struct{}, 1), failures: make(chan struct{}, 1),
	}, nil
}

// Archived returns what the archive holds, as of the last Ship or Cut that found out; zero before.
func (w *Writer) Archived() Head {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.head
}

// Ship brings the archive up to what is durable now, or returns why not: the next call goes on from
// what the archive holds then. *AheadError and *FencedError are for good. Nothing is on its way when it returns.
func (w *Writer) Ship(ctx context.Context) error {
	tail, err := w.options.Store.Last()
	if err != nil {
		return fmt.Errorf("archive the log: %w", err)
	}
	w.running.Wait() // what a Cut has sent under a context that has ended is sent again under this one
	w.mu.Lock()
	_ = w.failure()
	w.mu.Unlock()
	for size := uint64(0); ; {
		if size, err = w.Cut(ctx); err != nil || size >= tail.Size {
			break
		}
	}
	if err == nil {
		err = w.await(ctx, func() bool { return len(w.pending) == 0 })
	}
	if err == nil && !w.options.LazyHead {
		err = w.settleNow(ctx)
	}
	if err != nil {
		w.interrupted()
	}
	return err
}

// Cut makes a segment of what is durable and not on its way yet, where there is something, and begins its upload, for
// which it waits until there is room. It returns the size up to which the log is on its way or there. The upload goes on, under ctx,
// when Cut returns: Shipped tells when it is there, and the next Cut when it failed, which Failures tells of. Then what
// has failed is sent again.
func (w *Writer) Cut(ctx context.Context) (size uint64, err error) {
	defer func() {
		if err != nil && !w.inOwnTerm() {
			w.interrupted()
		}
	}()
	tail, err := w.options.Store.Last()
	if err != nil {
		return 0, fmt.Errorf("archive the log: %w", err)
	}
	if !w.opened {
		if err := w.open(ctx, tail); err != nil {
			return 0, fmt.Errorf("open the archive: %w", err)
		}
		w.opened = true
	}
	if err := w.resend(ctx); err != nil || w.made.Size >= tail.Size {
		return w.made.Size, err
	}
	if err = w.await(ctx, func() bool { return len(w.pending) < w.room() }); err == nil {
		err = w.keepHead(ctx)
	}
	if err == nil {
		err = ctx.Err()
	}
	var u *upload
	if err == nil {
		u, err = w.make()
	}
	if err != nil {
		return w.made.Size, fmt.Errorf("archive the log from %d: %w", w.made.Size+1, err)
	}
	w.begin(ctx, u)
	return w.made.Size, nil
}

// interrupted waits until nothing is on its way. In a term that is the writer's own it is sent again as it is. Else an earlier run may
// have put something at the same place: whatever is there, look again.
func (w *Writer) interrupted() {
	w.running.Wait()
	if w.inOwnTerm() {
		return
	}
	w.mu.Lock()
	w.pending = nil
	w.mu.Unlock()
	w.opened, w.settling = false, nil
}

// Settle brings the stored head up to the segments.
func (w *Writer) Settle(ctx context.Context) error {
	if !w.opened {
		return nil
	}
	err := w.settleNow(ctx)
	if err != nil {
		w.interrupted()
	}
	return err
}

// Confirm asks the archive whether the place of the next segment is still free, so that the term is the writer's yet:
// nothing tells before something is shipped. It is for a log that is archived whole.
func (w *Writer) Confirm(ctx context.Context) error {
	if err := w.Ship(ctx); err != nil {
		return err
	}
	w.opened = false
	if err := w.Ship(ctx); err != nil {
		return err
	}
	return w.Settle(ctx)
}

// make makes the next segment, but for what its upload does: compress and sign it.
func (w *Writer) make() (*upload, error) {
	s := &Segment{
		LogID: w.logID, Genesis: w.options.Store.Meta().LogID, Hash: w.kind,
		First: w.made.Size + 1, Before: w.made.Root, Term: w.term, at: slot{w.made.Size + 1, w.term},
	}
	frontier := w.frontier
	u := &upload{s: s, raw: w.buffer()}
	for c, err := range w.options.Store.Commits(s.First) {
		if err == nil {
			err = w.grow(&frontier, c)
		}
		if err != nil {
			w.keepBuffer(u)
			return nil, err
		}
		s.Last, s.Root, s.TimeMs = c.Last(), c.Root, c.TimeMs
		s.Commits++
		if u.raw = appendCommit(u.raw, c); len(u.raw) >= w.target {
			break
		}
	}
	w.made.Size, w.made.Root, w.frontier = s.Last, s.Root, frontier
	return u, nil
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

// grow adds a commit of the log to a frontier, if it follows and its root is that of its records.
func (w *Writer) grow(frontier *merkle.Frontier, c *store.Commit) error {
	if c.First != frontier.Size()+1 {
		return fmt.Errorf("the log has a commit that begins at %d, where one should begin at %d", c.First, frontier.Size()+1)
	}
	w.leaves = w.kind.AppendLeaves(w.leaves[:0], c.Records, c.Ends)
	frontier.AddAll(w.leaves)
	if root := frontier.Root(); root != merkle.Hash(c.Root) {
		return fmt.Errorf("the root of the commit at %d is %x in the log, its records give %v: the log is damaged, and this is not archived", c.First, c.Root, root)
	}
	return nil
}
