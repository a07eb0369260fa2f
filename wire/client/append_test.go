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
	p.intercept(func(_ *peerConn, f wire.Frame) bool { return f.Type == wire.FrameAppend })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Append(ctx, batchOf(t, 1, 1)); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("sent and not answered: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
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
