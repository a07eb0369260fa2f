package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Objects is a directory of named objects, as an archive takes them: those that are created never
// change, one that is replaced is there whole, the old one or the new one. What Create and Replace
// have acknowledged survives a crash. One process at a time may write; any number may read.
type Objects struct {
	dir string
	fs  vfs.FS
}

// objectTemp ends the name of an object that is being written.
const objectTemp = ".tmp"

// ErrObjectExists means that there is an object of that name, with other content.
var ErrObjectExists = errors.New("there is another object of that name already")

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

// Make makes the directory and removes what a crash left half written.
func (o *Objects) Make() error {
	if err := makeDir(o.fs, o.dir); err != nil {
		return fmt.Errorf("make %s: %w", o.dir, err)
	}
	names, err := o.fs.List(o.dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", o.dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, objectTemp) {
			if err := o.fs.Remove(o.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove %s, left half written: %w", o.Path(name), err)
			}
		}
	}
	return nil
}

// Names returns the names of the objects that begin with prefix, sorted. A directory that is not
// there has none.
func (o *Objects) Names(prefix string) ([]string, error) {
	names, err := o.fs.List(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", o.dir, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.HasSuffix(name, objectTemp) || !strings.HasPrefix(name, prefix)
	})
	slices.Sort(names)
	return names, nil
}

// Read returns an object of at most limit bytes; fs.ErrNotExist where there is none.
func (o *Objects) Read(name string, limit int64) ([]byte, error) {
	f, err := o.fs.Open(o.Path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Path(name), err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("read %s: %d bytes are more than the %d that it can have", o.Path(name), info.Size(), limit)
	}
	b := make([]byte, info.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", o.Path(name), err)
	}
	return b, nil
}

// Create makes an object. One that is there with the same bytes is as good; with others it is
// ErrObjectExists.
func (o *Objects) Create(name string, b []byte) error {
	before, err := o.Read(name, int64(len(b)))
	if err == nil && string(before) == string(b) {
		return syncDir(o.fs, o.dir) // perhaps its writer did not get that far
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("create %s: %w", o.Path(name), ErrObjectExists), err)
	}
	return o.Replace(name, b)
}

// Replace makes an object, or puts another in its place.
func (o *Objects) Replace(name string, b []byte) error {
	if err := writeFileAtomically(o.fs, o.dir, name, b); err != nil {
		_ = o.fs.Remove(o.Path(name + objectTemp)) // it would take room on a full disk; Make removes it at last
		return fmt.Errorf("write %s: %w", o.Path(name), err)
	}
	return nil
}

// Remove removes an object.
func (o *Objects) Remove(name string) error {
	if err := o.fs.Remove(o.Path(name)); err != nil {
		return fmt.Errorf("remove %s: %w", o.Path(name), err)
	}
	return syncDir(o.fs, o.dir)
}
