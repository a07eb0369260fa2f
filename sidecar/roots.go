package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// Bounds of the number of roots in one answer.
const (
	rootsLimitDefault = 1000
	rootsLimitMax     = 10_000
)

// rootsSource answers what the roots of the ledger are, for HTTPS and for the
// socket. Roots come, oldest first, from the store's checkpointed state, from the
// log behind it, and from the ring in memory:
//
//	0 ───── state ───── mark ── log ── base ──────── ring ──────── head
//
// Each part is read until the next one begins, so that at the seams nothing is
// missing and nothing comes twice. Nothing above the published head is told.
type rootsSource struct {
	head   func() *committer.Head
	state  func(since uint64, limit int) ([]store.RootRow, error)
	logged func(since, to uint64, limit int) ([]store.RootRow, error)
	// oldest is the lowest sequence number that is kept: above 1 once a window has
	// moved on.
	oldest  func() uint64
	bodies  *bodies
	prover  *merkle.Prover
	signer  *checkpointSigner
	stable  *stableSeries
	ring    *rootRing
	waitMax time.Duration
}

// rootsPage is one answer.
type rootsPage struct {
	Roots      []store.RootRow
	Next       uint64 // the since of the next question
	Oldest     uint64 // lowest sequence number that is kept; 0 or 1 when nothing was forgotten
	Checkpoint []byte // signed note, of a size that is at least Next where Roots is not empty
	Size       uint64 // of Checkpoint
}

// newRootsSource is made before the committer opens: the ring takes what becomes
// durable from then on. The key to sign with is set when the epoch is known.
func newRootsSource(s *Sidecar) *rootsSource {
	signer := &checkpointSigner{
		head: func() *committer.Head { return s.committer.Head() }, second: newLogAudit(s.store).rootAt,
		refuted: func(err error) {
			s.committer.EnterSafeMode(&committer.Loss{What: "a root is refuted by the log: " + err.Error()})
		},
	}
	return &rootsSource{
		head:  func() *committer.Head { return s.committer.Head() },
		state: s.store.Roots,
		logged: func(since, to uint64, limit int) ([]store.RootRow, error) {
			return rootsInLog(s.store, since, to, limit)
		},
		oldest:  func() uint64 { return oldestKept(s.store) },
		bodies:  &bodies{store: s.store},
		prover:  newHeadProver(s.store, func() *committer.Head { return s.committer.Head() }),
		signer:  signer,
		stable:  newStableSeries(s, signer),
		ring:    newRootRing(durableSize(s.store), rootRingMax),
		waitMax: s.config.HTTPS.MaxWait.Duration(),
	}
}

// add takes a head that has been published. It is called for each, in order.
func (r *rootsSource) add(head *committer.Head) { r.ring.add(head) }

// Page returns at most limit roots (0 = the default) with a Seq above since. Where
// there are none it waits for one, at most wait and at most https.max_wait, and
// returns a page without roots after that, or when ctx ends.
func (r *rootsSource) Page(ctx context.Context, since uint64, limit int, wait time.Duration) (*rootsPage, error) {
	head := r.await(ctx, since, wait)
	signed, err := r.signer.sign(head)
	if err != nil {
		return nil, err
	}
	return r.page(head, signed, since, limit)
}

// await returns the head once it is above since, or when the wait is over.
func (r *rootsSource) await(ctx context.Context, since uint64, wait time.Duration) *committer.Head {
	head := r.head()
	if wait = min(wait, r.waitMax); head.Size > since || wait <= 0 {
		return head
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for head.Size <= since {
		select {
		case <-head.Changed():
			head = r.head()
		case <-timer.C:
			return head
		case <-ctx.Done():
			return head
		}
	}
	return head
}

func (r *rootsSource) page(head *committer.Head, signed signedCheckpoint, since uint64, limit int) (*rootsPage, error) {
	if limit <= 0 {
		limit = rootsLimitDefault
	}
	rows, err := r.rows(head, since, min(limit, rootsLimitMax))
	if err != nil {
		return nil, fmt.Errorf("read roots after %d: %w", since, err)
	}
	page := &rootsPage{Roots: rows, Next: since, Oldest: r.oldest(), Checkpoint: signed.text, Size: signed.size}
	if len(rows) > 0 {
		page.Next = rows[len(rows)-1].Seq
	}
	return page, nil
}

// rows joins the three parts. The head was read before the ring is: whatever was
// published before that head is in the ring then.
func (r *rootsSource) rows(head *committer.Head, since uint64, limit int) ([]store.RootRow, error) {
	newest, base := r.ring.after(nil, since, limit, head)
	if since >= base {
		return newest, nil
	}
	until := min(base, head.Size)
	rows, err := r.state(since, limit)
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		if row.Seq > until {
			rows = rows[:i]
			break
		}
	}
	from := since
	if len(rows) > 0 {
		from = rows[len(rows)-1].Seq
	}
	if len(rows) < limit && from < until {
		logged, err := r.logged(from, until, limit-len(rows))
		if err != nil {
			return nil, err
		}
		rows = append(rows, logged...)
	}
	return append(rows, newest[:min(len(newest), limit-len(rows))]...), nil
}

