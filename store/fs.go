package store

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the file system that a Store lives on. The zero value of Options means the disk; Memory
// and NewCrashFS make the others. It hides Pebble's type, so that nobody else imports Pebble.
type FS struct {
	fs     vfs.FS
	mem    *vfs.MemFS  // nil on disk
	clones *sync.Mutex // held while the file system is cloned, and by cloneGuard; nil without CrashClone
}

// Memory returns an empty file system in memory: the micronode's.
func Memory() *FS {
	m := vfs.NewMem()
	return &FS{fs: m, mem: m}
}

// NewCrashFS returns an empty file system in memory that remembers what was synced, so that
// CrashClone can show what a crash leaves.
func NewCrashFS() *FS {
	return newCrashFS(vfs.NewCrashableMem())
}

func newCrashFS(m *vfs.MemFS) *FS {
	clones := new(sync.Mutex)
	return &FS{fs: cloneGuard{m, clones}, mem: m, clones: clones}
}

// cloneGuard keeps Link, Lock and ReuseForWrite of a MemFS apart from CrashClone. They take the lock that CrashClone
// waits for twice, so that a clone that begins in between is a deadlock.
type cloneGuard struct {
	vfs.FS
	clones *sync.Mutex
}

func (g cloneGuard) Link(oldname, newname string) error {
	g.clones.Lock()
	defer g.clones.Unlock()
	return g.FS.Link(oldname, newname)
}

func (g cloneGuard) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	g.clones.Lock()
	defer g.clones.Unlock()
	return g.FS.ReuseForWrite(oldname, newname, category)
}

func (g cloneGuard) Lock(name string) (io.Closer, error) {
	g.clones.Lock()
	defer g.clones.Unlock()
	return g.FS.Lock(name)
}

// CrashClone returns the file system as a crash at this moment may leave it: everything that was
// synced, and each unsynced block and directory entry with unsyncedPercent (0..100) chance,
// drawn from seed. The original goes on undisturbed. It panics unless f descends from NewCrashFS.
func (f *FS) CrashClone(unsyncedPercent int, seed uint64) *FS {
	if f.clones != nil {
		f.clones.Lock()
		defer f.clones.Unlock()
	}
	m := f.mem.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: unsyncedPercent,
		RNG:                 rand.New(rand.NewPCG(seed, seed)),
	})
	return newCrashFS(m)
}

// SetDiskUsage makes DiskFree of a store on a memory file system report these figures, in bytes.
func (f *FS) SetDiskUsage(free, total uint64) {
	f.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: total, UsedBytes: total - free})
}

// DiskFree returns the bytes still available to this process and the bytes in all of the file
// system that holds the home. In memory both are the largest value, unless SetDiskUsage was called.
func (s *Store) DiskFree() (free, total uint64, err error) {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return math.MaxUint64, math.MaxUint64, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask free space of %s: %w", s.dir, err)
	}
	return usage.AvailBytes, usage.TotalBytes, nil
}
