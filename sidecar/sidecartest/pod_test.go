package sidecartest

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The uid of the ledger outside of its user namespace and in it.
const podUID, podUIDInside = 54323, 65532

// TestSeccompProfile holds the profile itself: what it allows is sorted and has no call
// that makes a process more than it is.
func TestSeccompProfile(t *testing.T) {
	p, err := readProfile(seccompFile)
	if err != nil {
		t.Fatal(err)
	}
	if p.DefaultErrnoRet != uint32(syscall.EPERM) || len(p.Syscalls) != 1 || !slices.IsSorted(p.Syscalls[0].Names) {
		t.Errorf("%+v", p)
	}
	for _, name := range []string{
		"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
		"mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "init_module", "finit_module", "kexec_load", "keyctl", "add_key",
		"setuid", "setgid", "setgroups", "setresuid", "capset", "mknod", "mknodat", "reboot", "swapon", "personality", "socketpair",
	} {
		if slices.Contains(p.Syscalls[0].Names, name) {
			t.Errorf("%s is allowed", name)
		}
	}
}

// TestSeccompRefuses makes calls that work for anybody, and not under the profile.
func TestSeccompRefuses(t *testing.T) {
	path, err := filepath.Abs(seccompFile)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), attackRole+"=cell", cellProfile+"="+path)
	said, err := command.CombinedOutput()
	const no = "operation not permitted"
	want := "before [socketpair <nil>, mknodat <nil>, setpriority <nil>, inotify_init1 <nil>]" +
		" after [socketpair " + no + ", mknodat " + no + ", setpriority " + no + ", inotify_init1 " + no + "]\n"
	if err != nil || string(said) != want {
		t.Errorf("%v: %s\nwant %s", err, said, want)
	}
}

// podProcess starts the real program as a container of a restricted pod runs it: a uid of
// its own in a user, a pid and a mount namespace, a root that cannot be written, no
// capability at all, the seccomp profile.
func podProcess(t *testing.T, bin Binaries, home, socketDir string) *Process {
	t.Helper()
	seccompPath, err := filepath.Abs(seccompFile)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{
		"RON_LEDGER_SOCKET=" + filepath.Join(socketDir, "s"), "RON_LEDGER_UDS_MODE=0666", "RON_LEDGER_LOG_FORMAT=json",
		attackRole + "=cell", cellProfile + "=" + seccompPath, cellWritable + "=" + home + ":" + socketDir, cellProgram + "=" + bin.Daemon,
	}
	const capSetPCap, capSysAdmin = 8, 21 // for the cell, which gives them up
	cell := func(command *exec.Cmd) {
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: podUIDInside, HostID: podUID, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: podUIDInside, HostID: podUID, Size: 1}},
			Credential:  &syscall.Credential{Uid: podUIDInside, Gid: podUIDInside, NoSetGroups: true},
			AmbientCaps: []uintptr{capSetPCap, capSysAdmin},
		}
	}
	p := launch(t, Binaries{Daemon: "/proc/self/exe", CLI: bin.CLI}, home, env, cell)
	if err := p.await(); err != nil {
		t.Fatalf("start ron-ledgerd in its cell: %v\n%s", err, p.output)
	}
	return p
}

