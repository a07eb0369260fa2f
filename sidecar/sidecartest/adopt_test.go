package sidecartest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// adopting is the configuration of an empty home that takes over from a folder.
func adopting(archived, home, keys string) *sidecar.Config {
	c := sidecar.Defaults(sidecar.Macronode)
	c.Home, c.HTTPS.Addr, c.Log.Level = home, "127.0.0.1:0", "error"
	c.Archive.Adopt, c.Archive.Mode, c.Keys.Adopt = archived, "sync", keys
	return c
}

// TestAdopt: an empty home with keys from a mounted folder becomes the ledger, under the same log id in
// sync, as often as one likes; without keys, with others, and from an archive without a ledger it
// becomes nothing.
func TestAdopt(t *testing.T) {
	archived, home := t.TempDir(), filepath.Join(ShortDir(t), "home")
	refused := func(name, home, from, keys, want string) {
		s, err := sidecar.Start(t.Context(), adopting(from, home, keys))
		if err == nil {
			err = errors.Join(errors.New("it has started"), s.Close(context.Background()))
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(home, "meta")); err == nil {
			t.Errorf("%s: it became a home", name)
		}
	}
	t.Run("first", func(t *testing.T) {
		_, token := startSidecar(t, func(c *sidecar.Config) { c.Home, c.Archive.Dir, c.Archive.Mode = home, archived, "sync" })
		mintOver(t, home, token, 1, 30)
	})
	empty := filepath.Join(ShortDir(t), "home")
	refused("no keys", empty, archived, "", "the node key")
	refused("nothing there", empty, t.TempDir(), home, "to begin a new ledger, start once without archive.adopt")
	other := filepath.Join(ShortDir(t), "home")
	mintIn(t, other, "", 1, 1)
	refused("other keys", filepath.Join(ShortDir(t), "home"), archived, other, "not one of this name")
	from := home
	for round := range 3 {
		heir := filepath.Join(ShortDir(t), "home")
		t.Run("heir", func(t *testing.T) {
			_, token := startSidecar(t, func(c *sidecar.Config) { *c = *adopting(archived, heir, from) })
			mintOver(t, heir, token, 1000*(round+1), 5)
		})
		checkSameLog(t, from, heir)
		if report, err := sidecar.Verify(t.Context(), heir, nil); err != nil || report.Size != uint64(30+5*(round+1)) {
			t.Errorf("the heir has %d entries: %v", report.Size, err)
		}
		if _, err := sidecar.Start(t.Context(), adopting(archived, from, "")); err == nil || !strings.Contains(err.Error(), "another sidecar has taken this ledger over") {
			t.Errorf("the home before it starts: %v", err)
		}
		from = heir
	}
	if _, err := sidecar.VerifyArchive(t.Context(), archived, nil, nil, nil); err != nil {
		t.Error(err)
	}
	t.Run("async", func(t *testing.T) { // leaving sync is said in the archive first
		startSidecar(t, func(c *sidecar.Config) { *c = *adopting(archived, from, ""); c.Archive.Mode = "async" })
	})
	t.Run("epoch", func(t *testing.T) {
		heir := filepath.Join(ShortDir(t), "home")
		startSidecar(t, func(c *sidecar.Config) { *c = *adopting(archived, heir, from) })
		before, _ := sidecar.LogIDOf(from)
		if after, err := sidecar.LogIDOf(heir); err != nil || after == before {
			t.Errorf("after async the log is still %x: %v", after, err)
		}
	})
}

// TestAdoptEmpty: a ledger that has no entry yet is adopted like any other, as often as one likes: its archive is a head.
func TestAdoptEmpty(t *testing.T) {
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			archived, home := t.TempDir(), filepath.Join(ShortDir(t), "home")
			t.Run("first", func(t *testing.T) {
				startSidecar(t, func(c *sidecar.Config) { c.Home, c.Archive.Dir, c.Archive.Mode = home, archived, mode })
			})
			if err := os.Mkdir(filepath.Join(archived, strings.Repeat("ab", 16)), 0o700); err != nil { // one that was never begun
				t.Fatal(err)
			}
			for round := range 2 {
				heir := filepath.Join(ShortDir(t), "home")
				t.Run("heir", func(t *testing.T) {
					_, token := startSidecar(t, func(c *sidecar.Config) { *c = *adopting(archived, heir, home); c.Archive.Mode = mode })
					if round == 1 {
						mintOver(t, heir, token, 1, 5)
					}
				})
				before, err1 := sidecar.LogIDOf(home)
				after, err2 := sidecar.LogIDOf(heir)
				if err := errors.Join(err1, err2); err != nil || (before == after) != (mode == "sync") {
					t.Errorf("round %d: the log was %x and is %x: %v", round, before, after, err)
				}
				if mode == "sync" {
					if _, err := sidecar.Start(t.Context(), adopting(archived, home, "")); err == nil || !strings.Contains(err.Error(), "another sidecar has taken this ledger over") {
						t.Errorf("the home before it starts: %v", err)
					}
				}
				home = heir
			}
			if report, err := sidecar.Verify(t.Context(), home, nil); err != nil || report.Size < 5 {
				t.Errorf("the last one has %d entries: %v", report.Size, err)
			}
		})
	}
}

func mintOver(t *testing.T, home string, token []byte, from, entries int) {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{Socket: home + "/ledger.sock", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for i := range entries {
		b := new(client.Batch)
		f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(from + i)}
		if err := b.Add(&f); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Append(t.Context(), b); err != nil || r.Accepted != 1 {
			t.Fatalf("%+v: %v", r, err)
		}
	}
}

// TestArchiveDown cuts a sidecar in sync off its object store under load: after two seconds appends are
// told busy at once, memory does not grow, and when the store is back all goes on by itself, nothing
// lost.
func TestArchiveDown(t *testing.T) {
	way := newWay(t, new(fakes3.Store), 0, 0)
	home := ShortDir(t)
	p := StartProcessEnv(t, Build(t), home, way.archived(archiveURL, archiveSync))
	load := writers.New(3, 3).At(home)
	load.Pause = time.Millisecond
	under(t, load, func() {
		awaitAcks(t, load, 50)
		way.cut.Store(true)
		atCut, _ := load.Count()
		awaitOutput(t, p, "commits wait for the archive")
		underWay := 3 * 4 // requests of each writer, whose segments were on their way
		if since, _ := load.Count(); since.Acked > atCut.Acked+underWay {
			t.Errorf("%d requests were acknowledged behind the last upload", since.Acked-atCut.Acked)
		}
		c, err := load.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b := new(client.Batch)
		if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(1)}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		refused := new(client.ReasonError)
		if _, err := c.Append(t.Context(), b); !errors.As(err, &refused) || refused.Reason != wire.ReasonBusy {
			t.Errorf("an append without the archive: %v", err)
		}
		t.Logf("told after %s", time.Since(began))
		_ = c.Close()
		before, _ := load.Count()
		time.Sleep(time.Second)
		during, _ := load.Count()
		if during.Acked != before.Acked {
			t.Errorf("%d requests were acknowledged without the archive", during.Acked-before.Acked)
		}
		way.cut.Store(false)
		awaitAcks(t, load, 50)
	})
	settle(t, load)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, home)
	count, err := load.Count()
	t.Logf("%+v", count)
	if err != nil {
		t.Error(err)
	}
}
