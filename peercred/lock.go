package peercred

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockTextMax bounds what is read of a lock file: a pid and a line end.
const lockTextMax = 16

// Lock is an exclusive lock on a file. It ends with Close or with the process,
// however that ends.
type Lock struct {
	file *os.File
	path string
}

// HeldError says that another process holds a lock.
type HeldError struct {
	Path string
	PID  int // as its holder wrote it, in the holder's pid namespace; 0 = not known
}

func (e *HeldError) Error() string {
	who := "another ron-ledgerd"
	if e.PID > 0 {
		who = fmt.Sprintf("another ron-ledgerd (pid %d)", e.PID)
	}
	return fmt.Sprintf("lock: %s holds %s: stop it, or start this one with another home and socket", who, e.Path)
}

// LockFile takes an exclusive lock on the file at path, which it makes (mode 0600)
// where it is absent, and writes the pid of this process into it. It does not
// wait: a lock that another process holds is a *HeldError. A symbolic link, a file
// that is not regular, and a file of another owner are errors.
func LockFile(path string) (*Lock, error) {
	for {
		lock, err := lockOnce(path)
		if err != nil || lock != nil {
			return lock, err
		}
	}
}

// lockOnce returns nil and no error where the holder before removed the file
// between the opening and the locking: the lock then is on a file without a name.
func lockOnce(path string) (_ *Lock, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("lock: %s is a symbolic link, not a lock file: remove it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock: open %s: %w", path, withoutPath(err))
	}
	keep := false
	defer func() {
		if !keep {
			file.Close()
		}
	}()
	opened, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if !opened.Mode().IsRegular() {
		return nil, fmt.Errorf("lock: %s is %s, not a lock file: remove it", path, kindOf(opened.Mode()))
	}
	if uid := ownerOf(opened); uid != uint32(os.Geteuid()) {
		return nil, fmt.Errorf("lock: %s belongs to uid %d, not to this process's uid %d: remove it, or choose another directory",
			path, uid, os.Geteuid())
	}
	if err := flock(file); err == unix.EWOULDBLOCK {
		return nil, &HeldError{Path: path, PID: readPID(file)}
	} else if err != nil {
		return nil, fmt.Errorf("lock: flock %s: %w", path, err)
	}
	named, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(opened, named) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := writePID(file); err != nil {
		return nil, fmt.Errorf("lock: write the pid to %s: %w", path, withoutPath(err))
	}
	keep = true
	return &Lock{file: file, path: path}, nil
}

// Path is the path that the lock was taken with.
func (l *Lock) Path() string { return l.path }

// Close removes the file, if it is still the one that was locked, and gives up the
// lock, in this order: whoever opened the file before notices that it has lost its
// name and makes a new one. A second Close is an error.
func (l *Lock) Close() error {
	opened, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("unlock %s: %w", l.path, withoutPath(err))
	}
	removeErr := removeIfSame(l.path, opened)
	if err := errors.Join(removeErr, l.file.Close()); err != nil {
		return fmt.Errorf("unlock %s: %w", l.path, err)
	}
	return nil
}

// removeIfSame removes path if it is the file that want describes. An absent file
// is no error.
func removeIfSame(path string, want os.FileInfo) error {
	named, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(want, named) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}

func flock(file *os.File) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != unix.EINTR {
			return err
		}
	}
}

func readPID(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, lockTextMax))
	if err != nil {
		return 0
	}
	pid, err := strconv.ParseInt(strings.TrimSuffix(string(text), "\n"), 10, 32)
	if err != nil || pid < 0 {
		return 0
	}
	return int(pid)
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// withoutPath takes the cause out of an *os.PathError, for messages that name the
// path themselves.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
