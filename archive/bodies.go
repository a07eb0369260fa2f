package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/singleflight"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// Bounds of reading bodies back.
const (
	fetchesMax = 4  // segments that are being read at once
	waitersMax = 64 // reads that wait for their turn
	followMax  = 64 // segments that are read to find one: fences, and what a list does not show yet
)

// BodiesOptions says whose entries are read back and where from.
type BodiesOptions struct {
	Objects  Objects
	LogID    [16]byte
	Hash     merkle.HashKind
	Verifier note.Verifier // of the ledger's checkpoints
	// Leaves returns the leaf hashes of a block, as the ledger's tree has them.
	Leaves func(block uint64) ([]merkle.Hash, error)
	// Commit returns the end and the time of the commit that has a record, as the ledger knows them.
	Commit func(seq uint64) (store.RootRow, error)
	// CacheBytes bounds the segments that are kept in memory, Timeout each wait for one.
	CacheBytes int64
	Timeout    time.Duration
}

// Bodies reads entries back from an archive, one or a range, for a ledger that keeps of them the hashes of their
// leaves and the times of their commits alone. Nothing is handed out that does not hash to its leaf or has another time,
// whatever the archive holds. Segments that were
// read stay in memory, up to a number of bytes; those who want the same one at once share one fetch. A read waits for at
// most Timeout for each segment, and so do the fetches behind it, of which there are few at once. Safe for concurrent use.
type Bodies struct {
	options BodiesOptions
	folder  folder
	turns   chan struct{} // one for each fetch
	flight  singleflight.Group
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	shelf   shelf
	waiting int
	closed  bool
	figures BodiesFigures
}

// BodiesFigures counts what became of segments that were asked for.
type BodiesFigures struct {
	Cached, Fetched      uint64 // in memory already; read from the archive
	Unavailable, Refused uint64 // the archive did not answer; too many waited
	Damaged, Missing     uint64 // and named in an error
	Bytes, Segments      int64  // in memory
}

// DamagedError says that an object of the archive is not the one that was written there, or is missing
// (fs.ErrNotExist).
type DamagedError struct{ Err error }

func (e *DamagedError) Error() string { return "the archive is damaged: " + e.Err.Error() }
func (e *DamagedError) Unwrap() error { return e.Err }

var (
	errNoSegments = errors.New("there is no segment of this ledger: is this where it is archived, and mounted?")
	errWaiters    = errors.New("too many reads wait for it")
	errTimeout    = errors.New("it did not answer in time")
	errEnded      = errors.New("the sidecar is ending")
)

// NewBodies asks nothing of the archive.
func NewBodies(o BodiesOptions) *Bodies {
	b := &Bodies{options: o, folder: folderOf(reading{o.Objects}, o.LogID), turns: make(chan struct{}, fetchesMax), shelf: shelf{limit: o.CacheBytes}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Close ends the fetches under way and waits for them, until ctx ends.
func (b *Bodies) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end reading from the archive: %w", ctx.Err())
	}
}

// Figures returns what was counted since the start.
func (b *Bodies) Figures() BodiesFigures {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.figures
	f.Bytes, f.Segments = b.shelf.bytes, int64(len(b.shelf.sorted))
	return f
}

