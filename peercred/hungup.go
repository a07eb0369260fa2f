package peercred

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// HungUp reports whether the peer has closed its end of a connection, or has ended: what it sent before may not
// have been read yet, and nothing will follow. The kernel says so from the moment at which the peer's close returns.
// It is true of one that is closed here as well, of which what was read may still be on its way. It is false of a connection that is
// none of the kernel's, or that the peer has closed for writing alone.
func HungUp(conn net.Conn) bool {
	with, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := with.SyscallConn()
	if err != nil {
		return true
	}
	p := pollers.Get().(*poller)
	defer pollers.Put(p)
	p.hungUp = false
	err = raw.Control(p.look)
	return err != nil || p.hungUp
}

// poller asks the kernel about one descriptor. It is kept: a new connection asks of every earlier one.
type poller struct {
	polled [1]unix.PollFd
	hungUp bool
	look   func(fd uintptr)
}

var pollers = sync.Pool{New: func() any {
	p := new(poller)
	p.look = func(fd uintptr) {
		p.polled[0] = unix.PollFd{Fd: int32(fd)}
		n, err := unix.Poll(p.polled[:], 0)
		p.hungUp = err == nil && n == 1 && p.polled[0].Revents&unix.POLLHUP != 0
	}
	return p
}}
