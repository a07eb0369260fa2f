package client

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// checkOwner is the CheckServer of those who name none.
func (o *Options) checkOwner(conn net.Conn) error {
	folder, err := os.Stat(filepath.Dir(o.Socket))
	if err != nil {
		return fmt.Errorf("ask who owns the socket's folder: %w", err)
	}
	uids := []uint32{0, uint32(os.Geteuid())}
	if stat, ok := folder.Sys().(*syscall.Stat_t); ok {
		uids = append(uids, stat.Uid)
	}
	slices.Sort(uids)
	return RequireUID(slices.Compact(uids)...)(conn)
}

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
