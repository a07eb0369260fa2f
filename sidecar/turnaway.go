package sidecar

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Bounds of turning a peer away.
const (
	// turnAwayTimeout is how long a peer may take to have read why. The write of it cannot block, since nothing was
	// written before.
	turnAwayTimeout = time.Second
	// turnAwayBytes is how much of what a peer sends is read and thrown away meanwhile: a HELLO, and a request or two.
	turnAwayBytes = 64 << 10
	// turnAwayMax is how many peers are waited for at once.
	turnAwayMax = 64
)

// turnAway tells a peer why it is not served, and closes the connection once the peer has: a connection that is closed while
// bytes of the peer are unread, or on their way, is reset, and the peer learns of the reset instead of the reason. It does
// not hold up who accepts. Where too many are waited for, the connection is closed at once.
func (s *Sidecar) turnAway(conn *net.UnixConn, reason wire.Reason, detail string) {
	m := wire.ErrorMessage{Reason: reason, Detail: detail}
	_ = conn.SetDeadline(time.Now().Add(turnAwayTimeout))
	_, _ = conn.Write(appendFrame(nil, wire.FrameHeader{Type: wire.FrameError}, m.Append))
	_ = conn.CloseWrite()
	select {
	case s.turnedAway <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	s.watchers.Go(func() {
		stop := context.AfterFunc(s.ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
		_, _ = io.CopyN(io.Discard, conn, turnAwayBytes)
		stop()
		_ = conn.Close()
		<-s.turnedAway
	})
}
