package peercred

import (
	"fmt"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// OverflowID is the uid and gid that the kernel shows for one that has no
// translation into the user namespace of the reader. It names nobody.
const OverflowID = 65534

// groupsMax is how many supplementary groups can be read. The kernel tells more,
// but only into a buffer that Go reaches through unsafe.
const groupsMax = 8

// Cred is what the kernel says about the other end of a connection.
type Cred struct {
	// UID and GID are the effective ids of the process that connected (seen from
	// the server) or that called listen (seen from the client), at that moment.
	UID, GID uint32

	// PID is for logs alone. It is 0 where the peer lives in another pid namespace.
	PID int32

	// Ended says that the process that connected had ended when it was asked for, so
	// that PID may be another's by now: SO_PEERPIDFD, from Linux 6.5 on. For logs alone.
	Ended bool

	// Groups are the supplementary groups, in the kernel's order, at most 8. Gid 0
	// and the overflow gid are left out, so that neither can ever match. Groups is
	// empty where the kernel does not tell, and where GroupsUnread is set.
	Groups []uint32

	// GroupsUnread says that the peer has more than 8 supplementary groups. None of
	// them is known then, and only GID can match an allow list.
	GroupsUnread bool
}

// String gives the ids for logs and errors: "uid 1000 gid 1000 pid 4711", and
// "(ended)" behind it where that is known.
func (c Cred) String() string {
	if c.Ended {
		return fmt.Sprintf("uid %d gid %d pid %d (ended)", c.UID, c.GID, c.PID)
	}
	return fmt.Sprintf("uid %d gid %d pid %d", c.UID, c.GID, c.PID)
}

// InGroup reports whether gid is the peer's gid or one of its supplementary
// groups. The overflow gid is in no group.
func (c Cred) InGroup(gid uint32) bool {
	return gid != OverflowID && (c.GID == gid || slices.Contains(c.Groups, gid))
}

// OverflowError says that the peer's uid cannot be told apart from others.
type OverflowError struct{ Cred Cred }

func (e *OverflowError) Error() string {
	return fmt.Sprintf("check peer: its uid is the overflow uid %d (%v), which stands for every uid without a "+
		"translation into this user namespace: run both sides in one user namespace, and neither of them as uid %d",
		OverflowID, e.Cred, OverflowID)
}

// FromConn asks the kernel who is at the other end of c. It reads no byte of the
// connection. A peer with the overflow uid is refused with an *OverflowError; the
// Cred is returned beside it, for the log.
func FromConn(c *net.UnixConn) (Cred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Cred{}, fmt.Errorf("read peer credentials: %w", err)
	}
	var cred Cred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = fromDescriptor(int(fd)) }); err != nil {
		return Cred{}, fmt.Errorf("read peer credentials: %w", err)
	}
	if credErr != nil {
		return Cred{}, fmt.Errorf("read peer credentials: %w", credErr)
	}
	if cred.UID == OverflowID {
		return cred, &OverflowError{Cred: cred}
	}
	return cred, nil
}

func fromDescriptor(fd int) (Cred, error) {
	ucred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Cred{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	cred := Cred{UID: ucred.Uid, GID: ucred.Gid, PID: ucred.Pid}
	cred.Groups, cred.GroupsUnread = peerGroups(fd)
	cred.Ended = cred.PID != 0 && peerEnded(fd)
	return cred, nil
}

// peerEnded asks for a descriptor of the peer's process, which, other than its pid, never
// means another one: it is readable once the process has ended, and there is none of one
// that was waited for. A kernel that has no such thing knows nothing, and neither does a
// process that has no descriptor left.
func peerEnded(fd int) bool {
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(pidfd)
	polled := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(polled, 0)
	return err == nil && n == 1
}

// peerGroups reads SO_PEERGROUPS. ICMPv6Filter is the widest plain array of
// uint32 that x/sys reads a socket option into; the kernel fills as much of it as
// there are groups and answers ERANGE where it is too small. How much was filled
// is not told, so a zero is an unused place and not gid 0. Any failure means no
// groups: fewer groups can only mean fewer rights.
func peerGroups(fd int) (groups []uint32, unread bool) {
	filter, err := unix.GetsockoptICMPv6Filter(fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS)
	if err != nil {
		return nil, err == unix.ERANGE
	}
	for _, gid := range filter.Data {
		if gid != 0 && gid != OverflowID {
			groups = append(groups, gid)
		}
	}
	return groups, false
}

// ServerError says that a client reached a server of another uid than expected.
type ServerError struct {
	Cred Cred
	Want []uint32
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("check server: the socket belongs to a process of uid %d, expected %v: "+
		"check the path of the socket, or name that uid as the server's", e.Cred.UID, e.Want)
}

// ServerCred is FromConn for clients: it also checks that the uid that called
// listen is one of want, or this process's own where want is empty. Another uid is
// a *ServerError. A client MUST call it before it sends a token.
func ServerCred(c *net.UnixConn, want ...uint32) (Cred, error) {
	cred, err := FromConn(c)
	if err != nil {
		return cred, err
	}
	if len(want) == 0 {
		want = []uint32{uint32(os.Geteuid())}
	}
	if !slices.Contains(want, cred.UID) {
		return cred, &ServerError{Cred: cred, Want: slices.Clone(want)}
	}
	return cred, nil
}
