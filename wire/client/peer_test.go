package client

import (
	"bytes"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rustyonions/ron-ledger/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a server in a few lines: it books whatever has a new identity.
type peer struct {
	t        testing.TB
	listener net.Listener
	socket   string
	welcome  wire.Welcome
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  []net.Conn
	seqs   map[string]uint64 // by account and nonce
	log    []wire.Entry
	hellos []wire.Hello
	// before is asked first for each request; true means that it has dealt with it.
	before func(c *peerConn, f wire.Frame) bool
}

type peerConn struct {
	*peer
	net.Conn
}

// newPeer starts a peer that ends with the test.
func newPeer(t testing.TB) *peer {
	p := &peer{t: t, socket: filepath.Join(t.TempDir(), "s"), seqs: make(map[string]uint64)}
	p.welcome = wire.Welcome{
		Version: wire.Version1, MaxFrame: 1 << 20, MaxInflight: 8, MaxEntriesPerRequest: 1000,
		ServerName: "peer", HashName: "blake3", Profile: "macronode", Rights: []string{"op = append,read"},
	}
	var err error
	if p.listener, err = net.Listen("unix", p.socket); err != nil {
		t.Fatal(err)
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *peer) dial(t testing.TB, change func(*Options)) *Client {
	t.Helper()
	o := Options{Socket: p.socket, Name: "test"}
	if change != nil {
		change(&o)
	}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// cut breaks all connections.
func (p *peer) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// intercept sets what is asked before each request.
func (p *peer) intercept(before func(c *peerConn, f wire.Frame) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = before
}

func (p *peer) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, conn)
		p.mu.Unlock()
		p.running.Go(func() { (&peerConn{p, conn}).serve() })
	}
}

func (c *peerConn) serve() {
	defer func() { _ = c.Close() }()
	frames := wire.NewFrameBuffer(1 << 20)
	for {
		n, err := c.Read(frames.Space(4096))
		frames.Advance(n)
		for {
			frame, ok, fault := frames.Next()
			if !fault.OK() {
				c.t.Errorf("peer: %v", fault)
				return
			}
			if !ok {
				break
			}
			c.frame(frame)
		}
		if err != nil {
			return
		}
	}
}

func (c *peerConn) frame(f wire.Frame) {
	c.mu.Lock()
	before := c.before
	c.mu.Unlock()
	if before != nil && before(c, f) {
		return
	}
	switch f.Type {
	case wire.FrameHello:
		c.hello(f)
	case wire.FrameAppend:
		c.append(f)
	case wire.FrameStatus:
		answer := wire.StatusAnswer{JSON: []byte(`{"ready":true}`)}
		c.answer(wire.FrameStatusAnswer, 0, f.RequestID, answer.Append)
	default:
		c.refuse(f.RequestID, wire.ReasonMalformed, "not scripted", 0)
	}
}

func (c *peerConn) hello(f wire.Frame) {
	var m wire.Hello
	if fault := m.Decode(f.Payload); !fault.OK() {
		c.t.Errorf("peer: %v", fault)
	}
	m.Token = bytes.Clone(m.Token)
	c.mu.Lock()
	c.hellos = append(c.hellos, m)
	w := c.welcome
	w.Head.Size = max(w.Head.Size, uint64(len(c.log)))
	c.mu.Unlock()
	c.answer(wire.FrameWelcome, 0, f.RequestID, w.Append)
}

// append books what is new. The root is the size, repeated.
func (c *peerConn) append(f wire.Frame) {
	var m wire.AppendRequest
	if fault := m.Decode(f.Payload); !fault.OK() {
		c.refuse(f.RequestID, fault.Reason, fault.Detail, 0)
		return
	}
	c.mu.Lock()
	var a wire.Appended
	rest := m.Entries
	for i := range m.Count {
		entry, fault := wire.NextEntry(rest)
		if !fault.OK() {
			c.t.Errorf("peer: %v", fault)
			break
		}
		rest = rest[len(entry):]
		nonce := entry.Nonce()
		identity := string(entry.Account()) + string(nonce[:])
		if seq := c.seqs[identity]; seq != 0 {
			a.Results = append(a.Results, wire.EntryResult{Index: i, Outcome: wire.OutcomeDuplicate, Seq: seq})
			continue
		}
		if entry.Kind() == wire.KindBurn {
			a.Results = append(a.Results, wire.EntryResult{
				Index: i, Outcome: wire.OutcomeRejected, Reason: wire.ReasonInsufficientFunds, Detail: "poor",
			})
			continue
		}
		c.log = append(c.log, slices.Clone(entry))
		c.seqs[identity] = uint64(len(c.log))
		a.Accepted++
		a.Last = uint64(len(c.log))
		if a.First == 0 {
			a.First = a.Last
		}
	}
	a.Size = uint64(len(c.log))
	a.Root = [32]byte(bytes.Repeat([]byte{byte(a.Size)}, 32))
	c.mu.Unlock()
	c.answer(wire.FrameAppended, 0, f.RequestID, func(dst []byte) []byte { return wire.AppendAppended(dst, &a) })
}

func (c *peerConn) answer(kind wire.FrameType, flags uint8, id uint64, fill func([]byte) []byte) {
	_, _ = c.Write(appendFrame(nil, wire.FrameHeader{Type: kind, Flags: flags, RequestID: id}, fill))
}

func (c *peerConn) refuse(id uint64, reason wire.Reason, detail string, retryAfterMs uint32) {
	m := wire.ErrorMessage{Reason: reason, Detail: detail, RetryAfterMs: retryAfterMs}
	c.answer(wire.FrameError, 0, id, m.Append)
}

// nonceOf makes a nonce from a number.
func nonceOf(n int) (nonce wire.Nonce) {
	nonce[0], nonce[13], nonce[14], nonce[15] = 1, byte(n>>16), byte(n>>8), byte(n)
	return nonce
}

// batchOf makes a batch of entries with the nonces first, first+1, ….
func batchOf(t testing.TB, first, count int) *Batch {
	t.Helper()
	b := new(Batch)
	for i := range count {
		f := wire.Fields{Kind: wire.KindMint, Account: "acct/a", Amount: wire.AmountOf(uint64(i + 1)), Nonce: nonceOf(first + i), Timestamp: 1}
		if err := b.Add(&f); err != nil {
			t.Fatal(err)
		}
	}
	return b
}
