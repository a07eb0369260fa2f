package store

import (
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
