package committer

import (
	"sync"

	"github.com/rustyonions/ron-ledger/wire"
)

// heldCommits is how many commits may be durable and not yet released. Beyond it nothing is taken from
// the queue, which then fills up.
const heldCommits = 64

// gate holds back what is durable here until it is somewhere else as well. Commits pass it in their
// order.
type gate struct {
	mu       sync.Mutex
	changed  sync.Cond
	released uint64      // commits up to this size may be told
	refusal  wire.Reason // those behind it never will; 0: they wait
}

func newGate(released uint64) *gate {
	g := &gate{released: released}
	g.changed.L = &g.mu
	return g
}

// wait returns 0 once a commit may be told, or why it must not be.
func (g *gate) wait(size uint64) wire.Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	for size > g.released && g.refusal == 0 {
		g.changed.Wait()
	}
	if size <= g.released {
		return 0
	}
	return g.refusal
}

func (g *gate) release(size uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.released = max(g.released, size)
	g.changed.Broadcast()
}

func (g *gate) turnDown(reason wire.Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusal = reason
	g.changed.Broadcast()
}

// Release lets commits up to that size be told, with Options.Durable. It may be called from any
// goroutine, and has no effect on what was turned down.
func (c *Committer) Release(size uint64) { c.gate.release(size) }

// TurnDown answers what is held back now, and what would be, with that reason: it is durable here
// and was never acknowledged. The published head stays as it is.
func (c *Committer) TurnDown(reason wire.Reason) { c.gate.turnDown(reason) }

// refuse answers the requests of a commit that is never told.
func (p *pending) refuse(reason wire.Reason) {
	for _, r := range p.requests {
		r.First, r.Last, r.Accepted, r.Known = 0, 0, 0, false
		r.Results, r.Found = r.Results[:0], r.Found[:0]
		r.Reason = reason
		r.Complete(r) // it may be in use again from here on
	}
}
