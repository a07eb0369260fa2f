package sidecar

import (
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// scrubPass is one reading of the log, with the comparison of the state. The state goes on while the log
// is read, so it is frozen when the log has been read up to its mark, or up to where the log ended when the
// pass began: what is frozen is then not behind what was read, and the comparison waits until
// the log is read up to it.
type scrubPass struct {
	scrub    *scrubber
	read     func(int) error
	goal     uint64 // size of the log when the pass began
	kind     merkle.HashKind
	frontier merkle.Frontier
	leaves   []merkle.Hash // reused
	blocks   []merkle.Hash // reused

	sketch *audit.Sketch // of the log; nil once the state was compared
	frozen *store.FrozenState
	wrong  error // what is the matter with the state
}

// begin begins above a tree of first-1 leaves.
func (sc *scrubber) begin(first, goal uint64, read func(int) error) (*scrubPass, error) {
	kind := merkle.HashKind(sc.store.Meta().Hash)
	p := &scrubPass{scrub: sc, read: read, goal: goal, kind: kind, frontier: merkle.NewFrontier(kind)}
	tree := merkle.NewTiles(kind)
	if first > 1 {
		var err error
		if p.frontier, err = sc.frontierAt(first - 1); err != nil {
			return nil, fmt.Errorf("compute the tree before %d: %w", first, err)
		}
		if tree, err = merkle.RestoreTiles(kind, first-1, sc.tile); err != nil {
			return nil, fmt.Errorf("read the tiles before %d: %w", first, err)
		}
	}
	p.sketch = audit.NewSketch(first, tree, sc.original)
	return p, nil
}

func (sc *scrubber) tile(level uint8, index uint64) ([]byte, error) {
	data, known, err := sc.store.LookupTile(level, index, nil)
	if err == nil && !known {
		err = store.ErrNotFound
	}
	return data, err
}

// original finds what a reversal names. The records that are asked for are none beyond the mark.
func (sc *scrubber) original(account []byte, nonce wire.Nonce) (seq uint64, record []byte, err error) {
	number, known, err := sc.store.LookupAccount(account)
	if err == nil && known {
		seq, known, err = sc.store.LookupIdentity(store.Identity{Nonce: nonce, Account: number})
	}
	if err != nil || !known {
		return 0, nil, errors.Join(errors.New("the state does not know it"), err)
	}
	record, err = sc.store.Record(seq, nil)
	if errors.Is(err, store.ErrNotFound) { // pruned
		return seq, nil, nil
	}
	return seq, record, err
}

// commit holds the root of the next commit against its records, and counts it for the state.
func (p *scrubPass) commit(c *store.Commit) error {
	p.leaves = p.kind.AppendLeaves(p.leaves[:0], c.Records, c.Ends)
	p.blocks = p.frontier.AppendBlocks(p.blocks[:0], p.leaves)
	if root := p.frontier.Root(); root != merkle.Hash(c.Root) {
		return &store.Damage{Seq: c.First, Err: fmt.Errorf(
			"the root at size %d does not recompute: the log says %x, its records give %v", c.Last(), c.Root, root)}
	}
	if p.sketch == nil {
		return nil
	}
	err := p.sketch.Commit(c, p.blocks)
	if damage := new(store.Damage); errors.As(err, &damage) {
		return err
	}
	if err == nil {
		err = p.compareAt(c.Last())
	}
	if err != nil {
		p.wrong, p.sketch = err, nil
	}
	return nil
}

// compareAt holds the state against the log once that was read up to the mark of the state.
func (p *scrubPass) compareAt(size uint64) (err error) {
	s := p.scrub.store
	if mark := s.Mark().Size; p.frozen == nil && (mark > 0 && size >= mark || size >= p.goal) {
		if !p.scrub.room() {
			p.scrub.log.Warn("the rows of the state are not held against the log: there are too few file descriptors to hold every table open (ulimit -n)")
			p.sketch = nil
			return nil
		}
		if p.frozen, err = s.FreezeState(p.read); err != nil {
			return err
		}
	}
	if p.frozen == nil || size < p.frozen.Mark().Size {
		return nil
	}
	mark := p.frozen.Mark()
	if size == mark.Size { // it is beyond where the first checkpoint was made meanwhile: that is left to the next pass
		var rows uint64
		rows, err = p.sketch.Compare(&mark, &p.frontier, p.frozen.Rows())
		p.scrub.rows.Add(rows)
	}
	p.sketch = nil
	return errors.Join(err, p.end())
}

// end lets go of the state.
func (p *scrubPass) end() error {
	if p == nil || p.frozen == nil {
		return nil
	}
	frozen := p.frozen
	p.frozen = nil
	return frozen.Close()
}
