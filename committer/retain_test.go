package committer

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// retained is a ledger whose older bodies are pruned while a crash may come.
type retained struct {
	*bench
	booked []wire.Fields                // by sequence number - 1
	roots  map[uint64]merkle.Hash       // by size, as answered
	money  map[uint64]map[string]string // by size
	acked  atomic.Uint64
	groups map[[16]byte][2]uint64 // first and last of the atomic requests
}

const retainInterval = 90

func newRetained(t *testing.T, fs *store.FS) *retained {
	b := &bench{t: t, fs: fs, dir: "/home", hash: merkle.Blake3, options: Options{CheckpointEntries: retainInterval}}
	b.start()
	return &retained{bench: b, roots: map[uint64]merkle.Hash{}, money: map[uint64]map[string]string{}, groups: map[[16]byte][2]uint64{}}
}

// book submits entries of which all are accepted.
func (r *retained) book(group byte, entries ...wire.Fields) {
	r.t.Helper()
	for i := range entries {
		entries[i].Nonce = r.nonce()
	}
	request := r.request(entries...)
	if group > 0 {
		request.Atomic, request.IdemID = true, [16]byte{group}
	}
	if r.do(request); int(request.Accepted) != len(entries) {
		r.t.Fatalf("behind %d: %+v", len(r.booked), request.Results)
	}
	if group > 0 {
		r.groups[request.IdemID] = [2]uint64{request.First, request.Last}
	}
	r.booked = append(r.booked, entries...)
	r.acked.Store(request.Size)
	r.roots[request.Size] = request.Root
	r.money[request.Size] = r.balances()
}

func (r *retained) balances() map[string]string {
	all := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		all[name] = r.balance(name, "")
	}
	return all
}

func (r *retained) ref(kind wire.Kind, seq, amount uint64) wire.Fields {
	of := r.booked[seq-1]
	f := wire.Fields{Kind: kind, Account: of.Account, Amount: wire.AmountOf(amount), Ref: of.Nonce}
	if kind == wire.KindCapture {
		f.Counterparty = "c"
	}
	return f
}

// refused submits an entry that is refused for that reason.
func (r *retained) refused(reason wire.Reason, f wire.Fields) {
	r.t.Helper()
	if f.Nonce == (wire.Nonce{}) {
		f.Nonce = r.nonce()
	}
	answer := r.append(f)
	if len(answer.Results) != 1 || answer.Results[0].Reason != reason {
		r.t.Errorf("%+v: %+v instead of %v", f, answer.Results, reason)
	}
}

// Where the entries of the story are that others name later.
const (
	openHold, partHold, usedHold, spent, secondSpent, thirdSpent = 2, 3, 4, 6, 7, 8
	retainCut                                                    = 513 // a whole number of blocks behind 0
)

// begin books what gets pruned: three holds, transfers, and atomic requests, one of them across the cut.
func (r *retained) begin() {
	hold := wire.Fields{Kind: wire.KindHold, Account: "a", Amount: wire.AmountOf(100)}
	r.book(0, mint("a", 1_000_000), hold, hold, hold)
	r.book(0, r.ref(wire.KindCapture, usedHold, 100), transfer("a", "b", 11), transfer("a", "b", 12), transfer("a", "b", 13))
	r.book(0, r.ref(wire.KindCapture, partHold, 40))
	r.book(1, transfer("a", "b", 1), transfer("a", "c", 2))
	for group := byte(2); len(r.booked) < 640; group++ {
		if size := len(r.booked); size < retainCut-30 && size > retainCut-60 {
			r.book(0, transfers(retainCut-10-1-size)...)
			r.book(group, transfers(20)...) // from before the cut to behind it
		}
		r.book(0, transfers(23)...)
		r.book(group+100, transfers(3)...)
	}
}

func transfers(n int) (entries []wire.Fields) {
	for range n {
		entries = append(entries, transfer("a", "b", 1))
	}
	return entries
}

// prune lets the bodies before the cut go, with entries that name pruned ones before and behind: what is
// accepted before the checkpoint that they go behind is replayed where that checkpoint is lost.
func (r *retained) prune() {
	r.book(0, r.ref(wire.KindReverse, spent, 11))
	r.Retain(retainCut + 40)
	r.book(0, r.ref(wire.KindReverse, secondSpent, 12), r.ref(wire.KindRelease, partHold, 10))
	r.do(&Request{Op: OpCheckpoint})
	r.refused(wire.ReasonUnknownRef, r.ref(wire.KindReverse, thirdSpent, 13))
	r.book(0, r.ref(wire.KindCapture, openHold, 30))
	r.book(7, transfer("a", "b", 5), transfer("b", "c", 5))
	r.do(&Request{Op: OpCheckpoint})
	r.book(0, r.ref(wire.KindRelease, openHold, 20))
}

