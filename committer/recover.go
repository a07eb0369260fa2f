package committer

import (
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Loss is what the start found missing or wrong. A ledger with a Loss is in safe
// mode: it serves what it has and books nothing.
type Loss struct {
	// First and Last are the sequence numbers that were durable once and are
	// missing now, or not what they were; zero when that cannot be told and What says
	// what is wrong.
	First, Last uint64
	What        string
}

func (l *Loss) Error() string { return l.What }

// Loss returns why the ledger is in safe mode; nil when it is not.
func (c *Committer) Loss() *Loss { return c.loss.Load() }

// Recovered says what a start did.
type Recovered struct {
	MarkSize uint64 // size at the checkpoint that the start began from
	Size     uint64 // size of the ledger
	Replayed uint64 // entries replayed behind the checkpoint
}

// Recovered returns what the start did.
func (c *Committer) Recovered() Recovered { return c.recovered }

// recover takes the newest checkpoint, replays the log behind it through take,
// which is what commits, and compares every root. It then holds the end of the
// log against the head file, which is kept elsewhere: a log behind it has lost
// acknowledged commits. What is wrong with the log ends the replay before it and is
// safe mode: the ledger is then as of the commit before.
func (c *Committer) recover() error {
	known := c.store.Head()
	if c.trusting {
		known = store.HeadSlot{}
	}
	durable, err := c.store.Last()
	if err != nil {
		return err
	}
	began := c.store.Mark().Size
	reaches := max(known.Seq, durable.Size) // entries beyond it are not known of
	head, loss, err := c.replayTo(wholeLog, known, reaches)
	if err == nil && loss != nil && c.ledger.seq != head.Size { // a commit was judged that does not count
		head, _, err = c.replayTo(head.Size, known, reaches)
	}
	if err != nil {
		return err
	}
	if loss == nil {
		loss = c.lossBehind(head.Size, known, reaches)
	}
	if loss != nil {
		c.EnterSafeMode(loss)
	}
	c.lastMs = head.TimeMs
	c.recovered = Recovered{MarkSize: began, Size: head.Size, Replayed: head.Size - began}
	head.next, head.tiles = make(chan struct{}), c.tiles.View()
	c.head.Store(head)
	return nil
}

// replayTo restores the newest checkpoint and replays the log behind it, up to size end at most or to
// what is wrong with it. It returns the last state that is right.
func (c *Committer) replayTo(end uint64, known store.HeadSlot, reaches uint64) (*Head, *Loss, error) {
	mark := c.store.Mark()
	c.open.reset()
	if err := c.restore(mark); err != nil {
		return nil, nil, fmt.Errorf("restore the checkpoint at size %d: %w", mark.Size, err)
	}
	head := &Head{Size: mark.Size, Root: mark.Root, TimeMs: mark.TimeMs}
	if mark.Size == 0 {
		head.Root = c.kind().Empty()
	}
	differs := headDiffers(known, mark.Size, mark.Root)
	for commit := range c.readAhead(mark.Size+1, end) {
		if damage := new(store.Damage); errors.As(commit.err, &damage) {
			return head, c.damaged(damage, reaches), nil
		}
		if commit.err != nil {
			return nil, nil, fmt.Errorf("read the log behind size %d: %w", c.ledger.seq, commit.err)
		}
		loss, err := c.replay(commit)
		if err != nil {
			return nil, nil, fmt.Errorf("replay the commit at %d: %w", commit.First, err)
		}
		if loss == nil {
			loss = headDiffers(known, commit.Last(), commit.Root)
		}
		if loss != nil {
			loss.First, loss.Last = head.Size+1, max(reaches, commit.Last())
			return head, loss, nil
		}
		head.Size, head.Root, head.TimeMs = c.ledger.seq, commit.Root, commit.TimeMs
	}
	return head, differs, nil
}

// lossBehind returns what is missing behind a log that was replayed to its end.
func (c *Committer) lossBehind(size uint64, known store.HeadSlot, reaches uint64) *Loss {
	switch damage := c.store.Damage(); {
	case damage != nil:
		return c.damaged(damage, reaches)
	case known.Seq > size:
		return &Loss{First: size + 1, Last: known.Seq, What: fmt.Sprintf(
			"the log ends at sequence number %d, but %d was durable: entries %d to %d are lost", size, known.Seq, size+1, known.Seq)}
	case !known.Known && !c.trusting:
		return &Loss{What: fmt.Sprintf("the head file is missing or cannot be read: the log ends at sequence number %d, "+
			"and whether entries behind it were acknowledged and are lost cannot be told", size)}
	}
	return nil
}

// damaged returns what the damage of a log that is known to reach so far means.
func (c *Committer) damaged(d *store.Damage, reaches uint64) *Loss {
	last := max(d.Seq, reaches)
	where := ""
	if files := c.store.DamagedFiles(); len(files) > 0 {
		where = ", in " + strings.Join(files, ", ")
	}
	return &Loss{First: d.Seq, Last: last, What: fmt.Sprintf(
		"the log is damaged at sequence number %d%s, so that entries %d to %d cannot be read in order: %v", d.Seq, where, d.Seq, last, d.Err)}
}

// headDiffers tells when the head file knows another root at that size: then the log is not the
// one that was acknowledged.
func headDiffers(known store.HeadSlot, size uint64, root merkle.Hash) *Loss {
	if !known.Known || known.Seq != size || size == 0 || known.Root == root {
		return nil
	}
	return &Loss{What: fmt.Sprintf("the root at size %d was %x when it was acknowledged, the log says %x: this is another log",
		size, known.Root, root)}
}

// EnterSafeMode makes the ledger read-only for what is wrong with it, until an
// operator acts. The first reason stays.
func (c *Committer) EnterSafeMode(loss *Loss) {
	if !c.loss.CompareAndSwap(nil, loss) {
		return
	}
	c.refusing.Store(uint32(wire.ReasonSafeMode))
	c.options.Log.Error("safe mode: the ledger is read-only", zap.String("why", loss.What),
		zap.Uint64("first", loss.First), zap.Uint64("last", loss.Last),
		zap.String("next", "reads go on; stop the sidecar, look with ledgerctl recover, and restore a backup or accept the loss"))
}

func (c *Committer) kind() merkle.HashKind { return merkle.HashKind(c.store.Meta().Hash) }

// restore makes the ledger as it was at the mark.
func (c *Committer) restore(mark store.Mark) error {
	frontier, err := merkle.RestoreFrontier(c.kind(), mark.Size, treeHashes(mark.Frontier))
	if err != nil {
		return err
	}
	if mark.Size > 0 && frontier.Root() != mark.Root {
		return fmt.Errorf("the frontier gives root %x, the mark says %x", frontier.Root(), mark.Root)
	}
	l := &ledger{
		store: c.store, accounts: newAccountTable(c.options.CacheAccounts), sums: make(map[wire.Asset]*sum),
		seq: mark.Size, nextAccount: max(mark.NextAccount, 1), frontier: frontier, window: c.options.WindowEntries,
		current: newRecent(c.options.CheckpointEntries), rows: new(store.Checkpoint), interval: 1,
		find: c.find, epoch: epochAt(&mark, c.store.Meta()),
	}
	supplies, err := c.store.Supplies()
	if err != nil {
		return err
	}
	for _, row := range supplies {
		amount := wire.LoadAmount(row.Supply[:])
		l.sums[row.Asset] = &sum{asset: row.Asset, supply: amount, total: amount}
	}
	l.highest = c.store.HighestNonce()
	if tail, err := c.store.Last(); err == nil && l.window == 0 {
		l.kept = tail.First
	}
	if l.window == 0 {
		l.filter = newIdentityFilter(c.options.FilterBytes, c.options.CheckpointEntries)
	}
	c.ledger, c.cutAt = l, mark.Size
	if err := c.checkEpoch(); err != nil {
		return err
	}
	c.tiles, err = merkle.RestoreTiles(c.kind(), mark.Size, c.storedTile)
	return err
}

// storedTile reads a tile for RestoreTiles.
func (c *Committer) storedTile(level uint8, index uint64) ([]byte, error) {
	data, known, err := c.store.LookupTile(level, index, nil)
	if err == nil && !known {
		err = store.ErrNotFound
	}
	return data, err
}

// replay judges the requests of one commit of the log again. Each entry has to be
// accepted as new, under the number that it has, and the root has to come out the
// same; anything else means that the log or the rules are not what they were. An error means that
// a look-up failed, so that nothing can be said of the log: a damaged state has asked by then to be
// made again by the next start.
func (c *Committer) replay(commit *readCommit) (*Loss, error) {
	l := c.ledger
	if commit.First != l.seq+1 {
		return &Loss{First: l.seq + 1, Last: commit.First - 1, What: fmt.Sprintf(
			"the log goes on at sequence number %d behind %d: entries are missing", commit.First, l.seq)}, nil
	}
	groups := commit.Groups
	l.alone = commit.Count == 1 && len(groups) == 0
	defer func() { l.alone = false }()
	if commit.loss != nil {
		return commit.loss, nil
	}
	r := new(Request)
	for i := 0; i < commit.Count; {
		r.Reset()
		last := commit.Count
		if len(groups) > 0 {
			last = int(groups[0].First - commit.First)
			if last == i {
				r.Atomic, r.IdemID = true, groups[0].IdemID
				last = i + int(groups[0].Count)
				groups = groups[1:]
			}
		}
		if last <= i || last > commit.Count {
			return &Loss{What: fmt.Sprintf("the commit at sequence number %d has atomic groups outside its records", commit.First)}, nil
		}
		r.fill(commit, i, last)
		c.take(r)
		if r.Err != nil {
			return nil, r.Err
		}
		if int(r.Accepted) != last-i {
			return &Loss{What: refusedAtReplay(r, commit.First+uint64(i))}, nil
		}
		i = last
	}
	if asset, ok := l.conserved(); !ok {
		return &Loss{What: fmt.Sprintf("conservation does not hold at sequence number %d for asset %q", l.seq, asset)}, nil
	}
	if root := l.frontier.Root(); root != commit.Root {
		return &Loss{What: fmt.Sprintf("the root at size %d does not recompute: the log says %x, its records give %x",
			l.seq, commit.Root, root)}, nil
	}
	c.open.commit.Root, c.open.commit.TimeMs = commit.Root, commit.TimeMs
	c.noteRoot(&commit.Commit)
	c.settleReplay()
	return nil, nil
}

// checkRecords decodes the records of a commit: the rules take entries of valid shape alone.
func checkRecords(commit *store.Commit) *Loss {
	start := uint32(0)
	for i, end := range commit.Ends {
		b := commit.Records[start:end]
		if record, fault := wire.NextRecord(b); !fault.OK() || len(record) != len(b) {
			return &Loss{What: fmt.Sprintf("the record at sequence number %d does not decode: %v", commit.First+uint64(i), fault)}
		}
		start = end
	}
	return nil
}

// settleReplay empties the open commit and writes a checkpoint when an interval
// is full, as the running committer does.
func (c *Committer) settleReplay() {
	if c.ledger.seq-c.cutAt >= uint64(c.options.CheckpointEntries) {
		job := c.cutCheckpoint(c.open)
		c.writeCheckpoint(job)
		c.finishCheckpoint(job)
	}
	c.open.reset()
}

// fill makes r a request of the records from i up to, not including, last.
func (r *Request) fill(commit *readCommit, i, last int) {
	start := uint32(0)
	if i > 0 {
		start = commit.Ends[i-1]
	}
	r.Records = commit.Records[start:commit.Ends[last-1]]
	r.Leaves = commit.leaves[i:last]
	for n, end := range commit.Ends[i:last] {
		r.Ends = append(r.Ends, end-start)
		r.Indexes = append(r.Indexes, uint32(n))
	}
}

func refusedAtReplay(r *Request, first uint64) string {
	what := fmt.Sprintf("the records behind sequence number %d break the rules", first-1)
	if len(r.Results) > 0 {
		result := r.Results[0]
		what = fmt.Sprintf("the record at sequence number %d breaks the rules: %s %s %s",
			first+uint64(result.Index), result.Outcome, result.Reason, result.Detail)
	}
	return what
}
