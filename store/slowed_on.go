//go:build slowed

package store

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowedSync is what each sync takes longer in a build that the performance gate has to refuse.
const slowedSync = 50 * time.Millisecond

// slowed is the disk with slow syncs.
func slowed(disk vfs.FS) vfs.FS {
	slow := &FS{fs: disk}
	return slow.Inject(func(op Op) Fault {
		if op.Sync {
			time.Sleep(slowedSync)
		}
		return Fault{}
	}).fs
}
