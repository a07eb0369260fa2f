package committer

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// submitted is a request whose answer is not waited for.
func (b *bench) submitted(r *Request) <-chan struct{} {
	b.t.Helper()
	done := make(chan struct{})
	r.Complete = func(*Request) { close(done) }
	if reason := b.Submit(r); reason != 0 {
		b.t.Fatalf("submit: %s", reason)
	}
	return done
}

func (b *bench) mint() wire.Fields {
	return wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)}
}

// meanwhile is long enough for an answer that nobody holds back.
const meanwhile = 100 * time.Millisecond

// TestHeldBack: with Durable nothing is told before its size is released, in order: neither answers,
// nor repetitions, nor reads, nor the head.
func TestHeldBack(t *testing.T) {
	var durable atomic.Uint64
	b := newBench(t, Options{Durable: func(size uint64) { durable.Store(size) }})
	reads := func() (*Request, <-chan struct{}) {
		r := &Request{Op: OpAccount, Account: []byte("a")}
		return r, b.submitted(r)
	}
	_, done := reads()
	<-done // nothing is held back yet
	first, repeated := b.mint(), b.mint()
	first.Nonce = b.nonce()
	repeated.Nonce = first.Nonce
	one := b.submitted(b.request(first))
	for durable.Load() != 1 {
		time.Sleep(time.Millisecond)
	}
	again := b.submitted(b.request(repeated))
	read, seen := reads()
	two := b.submitted(b.request(b.mint()))
	for durable.Load() != 2 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(meanwhile)
	for name, done := range map[string]<-chan struct{}{"an append": one, "a repetition": again, "a read": seen, "a later append": two} {
		select {
		case <-done:
			t.Errorf("%s was answered before it was released", name)
		default:
		}
	}
	if size := b.Head().Size; size != 0 {
		t.Errorf("the head is at %d", size)
	}
	b.Release(1)
	<-one // the repetition may be in one commit with what follows
	select {
	case <-two:
		t.Error("the second append was answered before it was released")
	case <-time.After(meanwhile):
	}
	b.Release(2)
	<-two
	<-again
	if <-seen; !read.Known || b.Head().Size != 2 {
		t.Errorf("the read knows %v, the head is at %d", read.Known, b.Head().Size)
	}
}

// TestHeldBackBounded: behind as many commits as may wait the queue fills up, and Submit says so at once.
func TestHeldBackBounded(t *testing.T) {
	b := newBench(t, Options{Durable: func(uint64) {}, QueueRequests: 8, BatchMaxEntries: 1})
	waiting, busy := 0, false
	for deadline := time.Now().Add(time.Minute); !busy && time.Now().Before(deadline); {
		r := b.request(b.mint())
		r.Complete = func(*Request) {}
		busy = b.Submit(r) == wire.ReasonBusy
		if !busy {
			waiting++
			time.Sleep(100 * time.Microsecond)
		}
	}
	if most := heldCommits + inFlight + 8; !busy || waiting > most {
		t.Errorf("%d requests wait, at most %d may; busy: %v", waiting, most, busy)
	}
	b.Release(1 << 62)
}

// TestTurnedDown: what was turned down is answered with the reason, and the head stays; a later start has it.
func TestTurnedDown(t *testing.T) {
	var durable atomic.Uint64
	b := newBench(t, Options{Durable: func(size uint64) { durable.Store(size) }})
	r := b.request(b.mint())
	done := b.submitted(r)
	b.TurnDown(wire.ReasonSafeMode)
	<-done
	if r.Reason != wire.ReasonSafeMode || r.Accepted != 0 || r.First != 0 || b.Head().Size != 0 {
		t.Errorf("it is told %v with %d accepted, the head is at %d", r.Reason, r.Accepted, b.Head().Size)
	}
	b.restart()
	if b.Head().Size != 1 {
		t.Errorf("the next start has %d entries", b.Head().Size)
	}
}
