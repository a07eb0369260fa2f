package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// ownDiskBytes bounds the file system of OwnDisk. It takes memory for what is in it alone: the reserve, the filler, and some
// megabytes a second of the ledger.
const ownDiskBytes = 512 << 20

// MountOwnDisk mounts a small file system at dir, for this process and those that it starts alone: it has to be in a mount
// namespace of its own (InNamespace). It is gone with the last of them.
func MountOwnDisk(dir string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this process: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=0700", ownDiskBytes)); err != nil {
		return fmt.Errorf("mount a small file system at %s: %w", dir, err)
	}
	return nil
}

// UnmountOwnDisk takes it away.
func UnmountOwnDisk(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }

// namespaceStop is how long what runs in the namespace may take to end after an interrupt.
const namespaceStop = 30 * time.Second

// ErrNoNamespace says that no mount namespace can be made here.
var ErrNoNamespace = errors.New("no mount namespace can be made here")

// InNamespace runs a program in a mount namespace of its own, and where this user may not make one, in a user namespace as
// well, in which it is root over nothing but itself. It returns the exit status.
func InNamespace(ctx context.Context, program string, args ...string) (status int, err error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = namespaceStop
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that starts it
	defer runtime.UnlockOSThread()
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoNamespace, err)
	}
	err = command.Wait()
	if exited := new(exec.ExitError); errors.As(err, &exited) && exited.Exited() {
		return exited.ExitCode(), nil
	}
	return command.ProcessState.ExitCode(), err
}