// TestPod runs a ledger through its life in such a cell: the first start, appends, a
// checkpoint, a snapshot, TLS, a reload, a kill, a recovery, an orderly end. Whoever has no uid there
// is refused.
func TestPod(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: folders for another uid cannot be made; TestSeccompRefuses and TestNamespaces stand for it")
		return
	}
	bin, home, socketDir := Build(t), ShortDir(t), ShortDir(t)
	for _, dir := range []string{home, socketDir} {
		if err := os.Chown(dir, podUID, podUID); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{filepath.Dir(bin.Daemon), socketDir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := podProcess(t, bin, home, socketDir)
	checkCell(t, p)
	cli := func(uid uint32, args ...string) (string, error) {
		command := exec.Command(bin.CLI, append([]string{"--home", home, "--socket", p.Socket}, args...)...)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		command.Dir = "/"
		said, err := command.CombinedOutput()
		return string(said), err
	}
	must := func(args ...string) string {
		t.Helper()
		said, err := cli(podUID, args...)
		if err != nil {
			t.Fatalf("ledgerctl %s: %v\n%s\n%s", strings.Join(args, " "), err, said, p.Output())
		}
		return said
	}
	must("mint", "a", "10")
	must("transfer", "a", "b", "4")
	if said := must("balances"); !strings.Contains(said, "a\t6") { // a checkpoint
		t.Errorf("balances: %s", said)
	}
	must("snapshot", "create", "--out", filepath.Join(socketDir, "copy.tar.zst"))
	for _, path := range []string{"/metrics", "/roots"} {
		checkHTTPS(t, must("status", "--json"), path)
	}
	if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for _, stranger := range []uint32{0, 1000, 65534} {
		if said, err := cli(stranger, "--token-file", "/dev/null", "status"); err == nil {
			t.Errorf("uid %d, which has no translation there, is served: %s", stranger, said)
		}
	}
	awaitOutput(t, p, "its uid is the overflow uid 65534 (uid 65534 gid 65534 pid 0)")
	p.Kill()

	p = podProcess(t, bin, home, socketDir)
	if said := must("balances"); !strings.Contains(said, "a\t6") {
		t.Errorf("balances after a kill: %s", said)
	}
	if code := p.Stop(); code != 0 {
		t.Errorf("exit status %d\n%s", code, p.Output())
	}
}

// checkCell looks at what the kernel says of each thread. What could be inherited does not
// count: beyond the bounding set nothing is.
func checkCell(t *testing.T, p *Process) {
	t.Helper()
	uid := strconv.Itoa(podUID)
	for _, text := range threadStatus(t, p) {
		status := strings.Join(strings.Fields(text), " ")
		for _, want := range []string{
			"Uid: " + uid + " " + uid + " " + uid + " " + uid, "CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000",
			"NoNewPrivs: 1", "Seccomp: 2",
		} {
			if !strings.Contains(status, want) {
				t.Errorf("a thread does not say %q: %s", want, status)
			}
		}
	}
	mounts := readText(t, filepath.Join("/proc", strconv.Itoa(p.PID()), "mountinfo"))
	if !strings.Contains(mounts, " / / ro,") {
		t.Errorf("the root can be written:\n%s", mounts)
	}
}

// checkHTTPS reads a path; the certificate is not what is tried here.
func checkHTTPS(t *testing.T, status, path string) {
	t.Helper()
	var said struct{ HTTPS string }
	if err := json.Unmarshal([]byte(status), &said); err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + said.HTTPS + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 || len(text) == 0 {
		t.Errorf("%s: %d, %v", path, response.StatusCode, err)
	}
}

// TestDaemonIsConfined puts a link to a file outside of its folders where the real program
// reads a certificate again: it cannot open that, unless Landlock is off.
func TestDaemonIsConfined(t *testing.T) {
	bin := Build(t)
	for _, landlock := range []string{"auto", "off"} {
		other, certs, outside := ShortDir(t), ShortDir(t), ShortDir(t)
		StartProcess(t, bin, other).Stop() // makes a pair
		place := func(dir, from string) {
			for _, name := range []string{"tls.crt", "tls.key"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(readText(t, filepath.Join(from, name))), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		place(certs, other)
		again := ShortDir(t)
		StartProcess(t, bin, again).Stop()
		place(outside, again)
		p := StartProcessEnv(t, bin, ShortDir(t), []string{
			"RON_LEDGER_HTTPS_CERT_FILE=" + filepath.Join(certs, "tls.crt"), "RON_LEDGER_HTTPS_KEY_FILE=" + filepath.Join(certs, "tls.key"),
			"RON_LEDGER_HARDENING_LANDLOCK=" + landlock, "RON_LEDGER_LOG_FORMAT=json",
		})
		awaitOutput(t, p, `"hardened"`)
		confined := !strings.Contains(p.Output(), `"landlock":0`)
		if confined && landlock == "off" {
			t.Errorf("it is confined though hardening.landlock is off:\n%s", p.Output())
		}
		for _, name := range []string{"tls.crt", "tls.key"} {
			link := filepath.Join(certs, name)
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(outside, name), link); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if confined {
			awaitOutput(t, p, "permission denied")
		} else {
			awaitOutput(t, p, "the certificate was replaced")
		}
		if code := p.Stop(); code != 0 {
			t.Errorf("exit status %d", code)
		}
	}
}
