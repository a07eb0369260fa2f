//go:build !slowed

package store

import "github.com/cockroachdb/pebble/v2/vfs"

// slowed is the disk as it is.
func slowed(disk vfs.FS) vfs.FS { return disk }
