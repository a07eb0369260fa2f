package sidecar

import (
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// A proof reads the records of two blocks, that of the leaf and the last one, wherever the
// newest checkpoint of the state is: the tiles behind it come with the head.
func TestProofsReadTwoBlocks(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Checkpoint.IntervalEntries = 1 << 20 })
	check := func(when string) {
		t.Helper()
		blocks := map[uint64]bool{}
		read := o.roots.prover.Leaves
		o.roots.prover.Leaves = func(block uint64, width int) ([]merkle.Hash, error) {
			blocks[block] = true
			return read(block, width)
		}
		size := o.committer.Head().Size
		for _, from := range []uint64{1, 255, 256, 257, 1000, size / 2, size - 1, size} {
			for _, m := range []wire.Prove{{From: from}, {From: from, Consistency: true}} {
				clear(blocks)
				if _, fault, err := o.roots.prove(t.Context(), &m); !fault.OK() || err != nil {
					t.Fatalf("%s: prove %+v: %v %v", when, m, fault, err)
				}
				if len(blocks) > 2 {
					t.Errorf("%s: %+v reads %d blocks", when, m, len(blocks))
				}
			}
		}
	}
	for range 30 {
		o.commit(129)
	}
	check("without a checkpoint")
	o.checkpoint()
	for range 10 {
		o.commit(129)
	}
	check("behind a checkpoint")
	o.restart()
	check("after a restart")
}

// Proofs between small commits come out at every width of the last block, in the newest tree,
// in older ones, and where an older one asks for less of a block than is known of it.
func TestProofsFollowTheLog(t *testing.T) {
	o := newOuter(t, nil)
	for range 150 {
		o.commit(1 + int(o.committer.Head().Size)%7)
		size := o.committer.Head().Size
		for _, m := range []wire.Prove{
			{From: size}, {From: 1 + size/3}, {From: 1 + size/2, Consistency: true}, {From: size, Consistency: true},
			{From: 1 + size/4, Size: 1 + size/2}, {From: 1 + size/4, Size: max(1, size-1), Consistency: true},
		} {
			if m.Size > 0 && m.From > m.Size {
				continue
			}
			answer, fault, err := o.roots.prove(t.Context(), &m)
			if !fault.OK() || err != nil {
				t.Fatalf("at size %d: prove %+v: %v %v", size, m, fault, err)
			}
			if root, err := newProver(o.store).RootAt(answer.Size); err != nil || root != answer.Root {
				t.Fatalf("at size %d: prove %+v: root %x, and %x without what was known (%v)", size, m, answer.Root, root, err)
			}
		}
	}
}
