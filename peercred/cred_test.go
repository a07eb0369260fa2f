package peercred

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCredOfThisProcess(t *testing.T) {
	listener := mustListen(t, socketIn(t.TempDir()), ListenOptions{})
	client, err := net.Dial("unix", listener.Path())
	must(t, err)
	defer client.Close()
	conn, cred, err := listener.Accept()
	must(t, err)
	defer conn.Close()
	if cred.UID != uint32(os.Geteuid()) || cred.GID != uint32(os.Getegid()) || cred.PID != int32(os.Getpid()) {
		t.Errorf("the peer is %v, want this process", cred)
	}
	must(t, Policy{}.Check(cred))
	server, err := ServerCred(client.(*net.UnixConn))
	if err != nil || server.UID != cred.UID {
		t.Errorf("ServerCred = %v, %v", server, err)
	}
	_, err = ServerCred(client.(*net.UnixConn), cred.UID+1, cred.UID+2)
	if wrong, ok := errors.AsType[*ServerError](err); !ok || wrong.Cred.UID != cred.UID {
		t.Errorf("a server of another uid than expected: %v", err)
	}
}

func TestCredOfClosedConnection(t *testing.T) {
	listener := mustListen(t, socketIn(t.TempDir()), ListenOptions{})
	client, err := net.Dial("unix", listener.Path())
	must(t, err)
	client.Close()
	if _, err := FromConn(client.(*net.UnixConn)); err == nil {
		t.Error("FromConn on a closed connection tells who it was")
	}
	// A peer that has gone before it was accepted is still known.
	if _, cred, err := listener.Accept(); err != nil || cred.UID != uint32(os.Geteuid()) {
		t.Errorf("Accept after the peer has gone: %v, %v", cred, err)
	}
}

// TestCredOfOtherUsers needs root to become others. Without it there is only this user.
func TestCredOfOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: other users cannot be tried")
		return
	}
	listener := mustListen(t, socketIn(openDir(t)), ListenOptions{Mode: 0o666})
	nine := []uint32{11, 12, 13, 14, 15, 16, 17, 18, 19}
	cases := []struct {
		credential syscall.Credential
		groups     []uint32
		unread     bool
		refused    bool
	}{
		{syscall.Credential{Uid: 1000, Gid: 100}, nil, false, false},
		{syscall.Credential{Uid: 1000, Gid: 100, Groups: []uint32{9, 7}}, []uint32{7, 9}, false, false},
		{syscall.Credential{Uid: 1000, Gid: 100, Groups: []uint32{0, 65534, 7}}, []uint32{7}, false, false},
		{syscall.Credential{Uid: 4294967294, Gid: 4294967294, Groups: []uint32{4294967294}}, []uint32{4294967294}, false, false},
		{syscall.Credential{Uid: 1000, Gid: 100, Groups: nine[:8]}, nine[:8], false, false},
		{syscall.Credential{Uid: 1000, Gid: 100, Groups: nine}, nil, true, false},
		{syscall.Credential{Uid: 65534, Gid: 100}, nil, false, true},
	}
	for _, c := range cases {
		p := mustStart(t, "dial", listener.Path(), &syscall.SysProcAttr{Credential: &c.credential})
		conn, cred, err := listener.Accept()
		if c.refused {
			overflow, isOverflow := errors.AsType[*OverflowError](err)
			_, isRefused := errors.AsType[*RefusedError](err)
			if !isOverflow || !isRefused || conn != nil || overflow.Cred.PID != int32(p.command.Process.Pid) {
				t.Errorf("uid %d: %v, want it refused", c.credential.Uid, err)
			}
			continue
		}
		must(t, err)
		conn.Close()
		want := Cred{UID: c.credential.Uid, GID: c.credential.Gid, PID: int32(p.command.Process.Pid), Groups: c.groups, GroupsUnread: c.unread}
		if fmt.Sprint(cred.UID, cred.GID, cred.PID, cred.GroupsUnread) != fmt.Sprint(want.UID, want.GID, want.PID, want.GroupsUnread) || !slices.Equal(cred.Groups, want.Groups) {
			t.Errorf("%+v, want %+v", cred, want)
		}
		if got := p.line(t); got != "server uid 0, <nil>" {
			t.Errorf("uid %d says of the server: %s", c.credential.Uid, got)
		}
	}
}

// TestPeerThatHasEnded: where the kernel tells, a log says that a pid is one of the past,
// and no descriptor is left of asking.
func TestPeerThatHasEnded(t *testing.T) {
	listener := mustListen(t, socketIn(openDir(t)), ListenOptions{})
	before, _, err := Descriptors()
	must(t, err)
	for _, ends := range []bool{false, true} {
		p := mustStart(t, "dial", listener.Path(), nil)
		p.line(t)
		if ends {
			p.kill(t)
		}
		conn, cred, err := listener.Accept()
		must(t, err)
		pidfd, err := descriptorOfPeer(conn)
		known := err == nil || err == unix.ESRCH
		if cred.PID != int32(p.command.Process.Pid) || cred.Ended != (ends && known) {
			t.Errorf("ends %v: %+v (%v)", ends, cred, err)
		}
		if strings.HasSuffix(cred.String(), "(ended)") != cred.Ended {
			t.Errorf("it is shown as %v", cred)
		}
		if err == nil {
			must(t, unix.Close(pidfd))
		}
		conn.Close()
		p.stdin.Close()
		_ = p.command.Wait()
	}
	if after, _, err := Descriptors(); err != nil || after > before {
		t.Errorf("%d descriptors, before %d (%v)", after, before, err)
	}
}

