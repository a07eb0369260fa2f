package store

import (
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A crash may come while a table is being linked into the state.
func TestCrashCloneBesideLinks(t *testing.T) {
	crashing := NewCrashFS()
	f, err := crashing.fs.Create("/table", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	const rounds = 3000
	var both sync.WaitGroup
	both.Go(func() {
		for range rounds {
			if err := crashing.fs.Link("/table", "/linked"); err != nil {
				t.Error(err)
			}
			if err := crashing.fs.Remove("/linked"); err != nil {
				t.Error(err)
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

// A crash may come while a database is being locked or a WAL is used again.
func TestCrashCloneBesideLocks(t *testing.T) {
	crashing := NewCrashFS()
	f, err := crashing.fs.Create("/1.log", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	const rounds = 3000
	var both sync.WaitGroup
	both.Go(func() {
		for range rounds {
			lock, err := crashing.fs.Lock("/LOCK")
			if err != nil {
				t.Error(err)
				return
			}
			again, err1 := crashing.fs.ReuseForWrite("/1.log", "/2.log", vfs.WriteCategoryUnspecified)
			if err1 != nil {
				t.Error(err1)
				return
			}
			if err := errors.Join(lock.Close(), again.Close(), crashing.fs.Rename("/2.log", "/1.log")); err != nil {
				t.Error(err)
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
