package sidecar

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/peercred"
)

// simNet is the connections of a simulated sidecar: pipes in memory, which are cut amid a frame,
// stall, and all end at once when the power does.
type simNet struct {
	mu     sync.Mutex
	random *rand.Rand
	server *Sidecar // nil: nobody listens
	open   map[*simConn]struct{}
	count  uint64
	out    *simCount
}

// errNobody is what a connection to a sidecar gets that is not there.
var errNobody = errors.New("simulated network: nobody listens")

// simConn is the client's end of a connection.
type simConn struct {
	net.Conn
	net      *simNet
	far      net.Conn
	cutAfter int           // bytes of both directions; 0: never
	stall    time.Duration // before the bytes behind half of that
	stalled  bool
	passed   int
}

// dial makes a connection and has the sidecar serve it.
func (n *simNet) dial(context.Context) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.server
	if s == nil {
		return nil, errNobody
	}
	near, far := net.Pipe()
	c := &simConn{Conn: near, net: n, far: far}
	if n.random.IntN(3) == 0 {
		c.cutAfter = 1 + n.random.IntN(6000)
	}
	if n.random.IntN(4) == 0 {
		c.cutAfter, c.stall = 1+n.random.IntN(8000), time.Duration(n.random.Int64N(int64(20*time.Second)))
	}
	peer := peercred.Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), PID: 1}
	if why := s.sessions.admit(far, peer, &s.config.UDS); why != "" {
		return nil, errors.Join(errNobody, errors.New(why), near.Close(), far.Close())
	}
	n.count++
	id := n.count
	n.open[c] = struct{}{}
	n.out.Connections++
	s.sessions.running.Go(func() {
		defer s.sessions.leave(far, peer)
		s.serve(far, peer, id)
	})
	return c, nil
}

// listen has connections go to a sidecar.
func (n *simNet) listen(s *Sidecar) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = s
}

// cut ends all connections, as seen from the clients: no answer arrives any more.
func (n *simNet) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = nil
	for c := range n.open {
		_ = errors.Join(c.Conn.Close(), c.far.Close())
	}
	clear(n.open)
}

func (c *simConn) Write(b []byte) (n int, err error) {
	part := c.allowed(len(b))
	if n, err = c.Conn.Write(b[:part]); err == nil && part < len(b) {
		err = net.ErrClosed
		c.sever()
	}
	return n, err
}

func (c *simConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.allowed(n) < n {
		c.sever()
		return 0, net.ErrClosed
	}
	return n, err
}

// allowed counts bytes and returns how many of them pass.
func (c *simConn) allowed(n int) int {
	c.net.mu.Lock()
	before := c.passed
	c.passed += n
	stall := c.stall > 0 && !c.stalled && c.passed > c.cutAfter/2
	c.stalled = c.stalled || stall
	c.net.mu.Unlock()
	if stall {
		time.Sleep(c.stall)
	}
	if c.cutAfter == 0 || before+n <= c.cutAfter {
		return n
	}
	return max(c.cutAfter-before, 0)
}

// sever ends the connection for both ends, with whatever of a frame has passed.
func (c *simConn) sever() {
	c.net.mu.Lock()
	delete(c.net.open, c)
	c.net.out.Cuts++
	c.net.mu.Unlock()
	_ = errors.Join(c.Conn.Close(), c.far.Close())
}
