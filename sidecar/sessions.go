package sidecar

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/wire"
)

// sessionTable knows the connections, counts them by uid, and can wake them.
//
// Invariant: len(conns) == Σ byUID, and no count is zero.
type sessionTable struct {
	mu      sync.Mutex
	conns   map[net.Conn]*connection
	byUID   map[uint32]int
	taken   uint64 // connections so far
	waking  bool
	running sync.WaitGroup
}

// connection is one that was taken.
type connection struct {
	conn    net.Conn
	uid     uint32
	number  uint64        // in the order in which they were made
	session *session      // nil until it is served
	read    chan struct{} // closed when nothing more of it will be read
}

func (t *sessionTable) init() {
	t.conns = make(map[net.Conn]*connection)
	t.byUID = make(map[uint32]int)
}

// ownConnections is how many of so many connections are kept for the sidecar's own uid: a probe is answered, and an operator
// gets in, when others have taken all that they can.
func ownConnections(most int) int { return min(8, most/8) }

// admit counts a connection, or says why there is no room for it.
func (t *sessionTable) admit(conn net.Conn, peer peercred.Cred, limits *UDSConfig) string {
	most := limits.MaxConnections
	if peer.UID != uint32(os.Geteuid()) {
		most -= ownConnections(most)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.waking:
		return "the sidecar is shutting down"
	case len(t.conns) >= most:
		return fmt.Sprintf("%d connections are open (uds.max_connections)", len(t.conns))
	case t.byUID[peer.UID] >= limits.MaxConnectionsPerUID:
		return fmt.Sprintf("uid %d has %d connections open (uds.max_connections_per_uid)", peer.UID, t.byUID[peer.UID])
	}
	t.taken++
	t.conns[conn] = &connection{conn: conn, uid: peer.UID, number: t.taken, read: make(chan struct{})}
	t.byUID[peer.UID]++
	return ""
}

func (t *sessionTable) leave(conn net.Conn, peer peercred.Cred) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, conn)
	if t.byUID[peer.UID]--; t.byUID[peer.UID] == 0 {
		delete(t.byUID, peer.UID)
	}
}

// serves says which session a connection has.
func (t *sessionTable) serves(ss *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[ss.conn].session = ss
}

// wasRead says that nothing more of a connection will be read, and that all that was is on its way.
func (t *sessionTable) wasRead(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.conns[conn].read)
}

// before returns the connections of the same uid that were made earlier.
func (t *sessionTable) before(conn net.Conn) (list []*connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	this := t.conns[conn]
	if t.byUID[this.uid] < 2 {
		return nil
	}
	for _, c := range t.conns {
		if c.uid == this.uid && c.number < this.number {
			list = append(list, c)
		}
	}
	return list
}

// fence waits until the earlier connections that the peer's uid has closed are read to their end. A client that closes a broken
// connection before it makes another one therefore knows, once that one is welcomed, that nothing which the first one
// left behind will be judged later: what it is told then is final.
func (t *sessionTable) fence(ss *session) wire.Fault {
	var limit <-chan time.Time
	for _, c := range t.before(ss.conn) {
		if !peercred.HungUp(c.conn) {
			continue
		}
		if limit == nil {
			limit = time.After(ss.sidecar.live().UDS.FrameTimeout.Duration())
		}
		select {
		case <-c.read:
		case <-ss.ctx.Done():
			return wire.Fault{Reason: wire.ReasonDraining, Detail: "the sidecar is shutting down"}
		case <-limit:
			return wire.Fault{Reason: wire.ReasonBusy, Detail: "a connection that this uid has closed is still being read (uds.frame_timeout)"}
		}
	}
	return wire.Fault{}
}

// expiring returns how many connections have a token that ends before a time in Unix
// seconds, or has ended.
func (t *sessionTable) expiring(before int64) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		if c.session == nil {
			continue
		}
		if judged := c.session.grant.Load(); judged != nil {
			if end, ends := judged.rights.ExpiresUnix(); ends && end < before {
				n++
			}
		}
	}
	return n
}

// UIDConnections is how many connections a uid has.
type UIDConnections struct {
	UID         uint32 `json:"uid"`
	Connections int    `json:"connections"`
}

// uidsShown bounds STATUS: who has fewer connections than so many others is in the sum alone.
const uidsShown = 8

// most returns who has most connections, by their number and then by uid.
func (t *sessionTable) most() []UIDConnections {
	t.mu.Lock()
	list := make([]UIDConnections, 0, len(t.byUID))
	for uid, n := range t.byUID {
		list = append(list, UIDConnections{uid, n})
	}
	t.mu.Unlock()
	slices.SortFunc(list, func(a, b UIDConnections) int {
		return cmp.Or(cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.UID, b.UID))
	})
	return list[:min(len(list), uidsShown)]
}

// count returns the number of connections.
func (t *sessionTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}

// wakeAll ends the reading of every connection: each then writes what is left to
// be answered and closes.
func (t *sessionTable) wakeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waking = true
	for conn := range t.conns {
		_ = conn.SetReadDeadline(time.Now()) // a connection that is closed needs no waking
	}
}

// wait waits for all sessions to end, and breaks them off when ctx ends first.
func (t *sessionTable) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		t.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	left := len(t.conns)
	for conn := range t.conns {
		_ = conn.Close()
	}
	t.mu.Unlock()
	<-done
	return fmt.Errorf("close connections: %d did not take their answers in time: %w", left, ctx.Err())
}