// descriptorOfPeer is what the kernel of this machine says to SO_PEERPIDFD.
func descriptorOfPeer(conn *net.UnixConn) (pidfd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var asked error
	if err := raw.Control(func(fd uintptr) { pidfd, asked = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PEERPIDFD) }); err != nil {
		return 0, err
	}
	return pidfd, asked
}

// TestModeKeepsOthersOut: the permissions of the socket decide who can connect at all.
func TestModeKeepsOthersOut(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: other users cannot be tried")
		return
	}
	cases := []struct {
		options ListenOptions
		gid     uint32
		enters  bool
	}{
		{ListenOptions{}, 100, false},
		{ListenOptions{Mode: 0o660}, 100, false},
		{ListenOptions{Mode: 0o660, GID: 100}, 100, true},
		{ListenOptions{Mode: 0o660, GID: 101}, 100, false},
		{ListenOptions{Mode: 0o666}, 100, true},
	}
	for _, c := range cases {
		listener := mustListen(t, socketIn(openDir(t)), c.options)
		p := mustStart(t, "dial", listener.Path(), &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: c.gid}})
		if got := p.line(t); strings.HasPrefix(got, "server uid 0") != c.enters {
			t.Errorf("%+v, gid %d: %s", c.options, c.gid, got)
		}
	}
}

// TestNamespaces serves from a user and a pid namespace of its own, where the peers
// have no uid and no pid.
func TestNamespaces(t *testing.T) {
	path := socketIn(openDir(t))
	p, err := start(t, "serve", path, &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	})
	if err != nil {
		t.Logf("namespaces cannot be made here: %v", err)
		return
	}
	if got := p.line(t); got != "ready" {
		t.Fatal(got)
	}
	want := "uid 0 pid 0 overflow false" // this user is the one that is mapped
	if os.Geteuid() == 0 {
		mustStart(t, "dial", path, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}})
		want = "uid 65534 pid 0 overflow true"
	} else {
		mustStart(t, "dial", path, nil)
	}
	if got := p.line(t); got != want {
		t.Errorf("the peer is %q, want %q", got, want)
	}
}

func TestPolicy(t *testing.T) {
	self := uint32(os.Geteuid())
	cases := []struct {
		policy  Policy
		cred    Cred
		allowed bool
	}{
		{Policy{}, Cred{UID: self, GID: 5}, true},
		{Policy{}, Cred{UID: self + 1, GID: uint32(os.Getegid())}, false},
		{Policy{UIDs: []uint32{7, 8}}, Cred{UID: 8}, true},
		{Policy{UIDs: []uint32{self + 7}}, Cred{UID: self}, false},
		{Policy{GIDs: []uint32{7}}, Cred{UID: 1, GID: 7}, true},
		{Policy{GIDs: []uint32{7}}, Cred{UID: 7, GID: 1}, false},
		{Policy{GIDs: []uint32{7}}, Cred{UID: 1, GID: 1, Groups: []uint32{3, 7}}, true},
		{Policy{GIDs: []uint32{7}}, Cred{UID: 1, GID: 1, GroupsUnread: true}, false},
		{Policy{UIDs: []uint32{1}, GIDs: []uint32{7}}, Cred{UID: 1, GID: 1}, true},
		{Policy{UIDs: []uint32{1}, GIDs: []uint32{7}}, Cred{UID: 2, GID: 1}, false},
		{Policy{UIDs: []uint32{OverflowID}}, Cred{UID: OverflowID}, false},
		{Policy{GIDs: []uint32{OverflowID}}, Cred{UID: 1, GID: OverflowID}, false},
		{Policy{GIDs: []uint32{OverflowID}}, Cred{UID: 1, Groups: []uint32{OverflowID}}, false},
		{Policy{GIDs: []uint32{7}}, Cred{UID: OverflowID, GID: 7}, false},
	}
	for _, c := range cases {
		err := c.policy.Check(c.cred)
		denied, isDenied := errors.AsType[*DeniedError](err)
		if (err == nil) != c.allowed || isDenied == c.allowed {
			t.Errorf("%+v, %+v: %v, want allowed %v", c.policy, c.cred, err, c.allowed)
		}
		if isDenied && (denied.Cred.UID != c.cred.UID || !strings.Contains(err.Error(), fmt.Sprintf("uid %d", c.cred.UID))) {
			t.Errorf("the error does not say who was denied: %v", err)
		}
	}
	cred := Cred{UID: self}
	if allocs := testing.AllocsPerRun(100, func() { _ = Policy{}.Check(cred) }); allocs != 0 {
		t.Errorf("allowing a peer takes %v allocations", allocs)
	}
}
