package sidecartest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

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

// takeovers adds up what rounds came to.
type takeovers struct {
	mu                              sync.Mutex
	rounds, acked, terms            int
	asyncRounds, missing, missingIn int
	oldest                          time.Duration // of what is missing, before the old writer's end
}

// TestTakeOver takes a ledger over TAKEOVER_ROUNDS times, one of each kind unless told, under load, with a network
// that cuts, delays, repeats and refuses: the old writer, which archives in sync or async, is killed, paused,
// partitioned or knows nothing. No term has two writers, and the old one stops. In sync nothing that either acknowledged is
// missing in the new one, or there twice. In async exactly that is missing which the new one says, nothing of it was
// acknowledged longer than archive.interval and one upload before the old one's end, and the old one says the same numbers.
//
// A round follows from TAKEOVER_SEED and its number; TAKEOVER_FIRST is that of the first.
func TestTakeOver(t *testing.T) {
	kinds := 2 * len(ends)
	seed, rounds := setting(t, "TAKEOVER_SEED", uint64(time.Now().UnixNano())%1_000_000), int(setting(t, "TAKEOVER_ROUNDS", uint64(kinds)))
	first := int(setting(t, "TAKEOVER_FIRST", 0))
	t.Logf("TAKEOVER_SEED=%d TAKEOVER_FIRST=%d TAKEOVER_ROUNDS=%d", seed, first, rounds)
	bin, total := Build(t), new(takeovers)
	t.Run("rounds", func(t *testing.T) {
		for round := first; round < first+rounds; round++ {
			r := &takeover{bin: bin, seed: seed + uint64(round), total: total, end: ends[round/2%len(ends)], sync: round%2 == 0}
			mode := "async"
			if r.sync {
				mode = "sync"
			}
			t.Run(fmt.Sprint(round, mode, r.end), func(t *testing.T) {
				if rounds <= kinds {
					t.Parallel()
				}
				r.run(t)
			})
		}
	})
	t.Logf("%d takeovers, %d requests acknowledged, %d terms of one writer each; of %d async ones %d lack an end: %d entries, all as said, "+
		"the oldest acknowledged %s before the end of the old writer", total.rounds, total.acked, total.terms, total.asyncRounds, total.missingIn,
		total.missing, total.oldest.Round(time.Millisecond))
}

// takeover is one round.
type takeover struct {
	bin   Binaries
	seed  uint64
	end   string
	sync  bool
	total *takeovers

	t              *testing.T
	objects        http.Handler
	oldWay, newWay *way
	home, heir     string
	old, next      *Process
	ended          time.Time // what the old writer sends from then on counts for nothing
}

func (r *takeover) run(t *testing.T) {
	r.t, r.objects = t, objectStore(t)
	r.oldWay, r.newWay = newWay(t, r.objects, r.seed, 8), newWay(t, r.objects, r.seed, 3)
	r.home = ShortDir(t)
	r.old = StartProcessEnv(t, r.bin, r.home, r.env(r.oldWay, archiveURL))
	r.heir = heirHome(t, r.home)
	if r.sync {
		r.inSync()
	} else {
		r.inAsync()
	}
	r.total.mu.Lock()
	r.total.rounds++
	r.total.mu.Unlock()
}

// asyncInterval is archive.interval of those that acknowledge before they archive.
const asyncInterval = time.Second

func (r *takeover) env(w *way, key string) []string {
	if r.sync {
		return w.archived(key, archiveSync)
	}
	return w.archived(key, "RON_LEDGER_ARCHIVE_INTERVAL="+asyncInterval.String(), "RON_LEDGER_LOG_FORMAT=json")
}

// takeOver lets the old writer come to its end, and starts the one that takes over.
func (r *takeover) takeOver(before func()) {
	r.t.Helper()
	r.ended = time.Now()
	switch r.end {
	case "killed":
		r.old.Kill()
	case "paused":
		signalTo(r.t, r.old, syscall.SIGSTOP)
	case "partitioned":
		r.oldWay.cut.Store(true)
	}
	r.next = StartProcessEnv(r.t, r.bin, r.heir, r.env(r.newWay, archiveAdopt))
	before()
	switch r.end {
	case "paused":
		signalTo(r.t, r.old, syscall.SIGCONT)
	case "partitioned": // who is connected to the old one hears nothing until then
		time.Sleep(300 * time.Millisecond)
		r.oldWay.cut.Store(false)
	}
}

const takenOver = "another sidecar has taken this ledger over"

func (r *takeover) inSync() {
	t := r.t
	homes := new(atomic.Pointer[[]string])
	homes.Store(&[]string{r.home})
	load := among(writers.New(r.seed, 3), homes, filepath.Join(r.home, "token"))
	load.Pause = time.Millisecond
	under(t, load, func() {
		awaitAcks(t, load, 40)
		r.takeOver(func() { homes.Store(&[]string{r.home, r.heir}) })
		awaitAcks(t, load, 40)
		if r.end != "killed" {
			awaitOutput(t, r.old, takenOver)
		}
		homes.Store(&[]string{r.heir})
		awaitAcks(t, load, 40)
	})
	settle(t, load)
	r.stop()
	CheckLoad(t, load, r.heir)
	checkSameLog(t, r.home, r.heir)
	r.checkTerms(2)
	r.count(load)
	// The old home knows that it was taken over: it does not serve what nobody acknowledged.
	again := LaunchProcess(t, r.bin, r.home, r.env(r.oldWay, archiveURL))
	if exit := again.Wait(); exit != sidecar.ExitFailure || !strings.Contains(again.Output(), takenOver) {
		t.Errorf("the old home starts: exit status %d\n%s", exit, again.Output())
	}
}

// stop ends both.
func (r *takeover) stop() {
	if exit := r.next.Stop(); exit != 0 {
		r.t.Errorf("SIGTERM: exit status %d\n%s", exit, r.next.Output())
	}
	if r.end != "killed" {
		r.old.Kill()
	}
}

// checkTerms asks that the terms of the archives, of which there are so many, have one writer each, and that the archive
// of the new one has all that it has.
func (r *takeover) checkTerms(want int) {
	sizes, terms := checkTerms(r.t, r.objects, map[string]*way{"the old one": r.oldWay, "the new one": r.newWay})
	if size, archived := sizeOf(r.t, r.heir), sizes[*idOf(r.t, r.heir)]; size != archived {
		r.t.Errorf("of %d entries %d are archived", size, archived)
	}
	if terms != want {
		r.t.Errorf("%d terms instead of %d", terms, want)
	}
	r.total.mu.Lock()
	r.total.terms += terms
	r.total.mu.Unlock()
}

func (r *takeover) count(loads ...*writers.Load) {
	for _, load := range loads {
		count, err := load.Count()
		if err != nil {
			r.t.Error(err)
		}
		r.t.Logf("%+v", count)
		r.total.mu.Lock()
		r.total.acked += count.Acked
		r.total.mu.Unlock()
	}
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
