package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Objects is a directory with folders of named objects, as an archive takes them: those that are
// created never change, one that is replaced is there whole, the old one or the new one. What Put has
// acknowledged survives a crash. A name is a folder and a name in it, with a slash between.
//
// Any number of processes may write. Of two that create one object, one finds it taken: it is made
// by a hard link, which fails where the name exists. A file system without hard links (EPERM, ENOTSUP)
// looks and renames instead, so that two which create the same object at the same instant are not
// kept apart. To replace one takes comparing and renaming, for which a file system has no single step.
type Objects struct {
	dir string
	fs  vfs.FS
}

// objectTemp ends the name of an object that is being written.
const objectTemp = ".tmp"

// ErrObjectChanged means that an object is not what the writer took it for: there is one of that name
// already, or another than the one that it would replace.
var ErrObjectChanged = errors.New("there is another object of that name")

// NewObjects returns the objects in dir. fsys nil is the disk.
func NewObjects(fsys *FS, dir string) *Objects {
	o := &Objects{dir: dir, fs: vfs.Default}
	if fsys != nil {
		o.fs = fsys.fs
	}
	return o
}

// Path returns where an object lies, for messages.
func (o *Objects) Path(name string) string { return o.fs.PathJoin(o.dir, name) }

// Prepare makes a folder and removes what a crash left half written there.
func (o *Objects) Prepare(_ context.Context, folder string) error {
	dir := o.Path(folder)
	if err := makeDir(o.fs, dir); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	names, err := o.fs.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, objectTemp) {
			left := o.fs.PathJoin(dir, name)
			if err := o.fs.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove %s, left half written: %w", left, err)
			}
		}
	}
	return nil
}

// Names returns the names of what lies in a folder, sorted, without the folder's; of "" those of the
// folders. A folder that is not there has none.
func (o *Objects) Names(_ context.Context, folder string) ([]string, error) {
	names, err := o.fs.List(o.Path(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", o.Path(folder), err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, objectTemp) })
	slices.Sort(names)
	return names, nil
}

// NamesAfter returns the first limit names of a folder that sort behind after.
func (o *Objects) NamesAfter(ctx context.Context, folder, after string, limit int) ([]string, error) {
	names, err := o.Names(ctx, folder)
	from, found := slices.BinarySearch(names, after)
	if found {
		from++
	}
	return names[from:min(from+limit, len(names))], err
}

// Read returns an object of at most limit bytes, and its version: what Put replaces it by.
// fs.ErrNotExist where there is none.
func (o *Objects) Read(_ context.Context, name string, limit int64) (b []byte, version string, err error) {
	f, err := o.fs.Open(o.Path(name))
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", o.Path(name), err)
	}
	if info.Size() > limit {
		return nil, "", fmt.Errorf("read %s: %d bytes are more than the %d that it can have", o.Path(name), info.Size(), limit)
	}
	b = make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, "", fmt.Errorf("read %s: %w", o.Path(name), err)
	}
	return b, versionOf(b), nil
}

func versionOf(b []byte) string {
	sum := sha256.Sum256(b)
	return string(sum[:])
}

// Put makes an object, or with a version replaces the one that has it, and returns the version of
// the new one. ErrObjectChanged where there is another.
func (o *Objects) Put(ctx context.Context, name string, b []byte, version string) (string, error) {
	if version != "" {
		_, now, err := o.Read(ctx, name, maxObjectReplaced)
		if err == nil && now != version {
			err = ErrObjectChanged
		}
		if err != nil {
			return "", fmt.Errorf("replace %s: %w", o.Path(name), err)
		}
	}
	if err := o.write(name, b, version == ""); err != nil {
		return "", fmt.Errorf("write %s: %w", o.Path(name), err)
	}
	return versionOf(b), nil
}

// maxObjectReplaced bounds what Put reads in order to compare.
const maxObjectReplaced = 1 << 30

// write puts an object in its place from a temporary file of its own.
func (o *Objects) write(name string, b []byte, create bool) (err error) {
	path := o.Path(name)
	dir := o.fs.PathDir(path)
	temp := fmt.Sprintf("%s.%016x%s", path, rand.Uint64(), objectTemp)
	defer func() {
		if err != nil { // it would take room on a full disk; Prepare removes it at last
			_ = o.fs.Remove(temp)
		}
	}()
	// vfs lets a file system spoil what it is given, and MemFS does where checks are armed; the caller needs it yet.
	if err := writeSynced(o.fs, temp, slices.Clone(b)); err != nil {
		return err
	}
	if !create {
		if err := o.fs.Rename(temp, path); err != nil {
			return err
		}
		return syncDir(o.fs, dir)
	}
	switch err := o.fs.Link(temp, path); {
	case errors.Is(err, fs.ErrExist):
		// Perhaps its writer did not get as far as to make the name durable.
		return errors.Join(ErrObjectChanged, syncDir(o.fs, dir))
	case linkless(err):
		if _, err := o.fs.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(ErrObjectChanged, err)
		}
		err = o.fs.Rename(temp, path)
		return errors.Join(err, syncDir(o.fs, dir))
	case err != nil:
		return err
	}
	if err := syncDir(o.fs, dir); err != nil {
		return err
	}
	return o.fs.Remove(temp)
}

// linkless tells of a file system that has no hard links.
func linkless(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EMLINK)
}

// Remove removes an object.
func (o *Objects) Remove(name string) error {
	path := o.Path(name)
	if err := o.fs.Remove(path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return syncDir(o.fs, o.fs.PathDir(path))
}
