package peercred

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// socketPathMax is sun_path without its closing NUL, unix(7).
	socketPathMax = 107
	// probeTimeout bounds the question whether an old socket is alive. A connect to
	// a Unix socket answers at once, alive or dead.
	probeTimeout = time.Second
)

// PathError says that a socket cannot be made at a path.
type PathError struct {
	Path string
	Why  string // and what helps
	Err  error  // the cause, where there is one beneath
}

func (e *PathError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("listen on %q: %s: %v", e.Path, e.Why, e.Err)
	}
	return fmt.Sprintf("listen on %q: %s", e.Path, e.Why)
}

func (e *PathError) Unwrap() error { return e.Err }

// checkSocketLength checks that the path and the private name beside it fit into
// sun_path.
func checkSocketLength(path string) error {
	switch {
	case path == "":
		return &PathError{Path: path, Why: "the path is empty: name a file"}
	case path[0] == '@' || path[0] == 0:
		return &PathError{Path: path, Why: "the abstract namespace has no permissions: name a file"}
	}
	long := max(len(path), len(privateName(path)))
	if long > socketPathMax {
		return &PathError{Path: path, Why: fmt.Sprintf("the path needs %d bytes and the kernel takes %d: choose a path that is "+
			"%d bytes shorter, such as one below /run or $XDG_RUNTIME_DIR", long, socketPathMax, long-socketPathMax)}
	}
	return nil
}

// privateName is where the socket is bound before it is renamed onto path: the same
// at each start, so that a crash leaves at most one, and another for each path.
func privateName(path string) string {
	hash := fnv.New32a()
	hash.Write([]byte(filepath.Base(path)))
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".%08x", hash.Sum32()))
}

// checkSocketDir checks that nobody but this uid and root can replace or remove
// what is made in the directory.
func checkSocketDir(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if err != nil {
		return &PathError{Path: path, Why: "its directory is missing or cannot be read: make it first", Err: err}
	}
	if !info.IsDir() {
		return &PathError{Path: path, Why: fmt.Sprintf("%s is %s, not a directory", dir, kindOf(info.Mode()))}
	}
	uid := ownerOf(info)
	if uid != 0 && uid != uint32(os.Geteuid()) {
		return &PathError{Path: path, Why: fmt.Sprintf("the directory %s belongs to uid %d, who could replace the socket: "+
			"choose a directory of uid %d or root", dir, uid, os.Geteuid())}
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return &PathError{Path: path, Why: fmt.Sprintf("the directory %s has mode %04o, so that others could replace the socket: "+
			"chmod go-w %q, or give the socket a directory of its own below it", dir, info.Mode().Perm(), dir)}
	}
	return nil
}

// checkOldSocket checks that what stands at path may be replaced: nothing, or a
// socket of this uid behind which nobody listens.
func checkOldSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &PathError{Path: path, Why: "cannot look at what is there", Err: withoutPath(err)}
	}
	if info.Mode().Type() != fs.ModeSocket {
		return &PathError{Path: path, Why: fmt.Sprintf("there is %s, not a socket: remove it or choose another path", kindOf(info.Mode()))}
	}
	if uid := ownerOf(info); uid != uint32(os.Geteuid()) {
		return &PathError{Path: path, Why: fmt.Sprintf("the socket there belongs to uid %d, not to this process's uid %d: "+
			"remove it or choose another path", uid, os.Geteuid())}
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		conn.Close()
		return &PathError{Path: path, Why: "another process listens there: stop it or choose another path"}
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return &PathError{Path: path, Why: "cannot tell whether another process listens there: remove the socket if none does", Err: err}
	}
}
