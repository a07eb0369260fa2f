package sidecartest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// refused waits until the server has said something, and leaves it unread.
func (r *Raw) refused() {
	r.t.Helper()
	control, err := r.SyscallConn()
	if err != nil {
		r.t.Fatal(err)
	}
	var peeked error
	err = control.Read(func(fd uintptr) bool {
		_, _, peeked = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return peeked != syscall.EAGAIN
	})
	if err != nil || peeked != nil {
		r.t.Fatalf("wait for the answer: %v, %v", err, peeked)
	}
}

// TestTurnedAwayIsToldWhy has no room for further connections: whoever says HELLO before or after it was refused learns the
// reason, and sees an end and no reset. Who goes on sending is cut off, and no more than a few are waited for.
func TestTurnedAwayIsToldWhy(t *testing.T) {
	s, token := startSidecar(t, func(c *sidecar.Config) { c.UDS.MaxConnections = 1 })
	greet(t, s, token)
	for name, send := range map[string][][]byte{
		"says nothing":             nil,
		"says HELLO":               {HelloFrame(token)},
		"says HELLO and much more": {HelloFrame(token), make([]byte, 16<<10), make([]byte, 16<<10)},
	} {
		for _, when := range []string{"before it is refused", "after it is refused"} {
			conn := DialRaw(t, s.Socket())
			if strings.HasPrefix(when, "after") {
				conn.refused()
				time.Sleep(20 * time.Millisecond) // for what the server does behind it
			}
			for _, b := range send {
				conn.Send(b)
			}
			if m := conn.ReceiveError(); m.Reason != wire.ReasonBusy || !strings.Contains(m.Detail, "uds.max_connections") {
				t.Errorf("%s %s: it is told %s: %q", name, when, m.Reason, m.Detail)
			}
			if !conn.Closed() {
				t.Errorf("%s %s: the connection does not end", name, when)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}

	endless := DialRaw(t, s.Socket())
	sent := 0
	for {
		n, err := endless.Write(make([]byte, 4<<10))
		if sent += n; err != nil {
			break
		}
	}
	if sent > 1<<20 {
		t.Errorf("%d bytes were taken of one who is not served", sent)
	}

	before := openSockets(t)
	const others = 200
	for range others {
		DialRaw(t, s.Socket()).refused()
	}
	const most = 64 + 1 // the one that is being turned away was told, and may not be closed yet
	if waitedFor := openSockets(t) - before - others; waitedFor > most {
		t.Errorf("%d who are not served are waited for at once", waitedFor)
	}
}

// openSockets counts those of this process, in which the sidecar is. The files that it has open come and go.
func openSockets(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if what, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err == nil && strings.HasPrefix(what, "socket:") {
			n++
		}
	}
	return n
}
