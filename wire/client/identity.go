package client

import (
	"fmt"
	"net"
	"slices"
	"syscall"
)

// RequireUID returns a CheckServer that takes a server only when the operating
// system says (SO_PEERCRED) that one of uids runs it. Nothing is sent to another.
func RequireUID(uids ...uint32) func(net.Conn) error {
	return func(conn net.Conn) error {
		socket, ok := conn.(syscall.Conn)
		if !ok {
			return fmt.Errorf("%T is no socket, so nobody can say who runs the server", conn)
		}
		raw, err := socket.SyscallConn()
		if err != nil {
			return fmt.Errorf("ask who runs the server: %w", err)
		}
		var credentials *syscall.Ucred
		var asked error
		err = raw.Control(func(fd uintptr) {
			credentials, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		})
		if err == nil {
			err = asked
		}
		if err != nil {
			return fmt.Errorf("ask who runs the server: %w", err)
		}
		if !slices.Contains(uids, credentials.Uid) {
			return fmt.Errorf("it runs as uid %d, expected one of %v", credentials.Uid, uids)
		}
		return nil
	}
}
