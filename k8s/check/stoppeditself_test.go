package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// smallLog runs a sidecar whose log lies on a small file system of its own, while its home does not; once that is full the
// process ends, is noted, and is started again where there is room, as kubelet and an operator would. $1 is the home, $2 is
// where the status goes; what follows is the sidecar.
const smallLog = `set -e
home=$1 status=$2
shift 2
cp -a "$home/log" "$home.log"
mount -t tmpfs -o size=24m,mode=0700 none "$home/log"
cp -a "$home.log/." "$home/log/"
"$@" &
ledger=$!
trap 'kill $ledger' TERM
set +e
wait $ledger
echo $? > "$status.next"
trap - TERM
mount -o remount,size=256m "$home/log"
mv "$status.next" "$status"
exec "$@"
`

// A sidecar that really stops itself, because its log cannot be written, pages: it ends with status 70, and though it is
// started again before anything has scraped what it counted, the alert fires in a real Prometheus, and the ones for a
// sidecar that is down or restarts too often do not.
func TestMonitoringStoppedItself(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a small file system: run it as root, in a container if need be")
	}
	dir := programs(t)
	scratch, err := os.MkdirTemp("", "rl")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(scratch) })
	home, status := filepath.Join(scratch, "home"), filepath.Join(scratch, "status")
	cli := func(args ...string) ([]byte, error) {
		return exec.Command(dir+"/ledgerctl", append([]string{"--home", home, "--socket", scratch + "/s"}, args...)...).Output()
	}
	ready := func() error { _, err := cli("health", "--ready"); return err }
	sidecar := []string{dir + "/ron-ledgerd", "--home", home, "--socket", scratch + "/s", "--https", "127.0.0.1:0", "--log-level", "error"}

	first := exec.Command(sidecar[0], sidecar[1:]...) // makes the home
	must(t, first.Start())
	eventually(t, "the first start", ready)
	must(t, errors.Join(first.Process.Signal(os.Interrupt), first.Wait()))

	start(t, []string{"RON_LEDGER_DISK_RESERVE_BYTES=0", "RON_LEDGER_STORE_MEMTABLE_BYTES=1MiB"}, "unshare",
		append([]string{"-m", "sh", "-c", smallLog, "sh", home, status}, sidecar...)...)
	eventually(t, "a sidecar with a small log", ready)
	eventually(t, "status 70", func() error {
		_, _ = cli("bench", "--batch", "256", "--connections", "4", "--duration", "1s", "--warmup", "100ms") // ends with it
		said, err := os.ReadFile(status)
		if err == nil && string(said) != "70\n" {
			t.Fatalf("the sidecar ended with status %s", said)
		}
		return err
	})
	eventually(t, "the sidecar is ready again", ready)
	if why, err := cli("status"); err != nil || !regexp.MustCompile(`(?m)^failure .* ago \(status 70\): .*no space left on device$`).Match(why) {
		t.Errorf("its status is\n%s%v", why, err)
	}
	var report struct {
		HTTPS string `json:"https"`
	}
	text, err := cli("status", "--json")
	must(t, errors.Join(err, json.Unmarshal(text, &report)))
	p := startPrometheus(t, report.HTTPS, filepath.Join(home, "tls.crt"), "exemplar-storage")
	eventually(t, "the alert", func() error {
		return p.query(`ALERTS{alertname="LedgerStoppedItself",alertstate="firing",severity="page"}`)
	})
	var others struct {
		Result []struct{ Metric map[string]string }
	}
	must(t, p.get("/api/v1/query", url.Values{"query": {`ALERTS{alertname!="LedgerStoppedItself",alertstate="firing"}`}}, &others))
	if len(others.Result) > 0 {
		t.Errorf("other alerts fire: %v", fmt.Sprint(others.Result))
	}
}
