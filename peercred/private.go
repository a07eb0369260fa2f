package peercred

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// PrivateError says that a file or folder which has to be private is not.
type PrivateError struct {
	Path string
	Why  string
	Fix  string // the command or act that helps
}

func (e *PrivateError) Error() string {
	return fmt.Sprintf("check %s: %s: %s", e.Path, e.Why, e.Fix)
}

// CheckPrivate checks that path is a regular file or a directory, no symbolic link,
// owned by this process's uid and without any permission for group and others
// (files 0600 or less, directories 0700 or less). What is not so is a
// *PrivateError. For what is to be read, [ReadPrivate] leaves no time between the
// check and the reading.
func CheckPrivate(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("check %s: %w", path, withoutPath(err))
	}
	return checkPrivateInfo(path, info)
}

// ReadPrivate reads the regular file at path, at most bytesMax of it, after it has
// checked what CheckPrivate checks on the very file that it has opened. A longer
// file is an error.
func ReadPrivate(path string, bytesMax int64) ([]byte, error) {
	// O_NONBLOCK: a fifo in the place of the file must not block the opening.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err == nil {
		defer file.Close()
		return readPrivateFile(path, file, bytesMax)
	}
	if checkErr := CheckPrivate(path); checkErr != nil {
		return nil, checkErr
	}
	return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
}

// ReadMounted reads a secret that was mounted for this process, at most bytesMax of it: an
// orchestrator puts it there behind symbolic links, as root's and for a group of the pod. It is a
// regular file without any permission for others, or else a *PrivateError.
func ReadMounted(path string, bytesMax int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o007 != 0 {
		return nil, &PrivateError{Path: path, Why: "it is no file, or others may use it", Fix: "mount it with mode 0440 or less"}
	}
	return readAtMost(path, file, bytesMax)
}

func readPrivateFile(path string, file *os.File, bytesMax int64) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	if err := checkPrivateInfo(path, info); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is %s, not a file", path, kindOf(info.Mode()))
	}
	return readAtMost(path, file, bytesMax)
}

func readAtMost(path string, file *os.File, bytesMax int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(file, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, withoutPath(err))
	}
	if int64(len(text)) > bytesMax {
		return nil, fmt.Errorf("read %s: it is longer than %d bytes", path, bytesMax)
	}
	return text, nil
}

func checkPrivateInfo(path string, info fs.FileInfo) error {
	mode, wantPerm := info.Mode(), fs.FileMode(0o600)
	switch {
	case mode.IsDir():
		wantPerm = 0o700
	case !mode.IsRegular():
		return &PrivateError{Path: path, Why: fmt.Sprintf("it is %s, not a file or a directory", kindOf(mode)),
			Fix: "put the file itself in its place"}
	}
	if uid := ownerOf(info); uid != uint32(os.Geteuid()) {
		return &PrivateError{Path: path, Why: fmt.Sprintf("it belongs to uid %d, not to this process's uid %d", uid, os.Geteuid()),
			Fix: fmt.Sprintf("chown %d %q", os.Geteuid(), path)}
	}
	if mode.Perm()&0o077 != 0 {
		return &PrivateError{Path: path, Why: fmt.Sprintf("its mode %04o lets group or others in", mode.Perm()),
			Fix: fmt.Sprintf("chmod %04o %q", wantPerm, path)}
	}
	return nil
}

// ownerOf returns the overflow uid, which is nobody's, where the owner is not told.
func ownerOf(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return OverflowID
}

// kindOf names the kind of a file as people call it.
func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeSocket:
		return "a socket"
	case fs.ModeNamedPipe:
		return "a fifo"
	default:
		return "a device or another special file"
	}
}
