package trace

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Call is a system call that changes something outside of the process, before it happens.
type Call struct {
	Number int    // from 1, of all calls that are told
	Name   string // as in the manual: write, fdatasync, renameat, …
	Path   string // of the file, where the call has one open; socket:[…] for a connection
	Bytes  int    // of a write or a send
}

// What kind of thing a call is about.
const (
	isWrite   = 1 << iota // of bytes, from a file descriptor
	isMessage             // of bytes, with the count elsewhere
	isFD                  // about an open file
	isOpen                // told where it may create
)

// told are the system calls that are told, by number.
var told = map[uint64]struct {
	name string
	kind int
}{
	syscall.SYS_WRITE:           {"write", isWrite | isFD},
	syscall.SYS_PWRITE64:        {"pwrite64", isWrite | isFD},
	syscall.SYS_WRITEV:          {"writev", isMessage | isFD},
	syscall.SYS_SENDTO:          {"sendto", isWrite | isFD},
	syscall.SYS_SENDMSG:         {"sendmsg", isMessage | isFD},
	syscall.SYS_FSYNC:           {"fsync", isFD},
	syscall.SYS_FDATASYNC:       {"fdatasync", isFD},
	syscall.SYS_SYNC_FILE_RANGE: {"sync_file_range", isFD},
	syscall.SYS_FTRUNCATE:       {"ftruncate", isFD},
	syscall.SYS_FALLOCATE:       {"fallocate", isFD},
	syscall.SYS_FCHMOD:          {"fchmod", isFD},
	syscall.SYS_OPENAT:          {"openat", isOpen},
	syscall.SYS_OPEN:            {"open", isOpen},
	syscall.SYS_RENAME:          {"rename", 0},
	syscall.SYS_RENAMEAT:        {"renameat", 0},
	sysRenameat2:                {"renameat2", 0},
	syscall.SYS_LINKAT:          {"linkat", 0},
	syscall.SYS_UNLINK:          {"unlink", 0},
	syscall.SYS_UNLINKAT:        {"unlinkat", 0},
	syscall.SYS_RMDIR:           {"rmdir", 0},
	syscall.SYS_MKDIR:           {"mkdir", 0},
	syscall.SYS_MKDIRAT:         {"mkdirat", 0},
	syscall.SYS_BIND:            {"bind", 0},
}

const (
	sysRenameat2    = 316
	sysClockGettime = 228
)

// call makes a Call of what a thread is about to do; ok is false where nobody is asked.
func (p *Process) call(regs *syscall.PtraceRegs) (c Call, ok bool) {
	known, ok := told[regs.Orig_rax]
	if !ok {
		return c, false
	}
	c.Name = known.name
	switch {
	case known.kind&isOpen != 0:
		flags := regs.Rdx
		if regs.Orig_rax == syscall.SYS_OPEN {
			flags = regs.Rsi
		}
		if flags&syscall.O_CREAT == 0 {
			return c, false
		}
	case known.kind&isFD != 0:
		c.Path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", p.pid, regs.Rdi)) // gone: the call fails by itself
		if strings.HasPrefix(c.Path, "anon_inode:") {
			return c, false // of the runtime's own: nobody sees it
		}
	}
	if known.kind&isWrite != 0 {
		c.Bytes = int(regs.Rdx)
	}
	p.count++
	c.Number = p.count
	return c, true
}
