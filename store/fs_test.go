package store

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// cloned clones a file system with one file while do works on it, and both go on to their end.
func cloned(t *testing.T, file string, do func(fs vfs.FS) error) {
	t.Helper()
	crashing := NewCrashFS()
	f, err := crashing.fs.Create(file, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 3000
	var both sync.WaitGroup
	both.Go(func() {
		for range rounds {
			if err := do(crashing.fs); err != nil {
				t.Error(err)
				return
			}
		}
	})
	both.Go(func() {
		for i := range rounds {
			crashing.CrashClone(50, uint64(i))
		}
	})
	both.Wait()
}

// A crash may come while a table is being linked into the state.
func TestCrashCloneBesideLinks(t *testing.T) {
	cloned(t, "/table", func(fs vfs.FS) error {
		return errors.Join(fs.Link("/table", "/linked"), fs.Remove("/linked"))
	})
}

// A crash may come while a database is being locked or a WAL is used again.
func TestCrashCloneBesideLocks(t *testing.T) {
	cloned(t, "/1.log", func(fs vfs.FS) error {
		lock, err := fs.Lock("/LOCK")
		if err != nil {
			return err
		}
		again, err := fs.ReuseForWrite("/1.log", "/2.log", vfs.WriteCategoryUnspecified)
		if err != nil {
			return errors.Join(err, lock.Close())
		}
		return errors.Join(lock.Close(), again.Close(), fs.Rename("/2.log", "/1.log"))
	})
}
