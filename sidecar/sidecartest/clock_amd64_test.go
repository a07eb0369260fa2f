package sidecartest

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/trace"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// hour is how far the clock jumps.
const hour = int64(time.Hour / time.Second)

// TestClockJumps sets the clock of the real program forth and back by an hour, several times amid a
// load: the order, the numbers and what was acknowledged do not depend on it; the times of commits
// never go back; a token that expires is refused while the clock says so and taken again when it does
// not.
func TestClockJumps(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	p := StartProcess(t, bin, home)
	token := filepath.Join(ShortDir(t), "token")
	text, exit := p.CLI("token", "mint", "--expires", "30m", "--caveat", "op = read")
	if exit != 0 {
		t.Fatalf("token mint: exit status %d", exit)
	}
	if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit := p.Stop(); exit != 0 {
		t.Fatalf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}

	var ahead atomic.Int64
	var jumps atomic.Int32
	load := writers.New(1, 2).At(home)
	load.Pause = 5 * time.Millisecond
	refused := func() bool {
		c, err := client.Dial(t.Context(), client.Options{Socket: filepath.Join(home, "ledger.sock"), TokenFile: token})
		if err != nil {
			return errors.As(err, new(*client.ReasonError))
		}
		return c.Close() != nil
	}
	during := func() {
		for _, seconds := range []int64{hour, 0, -hour, hour, 0} {
			awaitAcks(t, load, 20)
			ahead.Store(seconds)
			jumps.Add(1)
			if got, want := refused(), seconds > 0; got != want {
				t.Errorf("with the clock %d s ahead, a token of 30 minutes: refused %t", seconds, got)
			}
		}
	}
	exitStatus, err := runTraced(t, bin, home, load, trace.Options{Clock: ahead.Load}, during)
	if err != nil || exitStatus != "exit 0" {
		t.Fatalf("%s, %v", exitStatus, err)
	}
	count, err := load.Count()
	if err != nil || count.Unresolved > 0 {
		t.Errorf("%+v, %v", count, err)
	}
	CheckLoad(t, load, home) // the times of commits among it
	if latest := newestTime(t, home); latest.Before(time.Now().Add(50*time.Minute)) || latest.After(time.Now().Add(2*time.Hour)) {
		t.Errorf("the newest commit is of %s, with a clock that was an hour ahead: now is %s", latest, time.Now())
	}
	t.Logf("%d jumps; %+v", jumps.Load(), count)
	stopAndCheck(t, StartProcess(t, bin, home), load) // in the past of its own log
}

// newestTime returns the time of the newest commit.
func newestTime(t *testing.T, home string) time.Time {
	t.Helper()
	s, err := store.Open(store.Options{Dir: copyHome(t, home)})
	if err != nil {
		t.Fatal(err)
	}
	latest := int64(0)
	for commit, err := range s.Commits(1) {
		if err != nil {
			t.Fatal(err)
		}
		latest = commit.TimeMs
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(latest)
}
