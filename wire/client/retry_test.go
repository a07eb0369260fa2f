package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// TestAppendRetryOutlivesEveryKindOfBreak cuts the connection before and after the
// append is booked, and refuses it for the reasons that pass.
func TestAppendRetryOutlivesEveryKindOfBreak(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	var tries atomic.Int32
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAppend {
			return false
		}
		switch tries.Add(1) {
		case 1:
			c.refuse(f.RequestID, wire.ReasonBusy, "full", 1)
		case 2:
			c.refuse(0, wire.ReasonDraining, "shutting down", 0)
			_ = c.Close()
		case 3:
			_ = c.Close()
		case 4: // booked, but the answer is lost
			half := *c
			half.Conn = deaf{c.Conn}
			half.append(f)
			_ = c.Close()
		default:
			return false
		}
		return true
	})
	r, err := c.AppendRetry(t.Context(), batchOf(t, 1, 5))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Resent || r.Accepted != 0 || len(r.Results) != 5 || len(p.log) != 5 || tries.Load() != 5 {
		t.Fatalf("after %d tries: %+v", tries.Load(), r)
	}
}

// deaf is a connection whose other side hears nothing.
type deaf struct{ net.Conn }

func (deaf) Write(b []byte) (int, error) { return len(b), nil }

func TestAppendRetryStopsAtWhatDoesNotPass(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type == wire.FrameAppend {
			c.refuse(f.RequestID, wire.ReasonSafeMode, "read-only", 0)
		}
		return f.Type == wire.FrameAppend
	})
	var refused *ReasonError
	_, err := c.AppendRetry(t.Context(), batchOf(t, 1, 1))
	if !errors.As(err, &refused) || errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("%v", err)
	}
}

func TestAppendRetryThatGivesUpKnowsThatTheOutcomeIsUnknown(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	var tries atomic.Int32
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAppend {
			return false
		}
		if tries.Add(1) == 1 {
			_ = c.Close()
		} else {
			c.refuse(f.RequestID, wire.ReasonSafeMode, "read-only", 0)
		}
		return true
	})
	b := batchOf(t, 1, 1)
	var unknown *OutcomeUnknownError
	if _, err := c.AppendRetry(t.Context(), b); !errors.As(err, &unknown) || unknown.Batch != b {
		t.Fatalf("%v", err)
	}
}

func TestAppendRetryEndsWithItsContext(t *testing.T) {
	p := newPeer(t)
	c := p.dial(t, nil)
	_ = p.listener.Close()
	p.cut()
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := c.AppendRetry(ctx, batchOf(t, 1, 1)); err == nil {
		t.Fatal("appended to nobody")
	}
}

func TestBackoffStaysInItsBounds(t *testing.T) {
	var b Backoff
	pause := BackoffMin
	for range 20 {
		if got := b.Next(0); got < pause/2 || got > pause {
			t.Fatalf("pause %v is not in [%v, %v]", got, pause/2, pause)
		}
		pause = min(2*pause, BackoffMax)
	}
	if got := b.Next(time.Minute); got != time.Minute {
		t.Fatalf("pause %v is shorter than the server asked for", got)
	}
	b.Reset()
	if got := b.Next(0); got > BackoffMin {
		t.Fatalf("first pause after a success is %v", got)
	}
}