// check holds what a start found against what was answered, and asks for everything again.
func (r *retained) check(acknowledged uint64) {
	r.t.Helper()
	head := r.Head()
	root, known := r.roots[head.Size]
	if r.Loss() != nil || head.Size < acknowledged || !known || head.Root != root {
		r.t.Fatalf("opened at size %d, root %v, with %d acknowledged: %v", head.Size, head.Root, acknowledged, r.Loss())
	}
	if got, want := r.balances(), r.money[head.Size]; fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("balances at %d: %v instead of %v", head.Size, got, want)
	}
	for seq := uint64(1); seq <= head.Size; seq += 1 + seq%7 {
		f := r.booked[seq-1]
		f.Timestamp = 77 // is no content
		if answer := r.append(f); len(answer.Results) != 1 || answer.Results[0].Outcome != wire.OutcomeDuplicate || answer.Results[0].Seq != seq {
			r.t.Errorf("entry %d again: %+v", seq, answer.Results)
		}
		f.Memo = []byte("other")
		r.refused(wire.ReasonConflict, f)
	}
	for id, at := range r.groups {
		if at[1] > head.Size {
			continue
		}
		entries := append([]wire.Fields(nil), r.booked[at[0]-1:at[1]]...)
		r.group(id, entries, func(results []wire.EntryResult) bool {
			return len(results) == len(entries) && results[0].Outcome == wire.OutcomeDuplicate && results[0].Seq == at[0]
		})
		entries[len(entries)-1].Amount = wire.AmountOf(99)
		r.group(id, entries, func(results []wire.EntryResult) bool {
			return len(results) == 1 && results[0].Reason == wire.ReasonConflict
		})
	}
}

func (r *retained) group(id [16]byte, entries []wire.Fields, right func([]wire.EntryResult) bool) {
	r.t.Helper()
	request := r.request(entries...)
	request.Atomic, request.IdemID = true, id
	if r.do(request); request.Accepted != 0 || !right(request.Results) {
		r.t.Errorf("the atomic request %x again: %d accepted, %+v", id[0], request.Accepted, request.Results)
	}
}

// checkPruned asks for what has no body any more.
func (r *retained) checkPruned() {
	r.t.Helper()
	if tail, err := r.store.Last(); err != nil || tail.First != retainCut {
		r.t.Fatalf("kept from %d: %v", tail.First, err)
	}
	r.refused(wire.ReasonUnknownRef, r.ref(wire.KindReverse, thirdSpent, 13))
	r.refused(wire.ReasonUnknownRef, r.ref(wire.KindReverse, spent, 11))
	r.refused(wire.ReasonUnknownRef, r.ref(wire.KindRelease, usedHold, 1))
	r.refused(wire.ReasonUnknownRef, r.ref(wire.KindCapture, usedHold, 1))
	r.refused(wire.ReasonInsufficientFunds, r.ref(wire.KindCapture, openHold, 51))
	r.book(0, r.ref(wire.KindCapture, openHold, 50), r.ref(wire.KindReverse, retainCut, 1))
	r.refused(wire.ReasonAlreadyReversed, r.ref(wire.KindReverse, retainCut, 1))
}

// Entries that name others are judged while the bodies of those go, and a crash comes behind every
// third file operation: the replay comes to what was answered, and needs no body that is gone.
func TestRetainCrash(t *testing.T) {
	fs := store.NewCrashFS()
	type crash struct {
		fs           *store.FS
		acknowledged uint64
	}
	var crashes []crash
	var armed atomic.Bool
	var ops atomic.Uint64
	var r *retained
	taken := make(chan struct{}, 1) // the right to append to crashes
	taken <- struct{}{}
	r = newRetained(t, fs.Inject(func(store.Op) store.Fault {
		n := ops.Add(1)
		if !armed.Load() || n%3 != 0 {
			return store.Fault{}
		}
		return store.Fault{After: func() {
			<-taken
			at := r.acked.Load()
			crashes = append(crashes, crash{fs.CrashClone(int(n%5)*25, n), at})
			taken <- struct{}{}
		}}
	}))
	r.begin()
	r.do(&Request{Op: OpCheckpoint})
	armed.Store(true)
	r.prune()
	armed.Store(false)
	<-taken
	end := uint64(len(r.booked))
	r.stop()
	pruned := 0
	for _, crash := range crashes {
		after := &retained{bench: &bench{t: t, fs: crash.fs, dir: r.dir, hash: r.hash, options: r.options, nonces: 1 << 20},
			booked: r.booked, roots: r.roots, money: r.money, groups: r.groups}
		after.start()
		after.check(crash.acknowledged)
		if tail, _ := after.store.Last(); tail.First == retainCut && after.Head().Size == end {
			after.booked = append([]wire.Fields(nil), r.booked...)
			after.checkPruned()
			pruned++
		}
		after.stop()
	}
	if r.start(); r.Head().Size != end {
		t.Fatalf("%d entries of %d", r.Head().Size, end)
	}
	r.check(end)
	r.checkPruned()
	r.restart()
	r.check(uint64(len(r.booked)))
	r.stop()
	t.Logf("%d crashes, %d of them with everything pruned", len(crashes), pruned)
	if len(crashes) < 20 {
		t.Error("too few crashes to be worth anything")
	}
}
