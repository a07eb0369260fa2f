package sidecartest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
)

// seccompFile is the profile for Kubernetes.
const seccompFile = "../../k8s/seccomp/ron-ledger.json"

// What a cell is made of, in the environment of the process that goes into it.
const (
	cellProfile  = "SIDECARTEST_SECCOMP"  // seccomp profile, may be empty
	cellWritable = "SIDECARTEST_WRITABLE" // folders that stay writable, by colons; empty: no namespaces
	cellProgram  = "SIDECARTEST_PROGRAM"  // what is run in it; empty: forbidden calls are tried
)

// profile is a seccomp profile as container runtimes read it.
type profile struct {
	DefaultAction   string
	DefaultErrnoRet uint32
	Architectures   []string
	Syscalls        []struct {
		Names  []string
		Action string
	}
}

func readProfile(path string) (*profile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := new(profile)
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	return p, decoder.Decode(p)
}

// apply puts the profile on all threads of this process, as a container runtime does
// before it executes a program: calls that this architecture does not have are left out.
func (p *profile) apply() error {
	if p.DefaultAction != "SCMP_ACT_ERRNO" || p.DefaultErrnoRet != uint32(syscall.EPERM) { // as ActionErrno
		return fmt.Errorf("the default action is %s %d", p.DefaultAction, p.DefaultErrnoRet)
	}
	here, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	var allowed []string
	for _, group := range p.Syscalls {
		if group.Action != "SCMP_ACT_ALLOW" {
			return fmt.Errorf("an action is %s", group.Action)
		}
		for _, name := range group.Names {
			if _, ok := here.SyscallNames[name]; ok && !slices.Contains(allowed, name) {
				allowed = append(allowed, name)
			}
		}
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls:      []seccomp.SyscallGroup{{Names: allowed, Action: seccomp.ActionAllow}},
	}})
}

// enterCell makes this process what a container of a restricted pod is, and executes the
// program in it, with the arguments of this process.
func enterCell() error {
	runtime.LockOSThread() // capabilities are those of the thread that executes
	if folders := os.Getenv(cellWritable); folders != "" {
		if err := closeRoot(strings.Split(folders, ":")); err != nil {
			return fmt.Errorf("make the root read-only: %w", err)
		}
		if err := dropCapabilities(); err != nil {
			return fmt.Errorf("drop capabilities: %w", err)
		}
	}
	before := forbiddenCalls()
	if path := os.Getenv(cellProfile); path != "" {
		p, err := readProfile(path)
		if err == nil {
			err = p.apply()
		}
		if err != nil {
			return fmt.Errorf("apply the seccomp profile: %w", err)
		}
	}
	program := os.Getenv(cellProgram)
	if program == "" {
		fmt.Println("before", before, "after", forbiddenCalls())
		return nil
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SIDECARTEST_") })
	return syscall.Exec(program, append([]string{program}, os.Args[1:]...), env)
}

// closeRoot leaves nothing writable but the folders, in a mount namespace of its own.
func closeRoot(folders []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := syscall.Mount(folder, folder, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	return syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
}

// dropCapabilities takes all of them, also from the bounding and the ambient set.
func dropCapabilities() error {
	const prCapBSetDrop, prCapAmbient, ambientClearAll, capLast = 24, 47, 4, 63
	for c := range uintptr(capLast + 1) {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prCapBSetDrop, c, 0); errno == syscall.EINVAL {
			break // no such capability
		} else if errno != 0 {
			return errno
		}
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prCapAmbient, ambientClearAll, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// forbiddenCalls tries calls that anybody may make and no ledger needs, and says how each
// ends.
func forbiddenCalls() string {
	fifo := filepath.Join(os.TempDir(), fmt.Sprintf("rl-fifo-%d", os.Getpid()))
	pair, pairErr := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if pairErr == nil {
		_ = errors.Join(syscall.Close(pair[0]), syscall.Close(pair[1]))
	}
	fifoErr := syscall.Mkfifo(fifo, 0o600)
	_ = os.Remove(fifo)
	priority := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19)
	_, notify := syscall.InotifyInit1(0)
	return fmt.Sprintf("[socketpair %v, mknodat %v, setpriority %v, inotify_init1 %v]", pairErr, fifoErr, priority, notify)
}
