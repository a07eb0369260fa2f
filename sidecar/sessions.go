package sidecar

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/peercred"
)

// sessionTable knows the connections, counts them by uid, and can wake them.
//
// Invariant: len(conns) == Σ byUID, and no count is zero.
type sessionTable struct {
	mu      sync.Mutex
	conns   map[net.Conn]*session // nil until it is served
	byUID   map[uint32]int
	waking  bool
	running sync.WaitGroup
}

func (t *sessionTable) init() {
	t.conns = make(map[net.Conn]*session)
	t.byUID = make(map[uint32]int)
}

// admit counts a connection, or says why there is no room for it.
func (t *sessionTable) admit(conn net.Conn, peer peercred.Cred, limits *UDSConfig) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.waking:
		return "the sidecar is shutting down"
	case len(t.conns) >= limits.MaxConnections:
		return fmt.Sprintf("%d connections are open (uds.max_connections)", len(t.conns))
	case t.byUID[peer.UID] >= limits.MaxConnectionsPerUID:
		return fmt.Sprintf("uid %d has %d connections open (uds.max_connections_per_uid)", peer.UID, t.byUID[peer.UID])
	}
	t.conns[conn] = nil
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
	t.conns[ss.conn] = ss
}

// expiring returns how many connections have a token that ends before a time in Unix
// seconds, or has ended.
func (t *sessionTable) expiring(before int64) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ss := range t.conns {
		if ss == nil {
			continue
		}
		if judged := ss.grant.Load(); judged != nil {
			if end, ends := judged.rights.ExpiresUnix(); ends && end < before {
				n++
			}
		}
	}
	return n
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
