package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system of a database. It meets failures where Pebble panics, which would end the
// process with a stack trace before anybody can report, count, or choose the exit status, and often
// on a goroutine of Pebble's own.
//
//   - A directory that cannot be synced behind a marker that was made in it: fatal.
//   - A WAL file that cannot be written, synced, closed or made durably while the guard is armed, or
//     could not before: fatal. When the change to a new WAL fails outside of a commit, Pebble panics under a deferred unlock of a
//     mutex that is not locked, and no recover helps.
//   - Any operation that fails once an opening under way has made its WAL: fatal. By then work goes on
//     in the background, under which a failing Open takes away the file cache.
//
// Before a marker is made, which says which file counts, the directory is synced, so that a file
// system that does not keep the order of directory entries cannot lose the file and keep its marker.
type guard struct {
	vfs.FS
	armed   atomic.Bool
	opening atomic.Bool
	late    atomic.Bool            // the opening under way has made its WAL
	wal     atomic.Pointer[string] // the newest failure of a WAL file: a WAL keeps its failure
	marked  atomic.Bool            // a marker was made, and its directory was not synced since
	fatal   func(msg string)
}

// during arms the guard while do changes the WAL outside of a commit.
func (g *guard) during(do func() error) error {
	g.armed.Store(true)
	if msg := g.wal.Load(); msg != nil {
		g.fatal(*msg)
	}
	defer g.armed.Store(false)
	return do()
}

// open opens a database on the guard.
func (g *guard) open(path string, o *pebble.Options) (*pebble.DB, error) {
	g.opening.Store(true)
	db, err := pebble.Open(path, o)
	g.opening.Store(false)
	g.late.Store(false)
	return db, err
}

func isWAL(path string) bool { return strings.HasSuffix(path, ".log") }

// check hands on the error of an operation, unless it is one that Pebble must not see.
func (g *guard) check(what, path string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	msg := fmt.Sprintf("%s %s: %v", what, path, err)
	if isWAL(path) {
		g.wal.Store(&msg)
	}
	if g.late.Load() || g.armed.Load() && isWAL(path) {
		g.fatal(msg)
	}
	return err
}

func (g *guard) wrap(f vfs.File, path string, err error) (vfs.File, error) {
	if isWAL(path) && g.opening.Load() {
		g.late.Store(true)
	}
	if g.check("create", path, err) != nil {
		return nil, err
	}
	return &guardedFile{File: f, path: path, guard: g}, nil
}

func (g *guard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.FS.PathBase(name), "marker.") {
		if err := syncDir(g.FS, g.FS.PathDir(name)); err != nil {
			return nil, err
		}
		g.marked.Store(true)
	}
	f, err := g.FS.Create(name, category)
	return g.wrap(f, name, err)
}

func (g *guard) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	return g.wrap(f, newname, err)
}

func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if g.check("open directory", name, err) != nil {
		return nil, err
	}
	return &dirFile{File: f, path: name, guard: g}, nil
}

func (g *guard) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.Open(name, options...)
	return f, g.check("open", name, err)
}

func (g *guard) Rename(oldname, newname string) error {
	return g.check("rename", oldname, g.FS.Rename(oldname, newname))
}

func (g *guard) List(dir string) ([]string, error) {
	names, err := g.FS.List(dir)
	return names, g.check("list", dir, err)
}

func (g *guard) Unwrap() vfs.FS { return g.FS }

// guardedFile is a file that is being written.
type guardedFile struct {
	vfs.File
	path  string
	guard *guard
}

func (f *guardedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.guard.check("write", f.path, err)
}

func (f *guardedFile) Sync() error { return f.guard.check("sync", f.path, f.File.Sync()) }

func (f *guardedFile) SyncData() error { return f.guard.check("sync", f.path, f.File.SyncData()) }

func (f *guardedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.guard.check("sync", f.path, err)
}

func (f *guardedFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	return info, f.guard.check("stat", f.path, err)
}

func (f *guardedFile) Close() error { return f.guard.check("close", f.path, f.File.Close()) }

// dirFile is an open directory.
type dirFile struct {
	vfs.File
	path  string
	guard *guard
}

func (f *dirFile) Sync() error {
	err := f.File.Sync()
	if marked := f.guard.marked.Swap(false); err != nil && (marked || f.guard.armed.Load() || f.guard.late.Load()) {
		f.guard.fatal(fmt.Sprintf("sync directory %s: %v", f.path, err))
	}
	return err
}
