package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

func TestAppendTellsWhatBecameOfEachEntry(t *testing.T) {
	c := newPeer(t).dial(t, nil)
	if _, err := c.Append(t.Context(), batchOf(t, 1, 3)); err != nil {
		t.Fatal(err)
	}
	b := batchOf(t, 3, 1) // a duplicate of the third
	burn := wire.Fields{Kind: wire.KindBurn, Account: "acct/a", Amount: wire.AmountOf(1), Nonce: nonceOf(99)}
	for _, f := range []wire.Fields{b.Entry(0).Fields(), burn, {Kind: wire.KindMint, Account: "x", Amount: wire.AmountOf(1), Nonce: nonceOf(100)}} {
		if err := b.Add(&f); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Append(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != 1 || r.First != 4 || r.Last != 4 || r.Size != 4 || len(r.Results) != 3 || r.Root[0] != 4 {
		t.Fatalf("result %+v", r)
	}
	for i, want := range []struct {
		seq     uint64
		outcome wire.Outcome
	}{{3, wire.OutcomeDuplicate}, {3, wire.OutcomeDuplicate}, {0, wire.OutcomeRejected}, {4, 0}} {
		seq, result := r.Outcome(i)
		if seq != want.seq || (result == nil) != (want.outcome == 0) || result != nil && result.Outcome != want.outcome {
			t.Errorf("entry %d: seq %d, result %+v, want %+v", i, seq, result, want)
		}
	}
}

func TestPipelinedAppendsKeepTheirOrder(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	var pending []*Pending
	for i := range 200 {
		pending = append(pending, c.Submit(t.Context(), batchOf(t, 10*i, 10)))
	}
	for i, pd := range pending {
		r, err := pd.Wait(t.Context())
		if err != nil || r.First != uint64(10*i+1) || r.Accepted != 10 {
			t.Fatalf("batch %d: %+v, %v", i, r, err)
		}
	}
}

func TestManyGoroutinesShareAConnection(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 20 {
				if _, err := c.Append(t.Context(), batchOf(t, 1000*g+10*i, 10)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(p.log) != 16*20*10 || len(p.hellos) != 1 {
		t.Fatalf("%d entries over %d connections", len(p.log), len(p.hellos))
	}
}

func TestBatchBeyondTheLimitsIsRefusedHere(t *testing.T) {
	p := newPeer(t)
	p.welcome.MaxFrame, p.welcome.MaxEntriesPerRequest = 4096, 10
	c := p.dial(t, nil)
	withIdem := batchOf(t, 1, 1)
	withIdem.IdemID = [16]byte{1}
	large := new(Batch)
	for i := range 4 {
		if err := large.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(i), Memo: make([]byte, 1024)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		batch  *Batch
		reason wire.Reason
	}{
		"no entries":             {new(Batch), wire.ReasonMalformed},
		"too many entries":       {batchOf(t, 1, 11), wire.ReasonTooLarge},
		"too many bytes":         {large, wire.ReasonTooLarge},
		"idem_id without atomic": {withIdem, wire.ReasonMalformed},
	} {
		var refused *ReasonError
		if _, err := c.Append(t.Context(), tc.batch); !errors.As(err, &refused) || refused.Reason != tc.reason {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusalIsTyped(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type == wire.FrameAppend {
			c.refuse(f.RequestID, wire.ReasonDiskPressure, "no room", 250)
		}
		return f.Type == wire.FrameAppend
	})
	var refused *ReasonError
	_, err := c.Append(t.Context(), batchOf(t, 1, 1))
	if !errors.As(err, &refused) || refused.Reason != wire.ReasonDiskPressure || refused.RetryAfter != 250*time.Millisecond {
		t.Fatalf("%v", err)
	}
	if _, ok := Retryable(err); ok || err.Error() != "append: disk_pressure: no room" {
		t.Fatalf("%v, retryable %v", err, ok)
	}
}

func TestLostAnswerIsOutcomeUnknown(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type == wire.FrameAppend {
			_ = c.Conn.Close()
		}
		return f.Type == wire.FrameAppend
	})
	b := batchOf(t, 1, 1)
	_, err := c.Append(t.Context(), b)
	var unknown *OutcomeUnknownError
	if !errors.As(err, &unknown) || unknown.Batch != b || !errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrDisconnected) {
		t.Fatalf("%v", err)
	}
	p.intercept(nil)
	if _, err := c.Append(t.Context(), batchOf(t, 2, 1)); !errors.Is(err, ErrDisconnected) || errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("an append overtook one of unknown outcome: %v", err)
	}
	if err := c.Reconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestCleanBreakIsHealedByTheNextRequest(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	if _, err := c.Append(t.Context(), batchOf(t, 1, 1)); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	broken := c.pipe
	c.mu.Unlock()
	p.cut()
	<-broken.done
	if r, err := c.Append(t.Context(), batchOf(t, 2, 1)); err != nil || r.First != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestContextEndsAWaitingAppend(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, func(o *Options) { o.MaxInflight = 1 })
	ctx, expire := context.WithCancelCause(t.Context())
	p.intercept(func(_ *peerConn, f wire.Frame) bool {
		if f.Type == wire.FrameAppend {
			expire(context.DeadlineExceeded) // once it was sent, however long that took
		}
		return f.Type == wire.FrameAppend
	})
	if _, err := c.Append(ctx, batchOf(t, 1, 1)); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("sent and not answered: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Append(ctx, batchOf(t, 2, 1)); !errors.Is(err, ErrDisconnected) || errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("never sent: %v", err)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	received := make(chan struct{}, 1)
	p.intercept(func(_ *peerConn, f wire.Frame) bool {
		if f.Type == wire.FrameAppend {
			received <- struct{}{}
		}
		return f.Type == wire.FrameAppend
	})
	pending := c.Submit(t.Context(), batchOf(t, 1, 1))
	<-received
	_ = c.Close()
	if _, err := pending.Wait(t.Context()); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, ErrClosed) {
		t.Fatalf("%v", err)
	}
	if _, err := c.Append(t.Context(), batchOf(t, 2, 1)); !errors.Is(err, ErrClosed) {
		t.Fatalf("%v", err)
	}
}

// answerWith answers the next appends with a, and returns the flags that they had.
func answerWith(p *peer, a *wire.Appended) *wire.AppendRequest {
	var got wire.AppendRequest
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAppend {
			return false
		}
		got.Decode(f.Payload)
		c.answer(wire.FrameAppended, 0, f.RequestID, func(b []byte) []byte { return wire.AppendAppended(b, a) })
		return true
	})
	return &got
}