// rootsInLog reads the roots with a Seq above since and at most to from the log.
// What was forgotten is left out.
func rootsInLog(s *store.Store, since, to uint64, limit int) (rows []store.RootRow, err error) {
	since = max(since, oldestKept(s)-1)
	if since >= to {
		return nil, nil
	}
	for commit, err := range s.Commits(since + 1) {
		if err != nil {
			return nil, err
		}
		seq := commit.Last()
		if seq > to || len(rows) == limit {
			break
		}
		if seq > since {
			rows = append(rows, store.RootRow{Seq: seq, Root: commit.Root, TimeMs: commit.TimeMs})
		}
	}
	return rows, nil
}

// durableSize returns the size of the log; 0 for a store that is closed, of which
// nothing else can be read either.
func durableSize(s *store.Store) uint64 {
	tail, err := s.Last()
	if err != nil {
		return 0
	}
	return tail.Size
}

// oldestKept returns the lowest sequence number that the log has, 1 where it is
// empty.
func oldestKept(s *store.Store) uint64 {
	tail, err := s.Last()
	if err != nil {
		return 1
	}
	return max(tail.First, 1)
}

// newHeadProver makes proofs from the newest tiles too, which the head has in memory: so the
// records of two blocks are read for a proof, unless checkpoints are so far behind that
// tiles are missing between the two.
func newHeadProver(s *store.Store, head func() *committer.Head) *merkle.Prover {
	p := newProver(s)
	stored := p.Tile
	p.Tile = func(level uint8, index uint64) ([]byte, error) {
		if data := head().Tile(level, index); data != nil {
			return data, nil
		}
		return stored(level, index)
	}
	return p
}

// newProver makes proofs from what the store has: tiles as of its newest checkpoint,
// and the records, hashed again.
func newProver(s *store.Store) *merkle.Prover {
	kind := merkle.HashKind(s.Meta().Hash)
	edge := new(edgeLeaves)
	return &merkle.Prover{
		Kind: kind,
		Leaves: func(block uint64, width int) ([]merkle.Hash, error) {
			first := block*merkle.BlockLeaves + 1
			if first < oldestKept(s) {
				return prunedLeaves(s, block, width)
			}
			leaves := edge.of(block, width)
			if len(leaves) == width {
				return leaves, nil
			}
			var records []byte
			ends := make([]uint32, 0, width)
			from := first + uint64(len(leaves))
			for record, err := range s.Records(from, first+uint64(width)-1) {
				if err != nil {
					return nil, err
				}
				if record.Seq != from+uint64(len(ends)) {
					break
				}
				records = append(records, record.Bytes...)
				ends = append(ends, uint32(len(records)))
			}
			leaves = kind.AppendLeaves(leaves, records, ends)
			if len(leaves) < width { // pruned meanwhile
				return prunedLeaves(s, block, width)
			}
			edge.keep(block, leaves)
			return leaves, nil
		},
		Tile: func(level uint8, index uint64) ([]byte, error) {
			data, known, err := s.LookupTile(level, index, nil)
			if err != nil || !known {
				return nil, err
			}
			return data, nil
		},
	}
}

// prunedLeaves returns the hashes of the first leaves of a block whose bodies were pruned, where they were
// kept.
func prunedLeaves(s *store.Store, block uint64, width int) ([]merkle.Hash, error) {
	data, known, err := s.LookupTile(0, block, nil)
	if err != nil {
		return nil, err
	}
	if !known || len(data) < width*merkle.HashSize {
		return nil, fmt.Errorf("%w: the records from %d on", errForgotten, block*merkle.BlockLeaves+1)
	}
	leaves := make([]merkle.Hash, width)
	for i := range leaves {
		leaves[i] = merkle.Hash(data[i*merkle.HashSize:])
	}
	return leaves, nil
}

// edgeLeaves keeps the leaf hashes of the block at the end of the log, which every proof in
// the newest tree asks for: only what has been booked since is read and hashed again. A
// slice that was handed out is never written again.
type edgeLeaves struct {
	mu     sync.Mutex
	block  uint64
	leaves []merkle.Hash
}

// of returns up to width leaves of a block that are known, with room to append the others.
func (e *edgeLeaves) of(block uint64, width int) []merkle.Hash {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaves == nil || e.block != block {
		return make([]merkle.Hash, 0, width)
	}
	known := e.leaves[:min(len(e.leaves), width)]
	if len(known) == width {
		return known
	}
	return append(make([]merkle.Hash, 0, width), known...)
}

// keep takes the leaves of a block that is the last one so far, or further.
func (e *edgeLeaves) keep(block uint64, leaves []merkle.Hash) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaves == nil || block > e.block || block == e.block && len(leaves) > len(e.leaves) {
		e.block, e.leaves = block, leaves
	}
}

// errForgotten says that a proof needs records that are no longer kept.
var errForgotten = errors.New("no longer kept")
