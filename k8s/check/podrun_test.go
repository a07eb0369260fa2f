package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// uids and groups of the macronode overlay, which TestConfiguration and TestSecurity hold against each other.
var (
	ledgerUser      = &syscall.Credential{Uid: 65532, Gid: 2000, Groups: []uint32{2000}}
	applicationUser = &syscall.Credential{Uid: 10001, Gid: 10001, Groups: []uint32{2000}}
	stranger        = &syscall.Credential{Uid: 10002, Gid: 10002}
)

// podStandIn is the macronode overlay without a cluster: the volumes with owner, group and mode as kubelet makes them,
// the configuration of the overlay, the programs under the uids of the pod.
type podStandIn struct {
	t                 *testing.T
	programs          string
	run, data, config string // volumes
	socket            string
}

func newPodStandIn(t *testing.T) *podStandIn {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test stands in for kubelet, which is root: run it as root, in a container if need be")
	}
	dir, err := os.MkdirTemp("", "rl")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	p := &podStandIn{t: t, programs: programs(t), run: dir + "/run", data: dir + "/data", config: dir + "/ledger.toml"}
	must(t, os.Chmod(p.programs, 0o755))
	for volume, mode := range map[string]fs.FileMode{p.run: 0o777, p.data: 0o775} { // an emptyDir and a volume
		must(t, os.Mkdir(volume, 0o700))
		must(t, os.Chown(volume, 0, 2000))
		must(t, os.Chmod(volume, mode|fs.ModeSetgid))
	}
	text := strings.NewReplacer("/run/ron-ledger", p.run, "/var/lib/ron-ledger", p.data, `":5082"`, `"127.0.0.1:0"`, `"1GiB"`, `"1MiB"`).
		Replace(read(t, "../overlays/macronode/ledger.toml"))
	must(t, os.WriteFile(p.config, []byte(text), 0o644))
	p.socket = p.run + "/ledger/ledger.sock"
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// environment is what the overlay gives a container, which TestConfiguration holds against its ledger.toml.
func (p *podStandIn) environment(user *syscall.Credential) []string {
	env := []string{"RON_LEDGER_SOCKET=" + p.socket, "PATH=" + os.Getenv("PATH")}
	if user == ledgerUser {
		env = append(env, "RON_LEDGER_HOME="+p.data+"/home", "RON_LEDGER_MEMORY_CONTAINER=805306368")
	}
	return env
}

// operator runs what the runbook has run inside of the ledger's container.
func (p *podStandIn) operator() {
	p.t.Helper()
	for _, words := range []string{
		"status", "metrics ledger_size_entries", "trace slow -n 3", "admin log-level", "config print --running", "config diff " + p.config, "config reload",
		"profile goroutine", "mint operator/a 1", "balances", "roots", "verify", "key list", "snapshot create --out " + p.data + "/copy.tar.zst",
	} {
		if said, err := p.as(ledgerUser, append([]string{p.programs + "/ledgerctl"}, strings.Fields(words)...)...); err != nil {
			p.t.Errorf("ledgerctl %s, in the container: %v: %s", words, err, said)
		}
	}
}

// as runs a program to its end, as a user, with the environment of the pod.
func (p *podStandIn) as(user *syscall.Credential, args ...string) (string, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Dir = "/"
	command.Env = p.environment(user)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	output, err := command.CombinedOutput()
	return string(output), err
}

// running is a container.
type running struct {
	command *exec.Cmd
	mu      sync.Mutex
	output  bytes.Buffer
}

func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.Write(b)
}

func (r *running) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.String()
}

// container starts a program as a user, until stop or the end of the test.
func (p *podStandIn) container(user *syscall.Credential, args ...string) *running {
	p.t.Helper()
	r := &running{command: exec.Command(args[0], args[1:]...)}
	r.command.Dir = "/"
	r.command.Env = p.environment(user)
	r.command.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	r.command.Stdout, r.command.Stderr = r, r
	must(p.t, r.command.Start())
	p.t.Cleanup(func() { _ = r.stop() })
	return r
}

// stop ends it as kubelet does, and returns how it ended.
func (r *running) stop() error {
	_ = r.command.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(patience, func() { _ = r.command.Process.Kill() })
	defer kill.Stop()
	return r.command.Wait()
}

func (p *podStandIn) ledger() *running {
	p.t.Helper()
	r := p.container(ledgerUser, p.programs+"/ron-ledgerd", "--config", p.config)
	eventually(p.t, "the startup probe", func() error {
		said, err := p.as(ledgerUser, p.programs+"/ledgerctl", "health", "--startup")
		if err != nil {
			return fmt.Errorf("%w: %s%s", err, said, r.said())
		}
		return nil
	})
	for _, question := range []string{"--live", "--ready"} {
		if said, err := p.as(ledgerUser, p.programs+"/ledgerctl", "health", question); err != nil {
			p.t.Errorf("probe %s: %v: %s", question, err, said)
		}
	}
	return r
}

