package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

func newBatcher(t testing.TB, c *Client, o BatcherOptions) *Batcher {
	t.Helper()
	b, err := NewBatcher(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func mintFields(nonce int) *wire.Fields {
	return &wire.Fields{Kind: wire.KindMint, Account: "acct/a", Amount: wire.AmountOf(1), Nonce: nonceOf(nonce)}
}

func TestBatcherTellsWhatBecameOfEachEntry(t *testing.T) {
	p := newPeer(t)
	b := newBatcher(t, p.dial(t, nil), BatcherOptions{Size: 3, Linger: time.Hour})
	burn := wire.Fields{Kind: wire.KindBurn, Account: "acct/a", Amount: wire.AmountOf(1), Nonce: nonceOf(9)}
	var futures []Future
	for _, f := range []*wire.Fields{mintFields(1), &burn, mintFields(2), mintFields(1)} {
		future, err := b.Add(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, future)
	}
	b.Flush()
	var got []Booked
	for _, future := range futures {
		booked, err := future.Wait(t.Context())
		var rejected *RejectedError
		if errors.As(err, &rejected) && rejected.Reason == wire.ReasonInsufficientFunds {
			booked.Seq = 99
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, booked)
	}
	if want := []Booked{{Seq: 1}, {Seq: 99}, {Seq: 2}, {Seq: 1, Duplicate: true}}; !slices.Equal(got, want) {
		t.Errorf("told %+v, want %+v", got, want)
	}
	if _, err := b.Add(t.Context(), &wire.Fields{Kind: wire.KindMint, Account: "not a name"}); err == nil {
		t.Error("an entry that is none was taken")
	}
}

func TestBatcherSendsWhatLingers(t *testing.T) {
	p := newPeer(t)
	b := newBatcher(t, p.dial(t, nil), BatcherOptions{Linger: time.Millisecond})
	future, err := b.Add(t.Context(), mintFields(1))
	if err != nil {
		t.Fatal(err)
	}
	if booked, err := future.Wait(t.Context()); err != nil || booked.Seq != 1 {
		t.Errorf("%+v, %v", booked, err)
	}
}

// TestBatcherOutlivesBreaks breaks the connection again and again under many
// goroutines: each entry is booked once, and each is told so.
func TestBatcherOutlivesBreaks(t *testing.T) {
	p := newPeer(t)
	var requests atomic.Int32
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAppend {
			return false
		}
		switch requests.Add(1) % 7 {
		case 2:
			_ = c.Close()
			return true
		case 4: // booked, and nobody is told
			half := *c
			half.Conn = deaf{c.Conn}
			half.append(f)
			_ = c.Close()
			return true
		case 6:
			c.refuse(f.RequestID, wire.ReasonBusy, "full", 1)
			return true
		}
		return false
	})
	b := newBatcher(t, p.dial(t, nil), BatcherOptions{Size: 5, Linger: time.Millisecond, Inflight: 3})
	const goroutines, each = 8, 12
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range each {
				future, err := b.Add(t.Context(), mintFields(1000*g+i))
				if err != nil {
					t.Error(err)
					return
				}
				if booked, err := future.Wait(t.Context()); err != nil || booked.Seq == 0 {
					t.Errorf("entry %d of %d: %+v, %v", i, g, booked, err)
				}
			}
		})
	}
	all.Wait()
	if p.mu.Lock(); len(p.log) != goroutines*each {
		t.Errorf("%d entries were booked, want %d", len(p.log), goroutines*each)
	}
	p.mu.Unlock()
}

func TestBatcherBoundsWhatIsUnderWay(t *testing.T) {
	p := newPeer(t)
	release := make(chan struct{})
	p.intercept(func(_ *peerConn, f wire.Frame) bool {
		if f.Type == wire.FrameAppend {
			<-release
		}
		return false
	})
	b := newBatcher(t, p.dial(t, nil), BatcherOptions{Size: 1, Inflight: 2})
	for i := range 2 {
		if _, err := b.Add(t.Context(), mintFields(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.Add(ctx, mintFields(3)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third batch was begun: %v", err)
	}
	close(release)
	if _, err := b.Add(t.Context(), mintFields(4)); err != nil {
		t.Error(err)
	}
	b.Close()
	if _, err := b.Add(t.Context(), mintFields(5)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestBatcherEndsWithItsContext(t *testing.T) {
	p := newPeer(t)
	p.intercept(func(_ *peerConn, f wire.Frame) bool { return f.Type == wire.FrameAppend })
	ctx, cancel := context.WithCancel(t.Context())
	b, err := NewBatcher(ctx, p.dial(t, nil), BatcherOptions{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	future, err := b.Add(t.Context(), mintFields(1))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := future.Wait(t.Context()); !errors.Is(err, ErrOutcomeUnknown) && !errors.Is(err, ErrDisconnected) {
		t.Errorf("an entry without an answer is told %v", err)
	}
	b.Close()
}

// TestBatcherAllocatesPerBatchAndNotPerEntry compares batches of two sizes.
func TestBatcherAllocatesPerBatchAndNotPerEntry(t *testing.T) {
	p := newPeer(t)
	p.intercept(accepting())
	c := p.dial(t, nil)
	fields := mintFields(1)
	perBatch := func(size int) float64 {
		b := newBatcher(t, c, BatcherOptions{Size: size, Linger: time.Hour, Inflight: 1})
		round := func() {
			var last Future
			for range size {
				fields.Nonce[15]++
				var err error
				if last, err = b.Add(t.Context(), fields); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := last.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		round()
		return testing.AllocsPerRun(50, round)
	}
	few, many := perBatch(10), perBatch(1000)
	t.Logf("%.0f allocations a batch of 10, %.0f a batch of 1000", few, many)
	if few > 20 || many > 20 {
		t.Errorf("a batch of 10 entries costs %.0f allocations, one of 1000 %.0f: at most 20 each", few, many)
	}
}
