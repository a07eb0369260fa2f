package committer

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// checkpointJob is one interval of derived state on its way to the store. The
// commit that it was cut at carries it, so it is never ahead of the log.
type checkpointJob struct {
	interval uint64
	kept     uint64 // bodies before this entry are pruned behind it
	rows     *store.Checkpoint
}

// mustCut reports whether a checkpoint has to be cut at the next seal whatever
// the length of the interval: someone awaits it, or the ledger is closing.
func (c *Committer) mustCut(closing bool) bool {
	return !c.inCheckpoint && c.ledger.seq > c.cutAt && (closing || len(c.awaiting) > 0)
}

// cutCheckpoint ends the interval at the end of commit p. Nothing is copied: the
// rows and maps change hands, and the next interval begins with empty ones.
func (c *Committer) cutCheckpoint(p *pending) *checkpointJob {
	l := c.ledger
	rows := l.rows
	rows.Supplies = l.supplyRows(rows.Supplies)
	for _, tile := range c.tiles.Take() {
		rows.Tiles = append(rows.Tiles, store.TileRow{Level: tile.Level, Index: tile.Index, Data: tile.Data})
	}
	rows.Mark = store.Mark{
		Size: l.seq, Root: p.commit.Root, TimeMs: p.commit.TimeMs,
		NextAccount: l.nextAccount, Frontier: rawHashes(l.frontier.Hashes()), Epoch: l.epoch.row(),
	}
	l.kept = max(l.kept, c.retain.Load())
	job := &checkpointJob{interval: l.interval, kept: l.kept, rows: rows}
	l.frozen, l.current = l.current, c.spareRecent()
	l.rows = c.spareRows()
	l.interval++
	c.cutAt = l.seq
	c.inCheckpoint = true
	return job
}

// spareRecent returns an empty recent, with the maps of the last but one interval.
func (c *Committer) spareRecent() recent {
	r := c.spareMaps
	c.spareMaps = recent{}
	if r.identities == nil || len(r.identities) > 2*c.options.CheckpointEntries { // one long interval is no reason to keep so much
		return newRecent(c.options.CheckpointEntries)
	}
	r.clear()
	return r
}

// spareRows returns empty rows, with the buffers of the last but one interval.
func (c *Committer) spareRows() *store.Checkpoint {
	rows := c.spare
	c.spare = nil
	if rows == nil {
		rows = new(store.Checkpoint)
	}
	clear(rows.Accounts) // no name may be kept alive by a buffer
	clear(rows.Balances)
	*rows = store.Checkpoint{
		Index: rows.Index[:0], Accounts: rows.Accounts[:0], Balances: rows.Balances[:0], Supplies: rows.Supplies[:0],
		Holds: rows.Holds[:0], Reversed: rows.Reversed[:0], Requests: rows.Requests[:0], Tiles: rows.Tiles[:0], Roots: rows.Roots[:0],
	}
	return rows
}

// checkpoints writes one checkpoint after the other in the background.
func (c *Committer) checkpoints() {
	for job := range c.toCheckpointer {
		c.writeCheckpoint(job)
		c.checkpointed <- job
	}
}

// writeCheckpoint writes one checkpoint and lets the window move on. Where that
// fails the ledger stops: memory would grow without bound, and the next start
// rebuilds from the log whatever is missing.
func (c *Committer) writeCheckpoint(job *checkpointJob) {
	size := job.rows.Mark.Size
	if err := c.store.Checkpoint(job.rows); err != nil {
		c.options.Fatal(fmt.Sprintf("write the checkpoint at size %d: %v", size, err))
	}
	if f := c.ledger.filter; f != nil {
		f.addAll(job.rows.Index)
	}
	if err := c.store.SyncHead(); err != nil {
		c.options.Fatal(fmt.Sprintf("sync the head file at size %d: %v", size, err))
	}
	if window := c.options.WindowEntries; window > 0 && size > window {
		if err := c.store.Prune(size - window + 1); err != nil {
			c.options.Fatal(fmt.Sprintf("forget entries before %d: %v", size-window+1, err))
		}
	}
	c.prune(job)
	c.stats.checkpoints.Add(1)
	c.options.Log.Debug("checkpoint complete", zap.Uint64("size", size))
}

// startFilter loads the filter in the background once it is wanted. Until it is complete, and
// where it cannot be loaded, nonces that are not above all others are looked up.
func (c *Committer) startFilter() {
	f := c.ledger.filter
	if f == nil {
		return
	}
	c.ended.Go(func() {
		select {
		case <-f.wanted:
		case <-c.closing:
			return
		}
		if err := f.load(c.store, c.closing); err != nil {
			c.options.Log.Warn("the filter of identities could not be loaded: random nonces are looked up", zap.Error(err))
		}
	})
}

// finishCheckpoint lets go of what the store knows now.
func (c *Committer) finishCheckpoint(job *checkpointJob) {
	c.inCheckpoint = false
	c.spareMaps, c.ledger.frozen = c.ledger.frozen, recent{}
	c.ledger.settled = job.interval
	c.ledger.highest = c.store.HighestNonce()
	c.ledger.filter.interval()
	c.spare = job.rows
	c.answerCheckpointed()
}

// answerCheckpointed answers those who await a checkpoint when the newest one
// covers everything. Others wait for the next.
func (c *Committer) answerCheckpointed() {
	if c.inCheckpoint || c.ledger.seq > c.cutAt {
		return
	}
	for _, r := range c.awaiting {
		mark := c.store.Mark()
		r.Size, r.Root = mark.Size, mark.Root
		r.Complete(r)
	}
	c.awaiting = c.awaiting[:0]
}

// noteRoot puts the root of a commit among the rows of the interval.
func (c *Committer) noteRoot(commit *store.Commit) {
	c.ledger.rows.Roots = append(c.ledger.rows.Roots, store.RootRow{Seq: commit.Last(), Root: commit.Root, TimeMs: commit.TimeMs})
}

// rawHashes and treeHashes turn hashes into those of the store, which knows no
// tree, and back.
func rawHashes(hashes []merkle.Hash) [][32]byte {
	raw := make([][32]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i]
	}
	return raw
}

func treeHashes(raw [][32]byte) []merkle.Hash {
	hashes := make([]merkle.Hash, len(raw))
	for i := range raw {
		hashes[i] = raw[i]
	}
	return hashes
}
