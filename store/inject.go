package store

import (
	"errors"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrInjected is what a file operation returns that a Faulty file system made fail.
var ErrInjected = errors.New("injected error")

// Op is a file operation that is about to happen.
type Op struct {
	Name  string // create, open, list, stat, read, write, sync, close, …
	Path  string // of a link or a rename, the old one
	Bytes int    // of a read or write
	Write bool   // it changes something: create, write, sync, rename, remove, …
	Sync  bool   // it is a sync of a file or directory
}

// Fault says what becomes of a file operation. The zero Fault lets it happen.
type Fault struct {
	// Err is what the operation reports. Unless Done is set it does not happen.
	Err error
	// Done makes an operation that reports Err happen all the same.
	Done bool
	// Part is how many bytes of a write happen that reports Err without being Done. Between, where it
	// is set, is called when so many bytes of a write that succeeds are there, before the others.
	Part    int
	Between func()
	// After is called behind the operation, before its caller goes on.
	After func()
}

// Inject returns f with decide before it, which is asked about every file operation but those that
// never fail: the closing of what was only read, prefetching, and path arithmetic. It is called from
// several goroutines at once.
func (f *FS) Inject(decide func(Op) Fault) *FS {
	return &FS{fs: &injectFS{FS: f.fs, decide: decide}, mem: f.mem, clones: f.clones}
}

// Faulty returns f with a fault injector before it: a file operation for which fail returns true
// does not happen and reports ErrInjected. fail is called from several goroutines at once.
func (f *FS) Faulty(fail func(Op) bool) *FS {
	return f.Inject(func(op Op) Fault {
		if fail(op) {
			return Fault{Err: ErrInjected}
		}
		return Fault{}
	})
}

// injectFS asks decide before each operation of a file system, injectFile before each of a file.
type injectFS struct {
	vfs.FS
	decide func(Op) Fault
}

type injectFile struct {
	vfs.File
	path    string
	written bool // opened for writing
	decide  func(Op) Fault
}

// meet lets an operation happen, or not, as decided.
func meet(decide func(Op) Fault, op Op, do func() error) error {
	fault := decide(op)
	err := fault.Err
	if err == nil {
		err = do()
	} else if fault.Done {
		_ = do() // the caller is told of the fault
	}
	if fault.After != nil {
		fault.After()
	}
	return err
}

func (i *injectFS) meet(name, path string, write bool, do func() error) error {
	return meet(i.decide, Op{Name: name, Path: path, Write: write}, do)
}

// file meets an operation that opens one. A file of which the caller is told that it could not be
// opened is closed again.
func (i *injectFS) file(name, path string, write bool, do func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	err := i.meet(name, path, write, func() (err error) {
		f, err = do()
		return err
	})
	if err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return nil, err
	}
	return &injectFile{File: f, path: path, written: write, decide: i.decide}, nil
}

func (i *injectFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return i.file("create", name, true, func() (vfs.File, error) { return i.FS.Create(name, category) })
}

func (i *injectFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := i.file("open", name, false, func() (vfs.File, error) { return i.FS.Open(name) })
	if err == nil {
		for _, option := range options {
			option.Apply(f)
		}
	}
	return f, err
}

func (i *injectFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := i.file("open", name, true, func() (vfs.File, error) { return i.FS.OpenReadWrite(name, category) })
	if err == nil {
		for _, option := range options {
			option.Apply(f)
		}
	}
	return f, err
}

func (i *injectFS) OpenDir(name string) (vfs.File, error) {
	return i.file("open", name, false, func() (vfs.File, error) { return i.FS.OpenDir(name) })
}

func (i *injectFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return i.file("reuse", oldname, true, func() (vfs.File, error) { return i.FS.ReuseForWrite(oldname, newname, category) })
}

func (i *injectFS) Link(oldname, newname string) error {
	return i.meet("link", oldname, true, func() error { return i.FS.Link(oldname, newname) })
}

func (i *injectFS) Remove(name string) error {
	return i.meet("remove", name, true, func() error { return i.FS.Remove(name) })
}

func (i *injectFS) RemoveAll(name string) error {
	return i.meet("remove", name, true, func() error { return i.FS.RemoveAll(name) })
}

func (i *injectFS) Rename(oldname, newname string) error {
	return i.meet("rename", oldname, true, func() error { return i.FS.Rename(oldname, newname) })
}

