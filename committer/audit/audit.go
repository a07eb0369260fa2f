package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Report is what an audit counted.
type Report struct {
	Size      uint64 // entries
	Commits   uint64
	Accounts  uint64
	Root      merkle.Hash
	StateSize uint64 // entries that the derived state covers; what is behind them is made again at a start

	Epoch uint64 // in force
	LogID [16]byte

	// The end of the last commit that was found sound in all, and the root there. They are Size
	// and Root where nothing is wrong.
	SoundSize uint64
	SoundRoot merkle.Hash
}

// Finding is the first thing that is wrong.
type Finding struct {
	// First and Last are the sequence numbers among which it is: the same where one
	// record is named, and zero where it is not about records.
	First, Last uint64
	Err         error
}

// Error names the records.
func (f *Finding) Error() string {
	switch {
	case f.First == 0:
		return f.Err.Error()
	case f.First == f.Last:
		return fmt.Sprintf("entry %d: %v", f.First, f.Err)
	}
	return fmt.Sprintf("entries %d to %d: %v", f.First, f.Last, f.Err)
}

func (f *Finding) Unwrap() error { return f.Err }

// ErrPruned is what a ledger is that has forgotten its beginning: it cannot be
// counted again.
var ErrPruned = errors.New("the log does not begin at 1: a ledger that has forgotten its beginning cannot be counted again")

// Verify audits the whole of a store. What is wrong with the ledger is a *Finding;
// other errors say that it could not be told. progress, where it is not nil, is called
// from time to time with the number of entries done, in the goroutine of the caller.
//
// Nothing may be appended or checkpointed meanwhile.
func Verify(ctx context.Context, s *store.Store, progress func(done uint64)) (Report, error) {
	return VerifyWith(ctx, s, nil, progress)
}

// VerifyWith is Verify for a store that has pruned bodies, which older has; without older, nil, it is
// ErrPruned.
func VerifyWith(ctx context.Context, s *store.Store, older *Older, progress func(done uint64)) (Report, error) {
	a := newAudit(s)
	a.log.older = older
	if s.StateErr() == nil {
		a.mark = s.Mark()
		a.roots = rootRows{store: s}
	}
	report, err := a.whole(ctx, progress)
	if err == nil {
		err = a.endState()
	}
	return report, err
}

// VerifyLog is Verify without the derived state.
func VerifyLog(ctx context.Context, s *store.Store, progress func(done uint64)) (Report, error) {
	return newAudit(s).whole(ctx, progress)
}

// whole audits from the first record to the end of the log.
func (a *audit) whole(ctx context.Context, progress func(done uint64)) (Report, error) {
	tail, err := a.store.Last()
	if err != nil {
		return Report{}, fmt.Errorf("read the end of the log: %w", err)
	}
	if tail.First > 1 && a.log.older == nil {
		return Report{}, fmt.Errorf("audit a log from %d on: %w", tail.First, ErrPruned)
	}
	if a.log.first = tail.First; tail.First <= 1 {
		a.log.older = nil // nothing was pruned
	}
	err = a.run(ctx, progress)
	if finding := new(Finding); errors.Is(err, ErrUnread) && errors.As(err, &finding) {
		err = fmt.Errorf("audit entry %d: %w", finding.First, finding.Err)
	}
	if err == nil {
		err = a.end(tail)
	}
	return a.report(), err
}

// audit is what the log gives, up to the commit that was counted last.
type audit struct {
	store    *store.Store
	log      *log
	leaves   []byte // leaf hashes of the pruned block under way
	kind     merkle.HashKind
	mark     store.Mark
	head     store.HeadSlot
	frontier merkle.Frontier
	tiles    merkle.Tiles
	blocks   []merkle.Hash
	books    *books
	timeMs   int64
	commits  uint64
	roots    rootRows
	inForce  store.Epoch

	soundSize uint64
	soundRoot merkle.Hash
}

func newAudit(s *store.Store) *audit {
	kind := merkle.HashKind(s.Meta().Hash)
	l := &log{store: s}
	a := &audit{
		store: s, log: l, kind: kind, head: s.Head(), frontier: merkle.NewFrontier(kind), tiles: merkle.NewTiles(kind),
		books: newBooks(l.record), soundRoot: kind.Empty(),
	}
	return a
}

func (a *audit) report() Report {
	r := Report{
		Size: a.frontier.Size(), Commits: a.commits, Accounts: uint64(len(a.books.accounts)), Root: a.frontier.Root(),
		StateSize: a.mark.Size, SoundSize: a.soundSize, SoundRoot: a.soundRoot,
		Epoch: a.inForce.Number, LogID: a.inForce.LogID,
	}
	if r.Epoch == 0 {
		r.LogID = a.store.Meta().LogID
	}
	return r
}

