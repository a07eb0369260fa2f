package sidecartest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// What the concurrent run is made of.
const (
	serialWriters  = 10
	serialRequests = 120 // of each writer
	serialAccounts = 4
)

// sentRequest is a request of one writer and its answer.
type sentRequest struct {
	flight
	writer int
}

// TestConcurrentWritersAreSerial lets many writers race on a few accounts, on the same
// holds and on the same nonces. The log then says in which order the entries were booked:
// judged one after the other in that order, the model books each of them; and every
// answer agrees with the log: what was booked is there once and whole, what is a
// duplicate was there before, and the writer's own entries follow in the order sent.
func TestConcurrentWritersAreSerial(t *testing.T) {
	seed := setting(t, "MODEL_SEED", uint64(time.Now().UnixNano())%1_000_000)
	fmt.Printf("MODEL_SEED=%d\n", seed)
	fs := store.Memory()
	s, err := store.Open(store.Options{Dir: "/ledger", FS: fs, Fatal: func(what string) { panic(what) }})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c, err := committer.Open(s, committer.Options{
		BatchMaxEntries: 32, CheckpointEntries: 300, QueueRequests: 2 * serialWriters,
		NowMs: func() int64 { return 1_700_000_000_000 }, NowNs: func() int64 { return int64(time.Since(start)) },
		Fatal: func(what string) { panic(what) },
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := race(t, c, seed)
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := CheckLedger(s); err != nil {
		t.Fatal(err)
	}
	order, size := logOrder(t, s)
	checkAnswers(t, sent, order, size)
	replaySerially(t, s, sent)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// race submits from every writer at once, each awaiting its answers in turn.
func race(t *testing.T, c *committer.Committer, seed uint64) []*sentRequest {
	all := make([][]*sentRequest, serialWriters)
	var writers sync.WaitGroup
	for w := range serialWriters {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(w)))
			for i := range serialRequests {
				r := raceRequest(random, w, i)
				all[w] = append(all[w], r)
				if reason := c.Submit(&r.Request); reason != 0 {
					t.Errorf("writer %d, request %d: %s", w, i, reason)
					return
				}
				<-r.done
			}
		})
	}
	writers.Wait()
	var flat []*sentRequest
	for _, requests := range all {
		flat = append(flat, requests...)
	}
	return flat
}

func raceAccount(n int) string { return fmt.Sprintf("hot:%d", n%serialAccounts) }

// sharedNonce is one that all writers use, so that they meet at the same identity.
func sharedNonce(kind byte, n int) wire.Nonce { return wire.Nonce{0: kind, 15: byte(n + 1)} }

// raceRequest draws what a writer sends: its own entries, entries that others send as
// well, and parts of holds that all of them use up.
func raceRequest(random *rand.Rand, w, i int) *sentRequest {
	r := &sentRequest{writer: w}
	r.done = make(chan struct{})
	r.Complete = func(*committer.Request) { close(r.done) }
	request := &model.Request{Atomic: random.IntN(3) == 0}
	for n := range 1 + random.IntN(4) {
		own := wire.Nonce{0: 9, 1: byte(w), 2: byte(i), 3: byte(n)}
		account, other := raceAccount(random.IntN(100)), raceAccount(random.IntN(100))
		f := wire.Fields{Kind: wire.KindTransfer, Account: account, Counterparty: other, Nonce: own, Amount: wire.AmountOf(1 + random.Uint64N(60))}
		shared := random.IntN(40)
		switch random.IntN(9) {
		case 0, 1:
			f.Kind, f.Counterparty = wire.KindMint, ""
		case 2:
			f = wire.Fields{Kind: wire.KindMint, Account: raceAccount(shared), Nonce: sharedNonce(1, shared), Amount: wire.AmountOf(uint64(1 + random.IntN(2)))}
		case 3:
			f = wire.Fields{Kind: wire.KindHold, Account: raceAccount(shared), Nonce: sharedNonce(2, shared), Amount: wire.AmountOf(100)}
		case 4, 5:
			f.Kind, f.Account, f.Ref = wire.KindCapture, raceAccount(shared), sharedNonce(2, shared)
		case 6:
			f.Kind, f.Account, f.Counterparty, f.Ref = wire.KindRelease, raceAccount(shared), "", sharedNonce(2, shared)
		case 7:
			f = wire.Fields{Kind: wire.KindReverse, Account: raceAccount(shared), Nonce: own, Ref: sharedNonce(1, shared), Amount: wire.AmountOf(1)}
		}
		request.Entries = append(request.Entries, f)
		r.admit(n, &f, merkle.Blake3)
	}
	r.Atomic, r.sent = request.Atomic, request
	return r
}