func (i *injectFS) MkdirAll(dir string, perm os.FileMode) error {
	return i.meet("mkdir", dir, true, func() error { return i.FS.MkdirAll(dir, perm) })
}

func (i *injectFS) Lock(name string) (lock io.Closer, err error) {
	err = i.meet("lock", name, true, func() (err error) {
		lock, err = i.FS.Lock(name)
		return err
	})
	if err != nil && lock != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, err
}

func (i *injectFS) List(dir string) (names []string, err error) {
	err = i.meet("list", dir, false, func() (err error) {
		names, err = i.FS.List(dir)
		return err
	})
	return names, err
}

func (i *injectFS) Stat(name string) (info vfs.FileInfo, err error) {
	err = i.meet("stat", name, false, func() (err error) {
		info, err = i.FS.Stat(name)
		return err
	})
	return info, err
}

func (i *injectFS) GetDiskUsage(path string) (usage vfs.DiskUsage, err error) {
	err = i.meet("disk usage", path, false, func() (err error) {
		usage, err = i.FS.GetDiskUsage(path)
		return err
	})
	return usage, err
}

func (i *injectFS) Unwrap() vfs.FS { return i.FS }

// write meets a write of b: all of it, none, a part, or one part after the other. do writes what it
// is given, behind what was written of b before.
func (i *injectFile) write(b []byte, do func(b []byte, behind int) (int, error)) (n int, err error) {
	fault := i.decide(Op{Name: "write", Path: i.path, Bytes: len(b), Write: true})
	part := min(fault.Part, len(b))
	switch {
	case fault.Err == nil && fault.Between != nil:
		if n, err = do(b[:part], 0); err == nil {
			fault.Between()
			n, err = do(b[part:], part)
			n += part
		}
	case fault.Err == nil:
		n, err = do(b, 0)
	case fault.Done:
		_, _ = do(b, 0)
		err = fault.Err
	case part > 0:
		n, _ = do(b[:part], 0)
		err = fault.Err
	default:
		err = fault.Err
	}
	if fault.After != nil {
		fault.After()
	}
	return n, err
}

func (i *injectFile) Write(b []byte) (int, error) {
	return i.write(b, func(b []byte, _ int) (int, error) { return i.File.Write(b) })
}

func (i *injectFile) WriteAt(b []byte, at int64) (int, error) {
	return i.write(b, func(b []byte, behind int) (int, error) { return i.File.WriteAt(b, at+int64(behind)) })
}

func (i *injectFile) read(b []byte, do func([]byte) (int, error)) (n int, err error) {
	err = meet(i.decide, Op{Name: "read", Path: i.path, Bytes: len(b)}, func() (err error) {
		n, err = do(b)
		return err
	})
	return n, err
}

func (i *injectFile) Read(b []byte) (int, error) { return i.read(b, i.File.Read) }

func (i *injectFile) ReadAt(b []byte, at int64) (int, error) {
	return i.read(b, func(b []byte) (int, error) { return i.File.ReadAt(b, at) })
}

func (i *injectFile) Preallocate(offset, length int64) error {
	return meet(i.decide, Op{Name: "preallocate", Path: i.path, Write: true}, func() error { return i.File.Preallocate(offset, length) })
}

func (i *injectFile) Stat() (info vfs.FileInfo, err error) {
	err = meet(i.decide, Op{Name: "stat", Path: i.path}, func() (err error) {
		info, err = i.File.Stat()
		return err
	})
	return info, err
}

func (i *injectFile) Sync() error {
	return meet(i.decide, Op{Name: "sync", Path: i.path, Write: true, Sync: true}, i.File.Sync)
}

func (i *injectFile) SyncData() error {
	return meet(i.decide, Op{Name: "sync", Path: i.path, Write: true, Sync: true}, i.File.SyncData)
}

func (i *injectFile) SyncTo(length int64) (full bool, err error) {
	err = meet(i.decide, Op{Name: "sync", Path: i.path, Write: true, Sync: true}, func() (err error) {
		full, err = i.File.SyncTo(length)
		return err
	})
	return full, err
}

// Close always closes, whatever is reported: a file descriptor is gone after a close that failed.
func (i *injectFile) Close() error {
	if !i.written {
		return i.File.Close()
	}
	var closed error
	err := meet(i.decide, Op{Name: "close", Path: i.path, Write: true}, func() error {
		closed = i.File.Close()
		i.File = nil
		return closed
	})
	if i.File != nil {
		err = errors.Join(err, i.File.Close())
	}
	return err
}
