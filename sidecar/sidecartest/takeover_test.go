package sidecartest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// way is the network between one sidecar and the object store.
type way struct {
	endpoint string
	cut      atomic.Bool // nothing gets through
	noise    atomic.Int32
}

// newWay makes a way to a store. noise is how many requests in a hundred meet something.
func newWay(t *testing.T, next http.Handler, noise int32) *way {
	t.Helper()
	w := new(way)
	w.noise.Store(noise)
	server := httptest.NewServer(&fakes3.Faulty{Next: next, Decide: w.decide})
	t.Cleanup(server.Close)
	w.endpoint = server.URL
	return w
}

func (w *way) decide(*http.Request) fakes3.Fault {
	if w.cut.Load() {
		return fakes3.Fault{Lost: true}
	}
	if rand.Int32N(100) >= w.noise.Load() {
		return fakes3.Fault{}
	}
	pause := time.Duration(rand.Int64N(int64(100 * time.Millisecond)))
	return []fakes3.Fault{
		{Status: 500}, {Status: 503}, {Status: 409}, {Status: 412}, {Lost: true}, {Unanswered: true}, {Hangs: true}, {Delay: pause}, {Again: pause + 1}, {Late: pause + 1},
	}[rand.IntN(10)]
}

// objectStore returns a store in memory, or a real one, of the program that VERSITYGW names.
func objectStore(t *testing.T) http.Handler {
	t.Helper()
	program := os.Getenv("VERSITYGW")
	if program == "" {
		return new(fakes3.Store)
	}
	endpoint, stop, err := fakes3.StartGateway(program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	proxy, err := fakes3.Proxy(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

// archived returns the environment of a sidecar whose archive lies behind a way.
func (w *way) archived(key string, further ...string) []string {
	place := fmt.Sprintf("s3://%s/takeover?endpoint=%s&timeout=1s", fakes3.Bucket, w.endpoint)
	return append([]string{
		"AWS_ACCESS_KEY_ID=" + fakes3.GatewayKeyID, "AWS_SECRET_ACCESS_KEY=" + fakes3.GatewaySecret, key + "=" + place,
		"RON_LEDGER_SHUTDOWN_TIMEOUT=60s",
	}, further...)
}

const (
	archiveURL   = "RON_LEDGER_ARCHIVE_URL"
	archiveAdopt = "RON_LEDGER_ARCHIVE_ADOPT"
	archiveSync  = "RON_LEDGER_ARCHIVE_MODE=sync"
)

// heirHome makes a home that holds nothing but the keys of another.
func heirHome(t *testing.T, from string) string {
	t.Helper()
	home := ShortDir(t)
	for _, name := range []string{"node.key", "keyring"} {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(home, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// among makes a load dial any of the homes that homes holds at that moment, always with one token.
func among(l *writers.Load, homes *atomic.Pointer[[]string], token string) *writers.Load {
	l.Dial = func(ctx context.Context) (*client.Client, error) {
		all := *homes.Load()
		return client.Dial(ctx, client.Options{
			Socket: filepath.Join(all[rand.IntN(len(all))], "ledger.sock"), TokenFile: token, Name: "load", DialTimeout: time.Second,
		})
	}
	return l
}

// What becomes of the old writer while another takes its ledger over.
var ends = []string{"killed", "paused", "partitioned", "undisturbed"}

// TestTakeOver takes a ledger over TAKEOVER_ROUNDS times, one of each kind unless told, under load, with a network
// that cuts, delays, repeats and refuses: the old writer is killed, paused, partitioned or knows
// nothing. Nothing that either acknowledged is missing in the new one, or there twice, and the old
// one stops. With archive.mode = sync.
func TestTakeOver(t *testing.T) {
	seed, rounds := setting(t, "TAKEOVER_SEED", uint64(time.Now().UnixNano())%1_000_000), int(setting(t, "TAKEOVER_ROUNDS", uint64(len(ends))))
	t.Logf("TAKEOVER_SEED=%d TAKEOVER_ROUNDS=%d", seed, rounds)
	bin := Build(t)
	var acked atomic.Int64
	t.Run("rounds", func(t *testing.T) {
		for round := range rounds {
			end := ends[round%len(ends)]
			t.Run(fmt.Sprint(end, round), func(t *testing.T) {
				if rounds <= len(ends) {
					t.Parallel()
				}
				acked.Add(int64(takeOver(t, bin, seed+uint64(round), end)))
			})
		}
	})
	t.Logf("%d takeovers, %d requests acknowledged", rounds, acked.Load())
}

func takeOver(t *testing.T, bin Binaries, seed uint64, end string) (acked int) {
	objects := objectStore(t)
	oldWay, newWay := newWay(t, objects, 8), newWay(t, objects, 3)
	home := ShortDir(t)
	old := StartProcessEnv(t, bin, home, oldWay.archived(archiveURL, archiveSync))
	heir := heirHome(t, home)
	homes := new(atomic.Pointer[[]string])
	homes.Store(&[]string{home})
	load := among(writers.New(seed, 3), homes, filepath.Join(home, "token"))
	load.Pause = time.Millisecond
	var next *Process
	under(t, load, func() {
		awaitAcks(t, load, 40)
		switch end {
		case "killed":
			old.Kill()
		case "paused":
			signalTo(t, old, syscall.SIGSTOP)
		case "partitioned":
			oldWay.cut.Store(true)
		}
		next = StartProcessEnv(t, bin, heir, newWay.archived(archiveAdopt, archiveSync))
		homes.Store(&[]string{home, heir})
		if end == "paused" {
			signalTo(t, old, syscall.SIGCONT)
		}
		if end == "partitioned" { // who is connected to the old one hears nothing until then
			time.Sleep(300 * time.Millisecond)
			oldWay.cut.Store(false)
		}
		awaitAcks(t, load, 40)
		if end != "killed" {
			awaitOutput(t, old, "another sidecar has taken this ledger over")
		}
		homes.Store(&[]string{heir})
		awaitAcks(t, load, 40)
	})
	settle(t, load)
	if exit := next.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, next.Output())
	}
	if end != "killed" {
		old.Kill()
	}
	CheckLoad(t, load, heir)
	checkSameLog(t, home, heir)
	count, err := load.Count()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%+v", count)
	// The old home knows that it was taken over: it does not serve what nobody acknowledged.
	again := LaunchProcess(t, bin, home, oldWay.archived(archiveURL, archiveSync))
	if exit := again.Wait(); exit != sidecar.ExitFailure || !strings.Contains(again.Output(), "another sidecar has taken this ledger over") {
		t.Errorf("the old home starts: exit status %d\n%s", exit, again.Output())
	}
	return count.Acked
}

func signalTo(t *testing.T, p *Process, signal syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// checkSameLog asks that two homes are one log in one epoch.
func checkSameLog(t *testing.T, home, heir string) {
	t.Helper()
	one, err1 := sidecar.LogIDOf(home)
	other, err2 := sidecar.LogIDOf(heir)
	if err1 != nil || err2 != nil || one != other {
		t.Errorf("the log id was %x and is %x: %v, %v", one, other, err1, err2)
	}
}

// missingFrom is where an adoption says which numbers may be missing.
var missingFrom = regexp.MustCompile(`"may_be_missing_from": ?(\d+)`)

// TestTakeOverAsync kills a writer that archives every second and takes its ledger over: that is a new
// epoch, which says from which number on entries may be missing, and nothing before it is.
func TestTakeOverAsync(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	way := newWay(t, objectStore(t), 0)
	old := StartProcessEnv(t, bin, home, way.archived(archiveURL, "RON_LEDGER_ARCHIVE_INTERVAL=1s"))
	heir := heirHome(t, home)
	load := writers.New(1, 3).At(home)
	load.Pause = 5 * time.Millisecond
	under(t, load, func() {
		awaitAcks(t, load, 20)
		time.Sleep(2500 * time.Millisecond)
		old.Kill()
	})
	next := StartProcessEnv(t, bin, heir, way.archived(archiveAdopt, "RON_LEDGER_LOG_FORMAT=json"))
	if exit := next.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, next.Output())
	}
	found := missingFrom.FindStringSubmatch(next.Output())
	if found == nil {
		t.Fatalf("it does not say what may be missing\n%s", next.Output())
	}
	from, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	one, err1 := sidecar.LogIDOf(home)
	other, err2 := sidecar.LogIDOf(heir)
	if err1 != nil || err2 != nil || one == other {
		t.Errorf("the log id is still %x: %v, %v", one, err1, err2)
	}
	s, err := store.Open(store.Options{Dir: heir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	there, err := logOf(s)
	if err != nil {
		t.Fatal(err)
	}
	kept, behind, err := writers.HoldBefore(there, load, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests are there, %d may be missing, from %d on", kept, behind, from)
	if kept == 0 {
		t.Error("nothing was archived")
	}
}