// logOrder returns the number of every identity in the log, and how many there are.
func logOrder(t *testing.T, s *store.Store) (map[[2]string]uint64, uint64) {
	order := map[[2]string]uint64{}
	size := uint64(0)
	for record, err := range s.Records(1, 1<<62) {
		if err != nil {
			t.Fatal(err)
		}
		e := wire.Record(record.Bytes).Entry()
		order[[2]string{string(e.Account()), e.Nonce().String()}] = record.Seq
		size = record.Seq
	}
	return order, size
}

// checkAnswers holds the answers against the log: each number is told as new once.
func checkAnswers(t *testing.T, sent []*sentRequest, order map[[2]string]uint64, size uint64) {
	told := map[uint64]bool{}
	last := map[int]uint64{}
	for _, r := range sent {
		if r.Reason != 0 || r.Err != nil {
			t.Fatalf("a request came to nothing: %s %v", r.Reason, r.Err)
		}
		listed := map[uint32]wire.EntryResult{}
		for _, result := range r.Results {
			listed[result.Index] = result
		}
		next := r.First
		for i := range r.sent.Entries {
			f := &r.sent.Entries[i]
			seq := order[[2]string{f.Account, f.Nonce.String()}]
			result, isListed := listed[uint32(i)]
			switch {
			case r.sent.Atomic && r.Accepted == 0 && !isListed:
			case !isListed:
				if seq != next || told[seq] {
					t.Fatalf("entry %s of %s was told as %d, the log has it as %d (told before: %t)", f.Nonce, f.Account, next, seq, told[seq])
				}
				told[seq] = true
				next++
			case result.Outcome == wire.OutcomeDuplicate && (result.Seq != seq || seq > r.Size):
				t.Fatalf("entry %s of %s was told to repeat %d, the log has it as %d", f.Nonce, f.Account, result.Seq, seq)
			}
		}
		if r.Accepted > 0 {
			if next != r.Last+1 || r.First <= last[r.writer] {
				t.Fatalf("writer %d was told %d..%d behind %d", r.writer, r.First, r.Last, last[r.writer])
			}
			last[r.writer] = r.Last
		}
	}
	if uint64(len(told)) != size {
		t.Fatalf("%d entries were told as new, the log has %d", len(told), size)
	}
}

// replaySerially puts the requests that booked something in the order of their numbers
// and lets the model judge each as it was sent: the answer has to come out the same,
// whole with its refusals. A request that booked nothing has no place in the log; it
// must fit at some place between the answers that its writer had before and after.
func replaySerially(t *testing.T, s *store.Store, sent []*sentRequest) {
	byFirst := map[uint64]*sentRequest{}
	idle := map[int][]*sentRequest{}
	before := map[int]uint64{}
	floor := map[*sentRequest]uint64{}
	for _, r := range sent {
		floor[r] = before[r.writer]
		if r.Accepted > 0 {
			byFirst[r.First] = r
			before[r.writer] = r.Last
			continue
		}
		idle[r.writer] = append(idle[r.writer], r)
	}
	ledger := model.New()
	fits := func() {
		for w, waiting := range idle {
			for len(waiting) > 0 && floor[waiting[0]] <= ledger.Size() && ledger.Size() <= waiting[0].Size {
				r := waiting[0]
				if r.want = ledger.Try(r.sent); r.compare() != nil {
					break
				}
				waiting = waiting[1:]
			}
			idle[w] = waiting
		}
	}
	tail, err := s.Last()
	if err != nil {
		t.Fatal(err)
	}
	fits()
	for ledger.Size() < tail.Size {
		r := byFirst[ledger.Size()+1]
		if r == nil {
			t.Fatalf("no request was told number %d", ledger.Size()+1)
		}
		r.want = ledger.Append(r.sent)
		if err := r.compare(); err != nil {
			t.Fatalf("in the order of the log:\n%v", err)
		}
		fits()
	}
	for w, waiting := range idle {
		for _, r := range waiting {
			t.Errorf("writer %d: the answer fits nowhere in the log:\n%s", w, describe(r.sent))
		}
	}
}
