package store

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// rotationGuard is the file system of the log's database. It does two things that Pebble does not.
//
// Before a marker is made, which says which file counts, the directory is synced, so that a file
// system that does not keep the order of directory entries cannot lose the file and keep its marker.
//
// While it is armed, a WAL file that cannot be written, synced, closed or made calls fatal where
// that happens. Pebble panics when the change to a new WAL fails, and outside of a commit it does so under a
// deferred unlock of a mutex that is not locked, which ends the process with a stack trace before
// anybody can report, count, or choose the exit status.
type rotationGuard struct {
	vfs.FS
	armed atomic.Bool
	fatal func(msg string)
}

// during arms the guard while do changes the WAL outside of a commit.
func (g *rotationGuard) during(do func() error) error {
	g.armed.Store(true)
	defer g.armed.Store(false)
	return do()
}

func (g *rotationGuard) check(what, path string, err error) error {
	if err != nil && g.armed.Load() {
		g.fatal(fmt.Sprintf("%s %s: %v", what, path, err))
	}
	return err
}

func (g *rotationGuard) wrap(f vfs.File, what, path string, err error) (vfs.File, error) {
	if !strings.HasSuffix(path, ".log") {
		return f, err
	}
	if g.check(what, path, err) != nil {
		return nil, err
	}
	return &rotationFile{File: f, path: path, guard: g}, nil
}

func (g *rotationGuard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.FS.PathBase(name), "marker.") {
		if err := syncDir(g.FS, g.FS.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := g.FS.Create(name, category)
	return g.wrap(f, "create", name, err)
}

func (g *rotationGuard) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	return g.wrap(f, "create", newname, err)
}

func (g *rotationGuard) Unwrap() vfs.FS { return g.FS }

// rotationFile is a WAL file.
type rotationFile struct {
	vfs.File
	path  string
	guard *rotationGuard
}

func (f *rotationFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.guard.check("write", f.path, err)
}

func (f *rotationFile) Sync() error { return f.guard.check("sync", f.path, f.File.Sync()) }

func (f *rotationFile) SyncData() error { return f.guard.check("sync", f.path, f.File.SyncData()) }

func (f *rotationFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.guard.check("sync", f.path, err)
}

func (f *rotationFile) Close() error { return f.guard.check("close", f.path, f.File.Close()) }