func TestRefusedAtomicBatchNamesOnlyWhatMadeItFail(t *testing.T) {
	p := newPeer(t)
	rejected := wire.EntryResult{Index: 1, Outcome: wire.OutcomeRejected, Reason: wire.ReasonUnbalanced}
	got := answerWith(p, &wire.Appended{Size: 7, Results: []wire.EntryResult{rejected}})
	c := p.dial(t, nil)
	b := batchOf(t, 1, 3)
	b.Atomic, b.IdemID = true, [16]byte{9}
	r, err := c.Append(t.Context(), b)
	if err != nil || !r.Refused || r.Accepted != 0 || r.Size != 7 {
		t.Fatalf("result %+v, %v", r, err)
	}
	if got.Flags != wire.AppendAtomic || got.IdemID != b.IdemID {
		t.Errorf("it was sent with flags %b and idem_id %x", got.Flags, got.IdemID)
	}
	for i, want := range []*wire.EntryResult{nil, &rejected, nil} {
		if seq, result := r.Outcome(i); seq != 0 || (result == nil) != (want == nil) || want != nil && *result != *want {
			t.Errorf("entry %d: seq %d, result %+v, want %+v", i, seq, result, want)
		}
	}
	b.Atomic, b.IdemID = false, [16]byte{}
	if _, err := c.Append(t.Context(), b); !errors.Is(err, ErrProtocol) {
		t.Errorf("the same answer to entries that stand alone: %v", err)
	}
}

func TestDryRunHasNoSequenceNumbers(t *testing.T) {
	p := newPeer(t)
	duplicate := wire.EntryResult{Index: 0, Outcome: wire.OutcomeDuplicate, Seq: 5}
	got := answerWith(p, &wire.Appended{Size: 7, Accepted: 2, Results: []wire.EntryResult{duplicate}})
	b := batchOf(t, 1, 3)
	b.DryRun, b.Balances = true, true
	r, err := p.dial(t, nil).Append(t.Context(), b)
	if err != nil || r.Refused || r.Accepted != 2 {
		t.Fatalf("result %+v, %v", r, err)
	}
	if got.Flags != wire.AppendDryRun|wire.AppendBalances {
		t.Errorf("it was sent with flags %b", got.Flags)
	}
	for i, want := range []uint64{5, 0, 0} {
		if seq, _ := r.Outcome(i); seq != want {
			t.Errorf("entry %d: seq %d, want %d", i, seq, want)
		}
	}
}
