package peercred

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenOptions say how the socket shall look. The zero value makes a socket for
// this uid alone, in a directory that exists.
type ListenOptions struct {
	// Mode is the socket's permissions. Connecting needs the write bit. Zero = 0600.
	Mode fs.FileMode

	// GID is the socket's group; 0 leaves the group of this process.
	GID int

	// DirMode makes the directory of the socket, with these permissions and GID, if it
	// is missing (its parent must exist). Zero = a missing directory is an error.
	DirMode fs.FileMode
}

func (o ListenOptions) validate() error {
	switch {
	case o.Mode&^fs.ModePerm != 0:
		return fmt.Errorf("the socket's mode %v has more than permission bits", o.Mode)
	case o.DirMode&^fs.ModePerm != 0:
		return fmt.Errorf("the directory's mode %v has more than permission bits", o.DirMode)
	case o.DirMode&0o022 != 0:
		return fmt.Errorf("the directory's mode %04o lets others replace the socket", o.DirMode)
	case o.GID < 0:
		return fmt.Errorf("the socket's gid %d is negative", o.GID)
	}
	return nil
}

// Listener accepts connections on a socket made by Listen.
type Listener struct {
	inner *net.UnixListener
	path  string
	made  fs.FileInfo // the bound socket, to know it again
	lock  *Lock
}

// RefusedError says that Accept took a connection, could not tell who is at its
// other end, or must not talk to it, and closed it. The listener goes on.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return fmt.Sprintf("refuse a connection: %v", e.Err) }
func (e *RefusedError) Unwrap() error { return e.Err }

// Listen makes the socket in the order that the package comment gives. Its errors
// are a *PathError where the path is at fault and a *HeldError where another
// instance runs.
func Listen(path string, options ListenOptions) (_ *Listener, err error) {
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	if err := checkSocketLength(path); err != nil {
		return nil, err
	}
	if err := makeSocketDir(path, options); err != nil {
		return nil, err
	}
	if err := checkSocketDir(path); err != nil {
		return nil, err
	}
	lock, err := LockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	if err := checkOldSocket(path); err != nil {
		return nil, err
	}
	inner, made, err := bindAndRename(path, options)
	if err != nil {
		return nil, err
	}
	return &Listener{inner: inner, path: path, made: made, lock: lock}, nil
}

// makeSocketDir sets the permissions on the directory that it has opened, and not on
// whatever has its name by then.
func makeSocketDir(path string, options ListenOptions) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); options.DirMode == 0 || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return &PathError{Path: path, Why: "cannot make its directory", Err: err}
	}
	opened, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return &PathError{Path: path, Why: "cannot open its directory", Err: err}
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err == nil && ownerOf(info) != uint32(os.Geteuid()) {
		err = fmt.Errorf("it belongs to uid %d", ownerOf(info))
	}
	if err == nil && options.GID != 0 {
		err = opened.Chown(-1, options.GID)
	}
	if err == nil {
		err = opened.Chmod(options.DirMode)
	}
	if err != nil {
		return &PathError{Path: path, Why: "cannot set the permissions of its directory", Err: err}
	}
	return nil
}

// bindAndRename makes the socket under its private name, sets its permissions, and
// gives it its public name last.
func bindAndRename(path string, options ListenOptions) (_ *net.UnixListener, made fs.FileInfo, err error) {
	private := privateName(path)
	if err := checkOldSocket(private); err != nil {
		return nil, nil, fmt.Errorf("listen on %q: left over beside it: %w", path, err)
	}
	if err := os.Remove(private); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, &PathError{Path: path, Why: "cannot remove a dead socket beside it", Err: err}
	}
	inner, err := bindPrivately(private)
	if err != nil {
		return nil, nil, &PathError{Path: path, Why: "cannot bind", Err: err}
	}
	defer func() {
		if err != nil {
			inner.Close()
			os.Remove(private)
		}
	}()
	mode := options.Mode
	if mode == 0 {
		mode = 0o600
	}
	if err := setPermissions(private, options.GID, mode); err != nil {
		return nil, nil, &PathError{Path: path, Why: "cannot set its permissions", Err: err}
	}
	made, err = os.Lstat(private)
	if err != nil {
		return nil, nil, &PathError{Path: path, Why: "cannot look at the bound socket", Err: err}
	}
	if err := os.Rename(private, path); err != nil {
		return nil, nil, &PathError{Path: path, Why: "cannot give the bound socket its name", Err: err}
	}
	return inner, made, nil
}

// bindPrivately binds and listens. The kernel takes the permissions of the name
// from the descriptor (unix_bind in net/unix/af_unix.c), so there is no moment at
// which the socket is open to others.
func bindPrivately(private string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var chmodErr error
		if err := raw.Control(func(fd uintptr) { chmodErr = unix.Fchmod(int(fd), 0o600) }); err != nil {
			return err
		}
		return chmodErr
	}}
	listener, err := config.Listen(context.Background(), "unix", private)
	if err != nil {
		return nil, err
	}
	inner := listener.(*net.UnixListener)
	inner.SetUnlinkOnClose(false) // its name changes, and Close compares before it removes
	return inner, nil
}

// setPermissions sets the group first: the mode must not let a wrong group in, and a
// change of group may clear bits of the mode.
func setPermissions(private string, gid int, mode fs.FileMode) error {
	if gid != 0 {
		if err := os.Lchown(private, -1, gid); err != nil {
			return err
		}
	}
	return os.Chmod(private, mode)
}

// Path is the path of the socket.
func (l *Listener) Path() string { return l.path }

// Accept waits for a connection and returns it with the credentials of its peer. A
// *RefusedError concerns this one connection, which is closed; net.ErrClosed comes
// after Close; anything else is the kernel's (such as EMFILE) and worth a pause
// before the next call. Whether the peer is allowed is for a [Policy] to say.
func (l *Listener) Accept() (*net.UnixConn, Cred, error) {
	conn, err := l.inner.AcceptUnix()
	if err != nil {
		return nil, Cred{}, fmt.Errorf("accept on %q: %w", l.path, err)
	}
	cred, err := FromConn(conn)
	if err != nil {
		conn.Close()
		return nil, cred, &RefusedError{Err: err}
	}
	return conn, cred, nil
}

// Close stops listening, removes the socket if the path still leads to it, and
// gives up the lock. Connections that were accepted stay open. Only the first call
// has an effect; the others return net.ErrClosed.
func (l *Listener) Close() error {
	if err := l.inner.Close(); err != nil {
		return fmt.Errorf("close %q: %w", l.path, err)
	}
	if err := errors.Join(removeIfSame(l.path, l.made), l.lock.Close()); err != nil {
		return fmt.Errorf("close %q: %w", l.path, err)
	}
	return nil
}
