package peercred

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Confine takes from this process, for good, every file that does not lie in one of the
// folders: what it has open stays open. It returns the version of the kernel's Landlock
// that took effect, 0 where the kernel has none and nothing was done. A folder that is
// missing is passed over. It confines all threads and, with them, all children.
func Confine(readWrite, readOnly []string) (version int, err error) {
	version, err = llsys.LandlockGetABIVersion()
	if err != nil || version < 1 {
		return 0, nil // the call is there from 5.13 on, and may be switched off
	}
	if err := landlock.V5.BestEffort().RestrictPaths(
		landlock.RWDirs(readWrite...).WithRefer().IgnoreIfMissing(),
		landlock.RODirs(readOnly...).IgnoreIfMissing(),
	); err != nil {
		return 0, fmt.Errorf("confine the process to its files: %w", err)
	}
	return version, nil
}