// modes holds owner, group and permissions of what the sidecar makes.
func (p *podStandIn) modes() {
	p.t.Helper()
	for path, want := range map[string]string{
		filepath.Dir(p.socket): "750 65532 2000", p.socket: "660 65532 2000", p.data + "/home": "700 65532 2000", p.data + "/home/keyring": "600 65532 2000",
	} {
		info, err := os.Stat(path)
		must(p.t, err)
		owner := info.Sys().(*syscall.Stat_t)
		if got := fmt.Sprintf("%o %d %d", info.Mode().Perm(), owner.Uid, owner.Gid); got != want {
			p.t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// readOnly wraps a command so that it sees the volume of the socket read-only, as the user, where mounting is allowed.
func (p *podStandIn) readOnly(args ...string) (*syscall.Credential, []string) {
	mount := fmt.Sprintf("mount --bind %[1]s %[1]s && mount -o remount,bind,ro %[1]s", p.run)
	if output, err := exec.Command("unshare", "-m", "sh", "-c", mount).CombinedOutput(); err != nil {
		p.t.Logf("no mounts here, so the volume stays writable: %v: %s", err, output)
		return applicationUser, args
	}
	wrapped := []string{"unshare", "-m", "sh", "-c", mount + ` && exec setpriv --reuid 10001 --regid 10001 --groups 2000 -- "$@"`, "sh"}
	return nil, append(wrapped, args...)
}

// A pod of the macronode overlay works: the sidecar makes its folder and its home in volumes as kubelet makes them, the
// probes succeed, the application books with what uds.grant hands out over a read-only volume and cannot touch the socket,
// a stranger is kept out, the commands of the runbook work inside of the container, metrics of the process can be read, and a
// restart finds everything again.
func TestPod(t *testing.T) {
	p := newPodStandIn(t)
	ledger := p.ledger()
	p.modes()
	user, args := p.readOnly(p.programs+"/example", "--every", "20ms")
	application := p.container(user, args...)
	eventually(t, "the application books", func() error {
		if said := application.said(); !strings.Contains(said, `"msg":"booked"`) {
			return fmt.Errorf("it says %q", said)
		}
		return nil
	})
	for _, command := range [][]string{{"mv", p.run + "/ledger", p.run + "/other"}, {"rm", p.socket}} {
		user, args := p.readOnly(command...)
		if user != nil && command[0] == "mv" {
			continue // without the mount the volume itself is open to the pod
		}
		if said, err := p.as(user, args...); err == nil {
			t.Errorf("the application may %v: %s", command, said)
		}
	}
	p.operator()
	if said, err := p.as(stranger, p.programs+"/ledgerctl", "health", "--live"); err == nil || !strings.Contains(said, "permission denied") {
		t.Errorf("a stranger gets in: %v: %s", err, said)
	}
	if text := p.metrics(ledger); !regexp.MustCompile(`(?m)^process_open_fds [1-9]`).MatchString(text) || !strings.Contains(text, "\nmemory_limit_bytes 7.80140544e+08\n") || !strings.Contains(text, "\ngo_gc_gomemlimit_bytes 7.80140544e+08\n") {
		t.Errorf("metrics of the process are missing, or its soft memory limit is not the container's less the cache:\n%s", text)
	}
	if err := application.stop(); err != nil {
		t.Errorf("the application ends with %v: %s", err, application.said())
	}
	if err := ledger.stop(); err != nil {
		t.Errorf("the sidecar ends with %v: %s", err, ledger.said())
	}
	ledger = p.ledger()
	p.modes()
	if said := ledger.said(); !regexp.MustCompile(`"message":"ready".*"size":[1-9][0-9]*.*"replayed":0`).MatchString(said) {
		t.Errorf("after a restart: %s", said)
	}
}

// metrics reads /metrics of a sidecar whose log says where it is.
func (p *podStandIn) metrics(ledger *running) string {
	p.t.Helper()
	address := regexp.MustCompile(`"https":"([^"]+)"`).FindStringSubmatch(ledger.said())
	if address == nil {
		p.t.Fatalf("no address in the log: %s", ledger.said())
	}
	http := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // its own certificate, on loopback
	answer, err := http.Get("https://" + address[1] + "/metrics")
	must(p.t, err)
	text, err := io.ReadAll(answer.Body)
	must(p.t, errors.Join(err, answer.Body.Close()))
	return string(text)
}
