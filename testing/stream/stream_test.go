package stream

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const subject = "ledger.commit"

func hexOf(root [32]byte) string { return hex.EncodeToString(root[:]) }

func size(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestStream kills and stops nats-server and the sidecar in turn, STREAM_ROUNDS times, under the load of four writers. In
// the end the stream has every commit, in order, once.
func TestStream(t *testing.T) {
	seed := size(t, "STREAM_SEED", int(time.Now().UnixNano()&0xffffff))
	rounds := size(t, "STREAM_ROUNDS", 12)
	t.Logf("STREAM_SEED=%d", seed)
	dice := rand.New(rand.NewPCG(uint64(seed), 0))
	s := startServer(t)
	s.makeStream(subject)
	l := newLedger(t, s)
	l.start()
	l.caughtUp()
	writers := l.load(4, 100)
	did := map[string]int{}
	for range rounds {
		time.Sleep(time.Duration(dice.IntN(400)) * time.Millisecond)
		before := writers.appended.Load()
		what := []string{"server killed", "server stopped", "server stands still", "sidecar killed", "sidecar stopped", "both killed"}[dice.IntN(6)]
		did[what]++
		pause := time.Duration(dice.IntN(600)) * time.Millisecond
		switch what {
		case "server killed", "server stopped":
			s.end(map[string]syscall.Signal{"server killed": syscall.SIGKILL, "server stopped": syscall.SIGTERM}[what])
			time.Sleep(pause)
			s.start()
		case "server stands still":
			s.signal(syscall.SIGSTOP)
			time.Sleep(pause)
			s.signal(syscall.SIGCONT)
		case "sidecar killed", "sidecar stopped":
			l.end(map[string]syscall.Signal{"sidecar killed": syscall.SIGKILL, "sidecar stopped": syscall.SIGTERM}[what])
			l.start()
		case "both killed":
			s.end(syscall.SIGKILL)
			l.end(syscall.SIGKILL)
			l.start()
			time.Sleep(pause)
			s.start()
		}
		// Whatever becomes of the stream, entries are booked.
		until(t, "entries to be booked", func() bool { return writers.appended.Load() > before })
	}
	writers.end()
	l.bookLast()
	end := l.caughtUp()
	bodies := s.messages(subject)
	l.agrees(bodies)
	t.Logf("%d entries in %d commits, in order, each once, over %v", end.Size, len(bodies), did)
}

// TestOlderStream puts an older copy of its files in the place of the server's: it is told again what it has lost, since
// the position is the stream's.
func TestOlderStream(t *testing.T) {
	s := startServer(t)
	s.makeStream(subject)
	l := newLedger(t, s)
	l.start()
	writers := l.load(2, 0)
	until(t, "some entries", func() bool { return writers.appended.Load() > 300 })
	s.end(syscall.SIGKILL)
	store := filepath.Join(s.dir, "store")
	if out, err := exec.Command("cp", "-r", store, store+".copy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.start()
	until(t, "more entries", func() bool { return writers.appended.Load() > 900 })
	before := l.caughtUp().Stream.Size
	s.end(syscall.SIGKILL)
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(store+".copy", store); err != nil {
		t.Fatal(err)
	}
	s.start()
	writers.end()
	l.bookLast()
	l.caughtUp()
	l.agrees(s.messages(subject))
	t.Logf("the stream had %d entries and lost some", before)
}

// TestOutage lets nobody take messages for a while: appends do not notice, and nothing is missing afterwards.
func TestOutage(t *testing.T) {
	s := startServer(t)
	s.makeStream(subject)
	l := newLedger(t, s)
	l.start()
	c := l.dial()
	defer func() { _ = c.Close() }()
	l.caughtUp()
	slowest := func() (slowest time.Duration) {
		for range 200 {
			began := time.Now()
			if _, err := c.AppendRetry(t.Context(), batch(t, 1, 0)); err != nil {
				t.Fatal(err)
			}
			slowest = max(slowest, time.Since(began))
		}
		return slowest
	}
	with := slowest()
	s.signal(syscall.SIGSTOP)
	stopped := slowest()
	until(t, "the lag to be seen", func() bool { return l.status(c).Stream.LagEntries > 0 })
	s.signal(syscall.SIGCONT)
	s.end(syscall.SIGKILL)
	without := slowest()
	until(t, "the failure to be told", func() bool { return strings.HasPrefix(l.status(c).Degraded, "stream: ") })
	s.start()
	l.caughtUp()
	l.agrees(s.messages(subject))
	t.Logf("the slowest of 200 appends: %v with the server, %v while it stands still, %v without it", with, stopped, without)
}

// TestEntries tells entries, in commits that are larger than what the server takes in a message.
func TestEntries(t *testing.T) {
	s := startServer(t, "max_payload: 32768")
	s.makeStream(subject)
	l := newLedger(t, s, "RON_LEDGER_STREAM_NATS_ENTRIES=all")
	l.start()
	c := l.dial()
	defer func() { _ = c.Close() }()
	for _, entries := range []int{1, 700, 3, 1} {
		if _, err := c.AppendRetry(t.Context(), batch(t, entries, 300)); err != nil {
			t.Fatal(err)
		}
	}
	l.caughtUp()
	l.end(syscall.SIGKILL)
	l.start()
	again := l.dial()
	defer func() { _ = again.Close() }()
	if _, err := again.AppendRetry(t.Context(), batch(t, 2, 0)); err != nil {
		t.Fatal(err)
	}
	l.caughtUp()
	want, err := exec.Command(built.ctl, "--home", l.home, "get", "1..", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	bodies := s.messages(subject)
	for _, body := range bodies {
		var m told
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		for _, entry := range m.Entries {
			got.Write(append(entry, '\n'))
		}
	}
	if got.String() != string(want) || len(bodies) < 10 {
		t.Errorf("%d messages tell\n%.2000s\nand the ledger has\n%.2000s", len(bodies), got.String(), want)
	}
}

// TestOthersInTheStream has somebody else publish in the same stream all the time, on another subject.
func TestOthersInTheStream(t *testing.T) {
	s := startServer(t)
	js := s.makeStream("ledger.>")
	l := newLedger(t, s)
	l.start()
	var published atomic.Uint64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			if _, err := js.Publish(t.Context(), "ledger.other", []byte("x")); err == nil {
				published.Add(1)
			}
		}
	}()
	writers := l.load(4, 0)
	until(t, "some entries", func() bool { return writers.appended.Load() > 1000 && published.Load() > 100 })
	writers.end()
	l.bookLast()
	l.caughtUp()
	close(done)
	<-stopped
	l.agrees(s.messages(subject))
	t.Logf("%d messages of somebody else lie in between", published.Load())
}

// TestAnotherLedger is not let onto the subject of the first.
func TestAnotherLedger(t *testing.T) {
	s := startServer(t)
	js := s.makeStream("ledger.*")
	first, second := newLedger(t, s), newLedger(t, s)
	for _, l := range []*ledger{first, second} {
		l.start()
		c := l.dial()
		if _, err := c.AppendRetry(t.Context(), batch(t, 3, 0)); err != nil {
			t.Fatal(err)
		}
		if l == first {
			l.caughtUp()
		}
		_ = c.Close()
	}
	c := second.dial()
	until(t, "the second to be refused", func() bool { return strings.Contains(second.status(c).Stream.Error, "a subject of its own") })
	_ = c.Close()
	first.agrees(s.messages(subject))
	second.end(syscall.SIGTERM)
	second.env = append(second.env, "RON_LEDGER_STREAM_NATS_SUBJECT=ledger.second")
	second.start()
	second.caughtUp()
	second.agrees(s.messages("ledger.second"))
	stream, err := js.Stream(t.Context(), "LEDGER")
	if err != nil {
		t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var m told
	if err := json.Unmarshal(last.Data, &m); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%s-%d", m.Log, m.Seq); last.Header.Get(jetstream.MsgIDHeader) != want {
		t.Errorf("the message id is %q, want %q", last.Header.Get(jetstream.MsgIDHeader), want)
	}
}

// TestNoStream says what is missing, and goes on by itself when it is there.
func TestNoStream(t *testing.T) {
	s := startServer(t)
	l := newLedger(t, s)
	l.start()
	c := l.dial()
	defer func() { _ = c.Close() }()
	if _, err := c.AppendRetry(t.Context(), batch(t, 3, 0)); err != nil {
		t.Fatal(err)
	}
	until(t, "the sidecar to say so", func() bool { return strings.Contains(l.status(c).Stream.Error, "nats stream add") })
	s.makeStream(subject)
	l.caughtUp()
	l.agrees(s.messages(subject))
}