// run reads and counts everything.
func (a *audit) run(ctx context.Context, progress func(uint64)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for c := range hashed(ctx, a.log, a.kind) {
		<-c.done
		for i := range c.commits {
			if err := a.commit(&c.commits[i]); err != nil {
				return err
			}
		}
		if c.err != nil {
			next := a.frontier.Size() + 1
			return &Finding{next, next, c.err}
		}
		if progress != nil {
			progress(a.frontier.Size())
		}
		c.release()
	}
	return ctx.Err()
}

// end holds what was counted against what is said about the log's end.
func (a *audit) end(tail store.Tail) error {
	size := a.frontier.Size()
	if damage := a.store.Damage(); damage != nil {
		return &Finding{size + 1, max(size+1, a.head.Seq), damage.Err}
	}
	if a.head.Known && a.head.Seq > size {
		return &Finding{size + 1, a.head.Seq, fmt.Errorf("they were durable, by the head file, and the log ends at %d", size)}
	}
	switch {
	case size != tail.Size || size > 0 && a.frontier.Root() != tail.Root:
		return fmt.Errorf("the log changed while it was read: it had %d entries and has %d", tail.Size, size)
	case !a.head.Known:
		return &Finding{0, 0, fmt.Errorf("the head file is missing or cannot be read: the log is sound up to its end at %d, and whether entries behind it are lost cannot be told", size)}
	}
	return nil
}

// endState says what is wrong with the derived state beside what it holds.
func (a *audit) endState() error {
	switch size := a.frontier.Size(); {
	case a.mark.Size > size:
		return &Finding{0, 0, fmt.Errorf("the derived state is of size %d, the log ends at %d", a.mark.Size, size)}
	case a.store.StateErr() != nil:
		return &Finding{0, 0, fmt.Errorf("the log is sound; the derived state is of no use and will be made again at the next start: %w", a.store.StateErr())}
	}
	return nil
}

// commit counts one commit and holds its root against that of its records.
func (a *audit) commit(c *commit) error {
	last := c.First + uint64(len(c.Ends)) - 1
	if c.First != a.frontier.Size()+1 {
		return &Finding{a.frontier.Size() + 1, a.frontier.Size() + 1, fmt.Errorf("it is missing: the log goes on at %d", c.First)}
	}
	if c.TimeMs < a.timeMs {
		return &Finding{c.First, last, fmt.Errorf("the time of their commit, %d, is before that of the commit before, %d", c.TimeMs, a.timeMs)}
	}
	a.timeMs = c.TimeMs
	a.commits++
	if err := a.records(c); err != nil {
		return err
	}
	if err := a.prunedRows(c); err != nil {
		return err
	}
	a.blocks = a.frontier.AppendBlocks(a.blocks[:0], c.leaves)
	a.tiles.AddAll(a.blocks)
	root := a.frontier.Root()
	if root != merkle.Hash(c.Root) {
		return &Finding{c.First, last, fmt.Errorf("the root of their commit is %x, the records give %v", c.Root, root)}
	}
	if a.head.Known && a.head.Seq == last && merkle.Hash(a.head.Root) != root {
		return &Finding{c.First, last, fmt.Errorf("the head file knows another root at %d: %x", last, a.head.Root)}
	}
	a.soundSize, a.soundRoot = last, root
	if last > a.mark.Size {
		return nil
	}
	if err := a.roots.next(last, c.Root, c.TimeMs); err != nil {
		return &Finding{c.First, last, err}
	}
	if last == a.mark.Size {
		if err := a.state(); err != nil {
			return &Finding{0, 0, fmt.Errorf("derived state at size %d: %w", last, err)}
		}
	}
	return nil
}

// records books the records of a commit.
func (a *audit) records(c *commit) error {
	groups := c.Groups
	for i := range c.Ends {
		seq := c.First + uint64(i)
		if len(groups) > 0 && groups[0].First == seq {
			if err := a.books.begin(&groups[0]); err != nil {
				return &Finding{seq, seq + uint64(groups[0].Count) - 1, err}
			}
			groups = groups[1:]
		}
		entry, fault := c.entry(i)
		if !fault.OK() {
			return &Finding{seq, seq, fault}
		}
		if entry.Kind() == wire.KindEpoch {
			if err := a.epoch(c, entry); err != nil {
				return &Finding{seq, seq, err}
			}
		}
		if err := a.books.book(seq, entry); err != nil {
			return err
		}
	}
	return nil
}
