package peercred

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Descriptors returns how many file descriptors this process has open, the one that
// counts them left out, and how many it may have (the soft limit).
func Descriptors() (used int, limit uint64, err error) {
	var rlimit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &rlimit); err != nil {
		return 0, 0, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, 0, fmt.Errorf("count descriptors: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0, fmt.Errorf("count descriptors: %w", err)
	}
	return len(names) - 1, rlimit.Cur, nil
}