// Records yields the records from..to in order, all of which the archive MUST have and Leaves know. Bytes hold until
// the next step. *UnavailableError, *DamagedError or the error of ctx ends the iteration.
func (b *Bodies) Records(ctx context.Context, from, to uint64) iter.Seq2[store.Record, error] {
	return func(yield func(store.Record, error) bool) {
		check := leafCheck{bodies: b}
		var u *unpacked
		for seq := from; seq <= to; seq++ {
			if u == nil || !u.has(seq) {
				var err error
				if u, err = b.segment(ctx, seq, u); err != nil {
					yield(store.Record{}, fmt.Errorf("read entry %d: %w", seq, err))
					return
				}
			}
			r := u.record(seq)
			if err := check.record(u, &r); err != nil {
				yield(store.Record{}, fmt.Errorf("read entry %d: %w", seq, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// leafCheck holds records against their leaves, which it reads a block at a time, and against the times of their
// commits, which no leaf has.
type leafCheck struct {
	bodies *Bodies
	block  uint64
	leaves []merkle.Hash
	commit store.RootRow
}

// record says what is wrong with a record of a segment, which then is not kept.
func (c *leafCheck) record(u *unpacked, r *store.Record) error {
	b := c.bodies
	if err := c.read(r.Seq); err != nil {
		return err
	}
	if leaf := c.leaves[(r.Seq-1)%merkle.BlockLeaves]; b.options.Hash.Leaf(r.Bytes) == leaf && r.TimeMs == c.commit.TimeMs {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shelf.drop(r.Seq)
	b.figures.Damaged++
	return &DamagedError{fmt.Errorf("entry %d in %s does not hash to its leaf in the ledger's tree, or has not the time of its commit",
		r.Seq, b.folder.path(u.at.name()))}
}

// read reads what the ledger knows of a record.
func (c *leafCheck) read(seq uint64) error {
	b := c.bodies
	if block := (seq - 1) / merkle.BlockLeaves; c.leaves == nil || block != c.block {
		leaves, err := b.options.Leaves(block)
		if err == nil && len(leaves) != merkle.BlockLeaves {
			err = fmt.Errorf("block %d has %d leaf hashes", block, len(leaves))
		}
		if err != nil {
			return err
		}
		c.block, c.leaves = block, leaves
	}
	if seq <= c.commit.Seq { // records come in order
		return nil
	}
	var err error
	c.commit, err = b.options.Commit(seq)
	return err
}

// segment returns the segment that has a record, from memory or from the archive; before, where it is not nil, is
// the one that was read before it.
func (b *Bodies) segment(ctx context.Context, seq uint64, before *unpacked) (*unpacked, error) {
	if u := b.cached(seq); u != nil {
		return u, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.options.Timeout, errTimeout)
	defer cancel()
	flight := b.flight.DoChan(strconv.FormatUint(seq, 10), func() (any, error) { return b.load(seq, before) })
	select {
	case done := <-flight:
		u, _ := done.Val.(*unpacked)
		return u, done.Err
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, errTimeout) {
			return nil, err
		}
		return nil, b.failed(&UnavailableError{errTimeout})
	}
}

func (b *Bodies) cached(seq uint64) *unpacked {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.shelf.get(seq)
	if u != nil {
		b.figures.Cached++
	}
	return u
}

// load waits for a turn, and then reads the segment that has a record, once for all who want it.
func (b *Bodies) load(seq uint64, before *unpacked) (*unpacked, error) {
	ctx, cancel := context.WithTimeoutCause(b.ctx, b.options.Timeout, errTimeout)
	defer cancel()
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, b.failed(err)
	}
	defer leave()
	if u := b.cached(seq); u != nil { // read while this one waited
		return u, nil
	}
	at, err := b.place(ctx, seq, before)
	if err != nil {
		return nil, b.failed(b.why(ctx, err))
	}
	for range followMax {
		fetched, err, _ := b.flight.Do(at.name(), func() (any, error) { return b.fetch(ctx, at) })
		if err != nil {
			return nil, b.failed(err)
		}
		if u := fetched.(*unpacked); u.has(seq) {
			return u, nil
		} else if u.first > seq {
			break
		} else {
			at = u.next
		}
	}
	return nil, b.failed(&DamagedError{fmt.Errorf("%s does not lead to entry %d: %w", b.folder.path(at.name()), seq, fs.ErrNotExist)})
}

// enter waits for a turn.
func (b *Bodies) enter(ctx context.Context) (leave func(), err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, &UnavailableError{errEnded}
	case b.waiting >= waitersMax:
		return nil, &UnavailableError{errWaiters}
	}
	b.waiting++
	b.running.Add(1)
	b.mu.Unlock()
	select {
	case b.turns <- struct{}{}:
	case <-ctx.Done():
		err = &UnavailableError{context.Cause(ctx)}
	}
	b.mu.Lock()
	b.waiting--
	if err != nil {
		b.running.Done()
		return nil, err
	}
	return func() {
		<-b.turns
		b.running.Done()
	}, nil
}

// place returns where the segment of a record should be: behind the one that was read before it, or by its name.
func (b *Bodies) place(ctx context.Context, seq uint64, before *unpacked) (slot, error) {
	if before != nil && before.last+1 == seq {
		return before.next, nil
	}
	return b.folder.placeOf(ctx, seq)
}

// fetch reads a segment, checks it by itself, and keeps it. Nobody else fetches it meanwhile.
func (b *Bodies) fetch(ctx context.Context, at slot) (*unpacked, error) {
	if u := b.cached(at.first); u != nil && u.at == at {
		return u, nil
	}
	name := at.name()
	object, _, err := b.folder.objects.Read(ctx, b.folder.key(name), segmentBytesMax)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s is missing: %w", b.folder.path(name), fs.ErrNotExist)
		}
		return nil, b.why(ctx, err)
	}
	u, err := b.open(name, object)
	if err != nil {
		return nil, &DamagedError{fmt.Errorf("%s: %w", b.folder.path(name), err)}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.figures.Fetched++
	if len(u.ends) > 0 {
		b.shelf.put(u)
	}
	return u, nil
}

// open decodes a segment: its checksum, its place, its log and its signature are checked, and its commits decode.
func (b *Bodies) open(name string, object []byte) (*unpacked, error) {
	s, err := decodeSegment(name, object)
	if err != nil {
		return nil, err
	}
	if s.LogID != b.options.LogID {
		return nil, fmt.Errorf("it belongs to log %x", s.LogID)
	}
	if _, err := s.signed(b.options.Verifier); err != nil {
		return nil, err
	}
	return s.unpack()
}

// why tells an archive that has lost an object from one that is away.
func (b *Bodies) why(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return &UnavailableError{context.Cause(ctx)}
	case errors.Is(err, fs.ErrNotExist):
		return &DamagedError{err}
	}
	return err
}

// failed counts why there is no segment.
func (b *Bodies) failed(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	damaged := new(DamagedError)
	switch {
	case errors.Is(err, errWaiters):
		b.figures.Refused++
	case !errors.As(err, &damaged):
		b.figures.Unavailable++
	case errors.Is(err, fs.ErrNotExist):
		b.figures.Missing++
	default:
		b.figures.Damaged++
	}
	return err
}
