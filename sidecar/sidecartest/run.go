package sidecartest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Coverage counts how often each pair of kind and outcome was reached. A Reverse counts
// twice: as such, and by the kind of its original.
type Coverage map[Pair]int

// Pair is a kind and what became of an entry of it: booked, duplicate or a reason.
type Pair struct{ Kind, Outcome string }

// Run does the steps on an empty ledger in memory and returns the first difference
// between the committer and the model. coverage may be nil.
func Run(profile Profile, steps []Step, coverage Coverage) (err error) {
	r := &runner{profile: profile, fs: store.NewCrashFS(), ledger: model.New(), coverage: coverage, failed: make(chan struct{})}
	r.roots = []merkle.Hash{profile.Hash.Empty()}
	r.frontier = merkle.NewFrontier(profile.Hash)
	if err := r.open(); err != nil {
		return err
	}
	for i := range steps {
		if err := r.step(&steps[i], i+1); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.close()
}

// runner drives a committer and the model side by side.
type runner struct {
	profile   Profile
	fs        *store.FS
	store     *store.Store
	committer *committer.Committer
	coverage  Coverage

	failing sync.Once
	failed  chan struct{} // closed once Fatal was called
	why     error         // set before failed is closed
	opened  int

	ledger   *model.Ledger
	frontier merkle.Frontier
	roots    []merkle.Hash // by size
	waiting  []*flight
}

// flight is a request under way and the answer that it has to get.
type flight struct {
	committer.Request
	step     int
	sent     *model.Request
	want     model.Answer
	balances []model.Balance
	size     uint64 // of the ledger behind it, as the model has it
	done     chan struct{}
}

// fatal never returns, as the committer and the store demand; the run ends meanwhile.
func (r *runner) fatal(what string) {
	r.failing.Do(func() {
		r.why = errors.New("fatal: " + what)
		close(r.failed)
	})
	select {}
}

func (r *runner) open() (err error) {
	r.store, err = store.Open(store.Options{Dir: "/ledger", FS: r.fs, Hash: uint8(r.profile.Hash), Fatal: r.fatal, MemtableBytes: 1 << 20, CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	if err := CheckLedger(r.store); err != nil {
		return err
	}
	start := time.Now()
	r.committer, err = committer.Open(r.store, committer.Options{
		BatchMaxEntries: r.profile.BatchMaxEntries, CheckpointEntries: r.profile.CheckpointEntries,
		CacheAccounts: r.profile.CacheAccounts, Fatal: r.fatal,
		NowMs: func() int64 { return 1_700_000_000_000 },
		NowNs: func() int64 { return int64(time.Since(start)) },
	})
	if err != nil {
		return err
	}
	if loss := r.committer.Loss(); loss != nil {
		return fmt.Errorf("opened again, the ledger is in safe mode: %w", loss)
	}
	if head := r.committer.Head(); head.Size != r.ledger.Size() || head.Root != r.roots[head.Size] {
		return fmt.Errorf("opened again, the ledger has %d entries and root %s, not %d and %s",
			head.Size, head.Root, r.ledger.Size(), r.roots[r.ledger.Size()])
	}
	if r.opened++; r.opened%2 == 0 {
		return r.checkAll()
	}
	return nil // what is asked for first is then what a request needs, not whole accounts
}

func (r *runner) close() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- r.committer.Close(ctx) }()
	select {
	case err := <-closed:
		if err != nil {
			return err
		}
	case <-r.failed:
		return r.why
	}
	return r.store.Close()
}

func (r *runner) step(s *Step, number int) error {
	switch {
	case s.Request != nil:
		if err := r.submit(s, number); err != nil {
			return err
		}
		if len(r.waiting) >= max(r.profile.Pipeline, 1) {
			return r.await()
		}
		return nil
	case s.Restart:
		for _, do := range []func() error{r.drain, r.checkAll, r.close, r.open} {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	case s.Crash:
		if err := r.drain(); err != nil {
			return err
		}
		crashed := r.fs.CrashClone(50, uint64(number))
		if err := r.close(); err != nil {
			return err
		}
		r.fs = crashed
		return r.open()
	}
	if err := r.drain(); err != nil {
		return err
	}
	return r.checkAccount(s.Read)
}

// submit admits a request as a session does, hands it over, and asks the model.
func (r *runner) submit(s *Step, number int) error {
	f := &flight{step: number, sent: s.Request, done: make(chan struct{})}
	f.Atomic, f.IdemID, f.Balances = s.Request.Atomic, s.Request.IdemID, s.Balances
	f.Complete = func(*committer.Request) { close(f.done) }
	for i := range s.Request.Entries {
		f.admit(i, &s.Request.Entries[i], r.profile.Hash)
	}
	submitted := len(f.Ends) > 0 && !(f.Atomic && len(f.Results) > 0)
	if f.Atomic && !submitted { // the session answers; the model speaks of the first
		f.Results = f.Results[:1]
	}
	size := r.ledger.Size()
	f.want = r.ledger.Append(s.Request)
	r.cover(s.Request, &f.want)
	if err := r.grow(s.Request, &f.want, size); err != nil {
		return err
	}
	f.size = r.ledger.Size()
	if s.Balances && submitted {
		f.balances = r.named(f.sent)
	}
	if !submitted {
		return f.compare()
	}
	if reason := r.committer.Submit(&f.Request); reason != 0 {
		return fmt.Errorf("submit: %s", reason)
	}
	r.waiting = append(r.waiting, f)
	return nil
}

// admit makes the record of an entry, or the result of one of bad shape.
func (f *flight) admit(i int, e *wire.Fields, hash merkle.HashKind) {
	start := len(f.Records)
	var fault wire.Fault
	if f.Records, fault = wire.AppendEntry(f.Records, e); !fault.OK() {
		f.Results = append(f.Results, wire.EntryResult{Index: uint32(i), Outcome: wire.OutcomeRejected, Reason: fault.Reason})
		return
	}
	f.Records = stamp.Append(f.Records)
	f.Indexes = append(f.Indexes, uint32(i))
	f.Ends = append(f.Ends, uint32(len(f.Records)))
	f.Leaves = append(f.Leaves, hash.Leaf(f.Records[start:]))
}

var stamp = wire.Stamp{CapabilityID: [16]byte{1, 2, 3}, KeyID: [8]byte{4, 5}}

// grow adds what the model booked to the tree that the run keeps.
func (r *runner) grow(sent *model.Request, want *model.Answer, size uint64) error {
	if r.ledger.Size() != size+uint64(want.Accepted) || want.Accepted > 0 && (want.First != size+1 || want.Last != r.ledger.Size()) {
		return fmt.Errorf("the model numbers %d entries %d..%d behind %d", want.Accepted, want.First, want.Last, size)
	}
	for seq := size + 1; seq <= r.ledger.Size(); seq++ {
		f := r.ledger.Entry(seq)
		record, fault := wire.AppendEntry(nil, &f)
		if !fault.OK() {
			return fmt.Errorf("the model booked what is no entry: %w", fault)
		}
		r.frontier.Add(r.profile.Hash.Leaf(stamp.Append(record)))
		r.roots = append(r.roots, r.frontier.Root())
	}
	return nil
}

// named returns the balances of the accounts that the admitted entries name, as they
// are now, in the order in which they are named; a Reverse names those of its original.
func (r *runner) named(sent *model.Request) (found []model.Balance) {
	listed := map[holding]bool{}
	for i := range sent.Entries {
		e := &sent.Entries[i]
		names := []string{e.Account, e.Counterparty}
		if seq := r.ledger.Seq(e.Account, e.Ref); e.Kind == wire.KindReverse && seq != 0 {
			names = append(names, r.ledger.Entry(seq).Counterparty)
		}
		for _, name := range names {
			if b, known := r.ledger.Balance(name, e.Asset); known && model.Shape(e) == 0 && !listed[holding{name, e.Asset}] {
				listed[holding{name, e.Asset}] = true
				found = append(found, b)
			}
		}
	}
	return found
}

// await takes the answer to the oldest request under way and compares it.
func (r *runner) await() error {
	f := r.waiting[0]
	r.waiting = r.waiting[1:]
	if err := r.answered(f.done); err != nil {
		return err
	}
	if err := f.compare(); err != nil {
		return err
	}
	if f.Size < f.size || f.Size > r.ledger.Size() || f.Root != r.roots[f.Size] {
		return fmt.Errorf("request of step %d: covered by size %d and root %s, the records up to %d give another", f.step-1, f.Size, f.Root, f.size)
	}
	return nil
}

// answered waits for an answer, or for the end of the committer.
func (r *runner) answered(done chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-r.failed:
		return r.why
	case <-time.After(20 * time.Second):
		return errors.New("no answer within 20 s")
	}
}

// drain takes all answers that are due.
func (r *runner) drain() error {
	for len(r.waiting) > 0 {
		if err := r.await(); err != nil {
			return err
		}
	}
	return nil
}
