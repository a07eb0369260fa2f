package client

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// TestTokenIsTakenFromItsFileAgain refuses a token on a live connection and at HELLO,
// while its file holds another one by then.
func TestTokenIsTakenFromItsFileAgain(t *testing.T) {
	p := newPeer(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("rl1_AQ")
	c := p.dial(t, func(o *Options) { o.TokenFile = file })
	var good atomic.Int32 // the one byte of the token that holds
	good.Store(2)
	var used, auths atomic.Int32
	used.Store(1)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		switch f.Type {
		case wire.FrameHello:
			var m wire.Hello
			m.Decode(f.Payload)
			used.Store(int32(m.Token[0]))
			if good.Load() == 4 {
				write("rl1_BA") // exchanged while HELLO is under way
			}
			if used.Load() != good.Load() {
				c.refuse(f.RequestID, wire.ReasonCapInvalid, "revoked", 0)
				return true
			}
			return false
		case wire.FrameAuth:
			var m wire.Auth
			m.Decode(f.Payload)
			used.Store(int32(m.Token[0]))
			auths.Add(1)
			c.answer(wire.FrameOK, 0, f.RequestID, (&wire.OK{}).Append)
			return true
		}
		if used.Load() != good.Load() {
			c.refuse(f.RequestID, wire.ReasonCapInvalid, "revoked", 0)
			return true
		}
		return false
	})
	var refused *ReasonError
	if _, err := c.AppendRetry(t.Context(), batchOf(t, 1, 1)); !errors.As(err, &refused) || auths.Load() != 0 {
		t.Errorf("with the same token in the file: %v, %d AUTH", err, auths.Load())
	}
	write("rl1_Ag")
	if _, err := c.AppendRetry(t.Context(), batchOf(t, 1, 1)); err != nil || auths.Load() != 1 {
		t.Errorf("with another token in the file: %v, %d AUTH", err, auths.Load())
	}
	write("rl1_Aw")
	good.Store(3)
	if _, err := c.Status(t.Context()); err != nil || auths.Load() != 2 {
		t.Errorf("a read with another token in the file: %v, %d AUTH", err, auths.Load())
	}
	good.Store(4)
	p.cut()
	if _, err := c.AppendRetry(t.Context(), batchOf(t, 2, 1)); err != nil || auths.Load() != 2 {
		t.Errorf("a connection with a token that was exchanged meanwhile: %v, %d AUTH", err, auths.Load())
	}
}

// TestBatchIsNotSentToAnotherLedger breaks the connection amid an append and puts a
// ledger with another log id behind the socket.
func TestBatchIsNotSentToAnotherLedger(t *testing.T) {
	p := newPeer(t)
	p.welcome.LogID = [16]byte{1}
	c := p.dial(t, nil)
	p.intercept(func(c *peerConn, f wire.Frame) bool {
		if f.Type != wire.FrameAppend {
			return false
		}
		c.mu.Lock()
		c.welcome.LogID, c.before = [16]byte{2}, nil
		c.mu.Unlock()
		_ = c.Close()
		return true
	})
	b := batchOf(t, 1, 1)
	_, err := c.AppendRetry(t.Context(), b)
	if !errors.Is(err, ErrLedgerReplaced) || !errors.Is(err, ErrOutcomeUnknown) || len(p.log) != 0 {
		t.Errorf("%v, and %d entries booked", err, len(p.log))
	}
	b.Reset() // the caller has decided
	if err := b.AddRaw(batchOf(t, 1, 1).Entry(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AppendRetry(t.Context(), b); err != nil {
		t.Error(err)
	}
}

func TestServerOfAnotherUIDIsSentNothing(t *testing.T) {
	p := newPeer(t)
	uid := uint32(os.Getuid())
	p.dial(t, func(o *Options) { o.CheckServer = RequireUID(uid+1, uid) })
	o := Options{Socket: p.socket, CheckServer: RequireUID(uid + 1)}
	if _, err := Dial(t.Context(), o); err == nil || len(p.hellos) != 1 {
		t.Errorf("dialled: %v, %d HELLO", err, len(p.hellos))
	}
}
