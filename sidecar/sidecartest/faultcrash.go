package sidecartest

import (
	"fmt"
	"sync"

	"github.com/rustyonions/ron-ledger/store"
)

// percents are the chances that what was not synced has to survive a crash.
var percents = []int{0, 25, 50, 75, 100}

// parts are how much of a write a crash may come amid.
var parts = []func(int) int{half, oneByte, allButOne}

// Crashes counts what a sweep of crashes did.
type Crashes struct {
	Ops     int
	Crashes map[string]int // by kind
	Refused []string       // starts that said that there is no ledger to open
}

// crasher takes what a crash would leave at an operation and recovers from it, while the run
// that is to go on waits.
type crasher struct {
	story *Story
	every bool // all kinds of crash at every operation instead of one, and a torn write
	seed  uint64
	plain *store.FS
	at    *progress

	mu    sync.Mutex
	out   Crashes
	err   error
	ended bool
}

// SweepCrashes tells the story on an empty file system, in two lives with a clean stop behind
// each, and behind every operation recovers from what a crash there leaves, with 0, 25, 50, 75
// or 100 % of what was not synced, in turn or all of them; and from every write that was torn.
func (s *Story) SweepCrashes(every bool, seed uint64) (Crashes, error) {
	c := &crasher{story: s, every: every, seed: seed, plain: store.NewCrashFS(), at: &progress{}}
	c.out.Crashes = map[string]int{}
	if err := s.play(c.plain.Inject(c.decide), c.at); err != nil {
		return c.out, fmt.Errorf("the run itself: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	return c.out, c.err
}

func (c *crasher) decide(op store.Op) store.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Ops++
	n := c.out.Ops
	if c.ended || c.err != nil {
		return store.Fault{}
	}
	what := fmt.Sprintf("operation %d, %s %s", n, op.Name, op.Path)
	fault := store.Fault{After: func() {
		for i, percent := range percents {
			if c.every || i == (n+int(c.seed))%len(percents) {
				c.crash("behind "+what, fmt.Sprintf("%d %% kept", percent), percent, n)
			}
		}
	}}
	if isData(op) {
		fault.Part = parts[(n+int(c.seed))%len(parts)](op.Bytes)
		fault.Between = func() { c.crash("amid "+what, "torn write", 100, n) }
	}
	return fault
}

func (c *crasher) crash(where, kind string, percent, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.ended {
		return
	}
	before := c.at.clone() // what was acknowledged by now; sent may grow meanwhile
	left := c.plain.CrashClone(percent, c.seed<<20+uint64(n))
	before.sent.Store(c.at.sent.Load())
	c.out.Crashes[kind]++
	if _, err := c.story.Recover(left, before); err != nil {
		if before.acked.Load() == 0 && percent > 0 && percent < 100 {
			c.out.Refused = append(c.out.Refused, fmt.Sprintf("%s, %s: %v", where, kind, err))
			return
		}
		c.err = fmt.Errorf("crash %s, %s, with %d acknowledged and %d sent: %w", where, kind, before.acked.Load(), before.sent.Load(), err)
	}
}
