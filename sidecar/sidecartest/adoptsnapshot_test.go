package sidecartest

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// snapshotted is a ledger that has ended, whose archive has two snapshots: of its first part and of most of it.
type snapshotted struct {
	t              *testing.T
	bin            Binaries
	home, archived string
	folder         string // of the log, in the archive
	entries        int
}

// newSnapshotted books so many entries, in requests of a thirtieth and at most a thousand, with snapshots behind 60 and 90
// in a hundred.
func newSnapshotted(t *testing.T, mode string, entries int, env ...string) *snapshotted {
	s := &snapshotted{t: t, bin: Build(t), home: ShortDir(t), archived: ShortDir(t), entries: entries}
	p := StartProcessEnv(t, s.bin, s.home, append([]string{"RON_LEDGER_ARCHIVE_DIR=" + s.archived, "RON_LEDGER_ARCHIVE_MODE=" + mode, "RON_LEDGER_ARCHIVE_INTERVAL=1h"}, env...))
	c, err := client.Dial(t.Context(), client.Options{Socket: p.Socket, TokenFile: filepath.Join(s.home, "token")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for booked := 0; booked < entries; {
		b := new(client.Batch)
		until := entries
		for _, stop := range []int{entries * 6 / 10, entries * 9 / 10} {
			if booked < stop {
				until = min(until, stop)
			}
		}
		for until = min(until, booked+min(1000, entries/30)); booked < until; booked++ {
			if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(booked + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.AppendRetry(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if booked == entries*9/10 && len(env) > 0 {
			s.awaitPruned(p)
		}
		if booked == entries*6/10 || booked == entries*9/10 {
			if stdout, exit := p.CLI("snapshot", "create", "--to-archive"); exit != 0 || !strings.Contains(stdout, "in its archive, as snapshot-") {
				t.Fatalf("a snapshot into the archive: exit status %d: %s\n%s", exit, stdout, p.Output())
			}
		}
	}
	if exit := p.Stop(); exit != 0 {
		t.Fatalf("exit status %d\n%s", exit, p.Output())
	}
	folders, err := os.ReadDir(s.archived)
	if err != nil || len(folders) != 1 {
		t.Fatalf("%v: %v", folders, err)
	}
	s.folder = folders[0].Name()
	return s
}

// awaitPruned waits until the ledger has forgotten its first bodies.
func (s *snapshotted) awaitPruned(p *Process) {
	s.t.Helper()
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		var status struct{ Oldest uint64 }
		stdout, _ := p.CLI("status", "--json")
		if err := json.Unmarshal([]byte(stdout), &status); err != nil {
			s.t.Fatal(err)
		}
		if status.Oldest > 1 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("nothing is pruned\n%s", stdout)
		}
	}
}

// objects returns the names of one kind, in order.
func (s *snapshotted) objects(archived, prefix string) (names []string) {
	s.t.Helper()
	all, err := os.ReadDir(filepath.Join(archived, s.folder))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, entry := range all {
		if strings.HasPrefix(entry.Name(), prefix) {
			names = append(names, filepath.Join(archived, s.folder, entry.Name()))
		}
	}
	slices.Sort(names)
	return names
}

// adopt takes the ledger over from an archive, and returns what that said, how long it took, and the new home.
func (s *snapshotted) adopt(archived, mode string) (said string, took time.Duration, heir string) {
	s.t.Helper()
	heir = heirHome(s.t, s.home)
	began := time.Now()
	p := StartProcessEnv(s.t, s.bin, heir, []string{archiveAdopt + "=" + archived, "RON_LEDGER_ARCHIVE_MODE=" + mode})
	took = time.Since(began)
	if exit := p.Stop(); exit != 0 {
		s.t.Fatalf("exit status %d\n%s", exit, p.Output())
	}
	return p.Output(), took, heir
}

// spoiled changes an object.
func spoiled(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o600)
}

// TestAdoptFromSnapshot takes a ledger over from the newest snapshot of its archive that is good and the segments behind it,
// and from the segments where none is; what is wrong with one is said. What is taken over is the same ledger each time.
// ADOPT_ENTRIES makes it a large one, and the times those of a table.
func TestAdoptFromSnapshot(t *testing.T) {
	entries := int(setting(t, "ADOPT_ENTRIES", 3000))
	s := newSnapshotted(t, "sync", entries)
	index, parts := s.objects(s.archived, "snapshot-"), s.objects(s.archived, "part-")
	if len(index) != 2 || len(parts) < 2 {
		t.Fatalf("%v, %v", index, parts)
	}
	id, err := sidecar.LogIDOf(s.home)
	if err != nil {
		t.Fatal(err)
	}
	const begins, useless = "beginning with a snapshot of the archive", "a snapshot in the archive is of no use"
	for _, c := range []struct {
		name  string
		spoil func(index, parts []string) error
		want  []string // base names of the snapshots that it says to begin with, or that are of no use
		bad   int
	}{
		{"sound", func(_, _ []string) error { return nil }, []string{index[1]}, 0},
		{"a part of the newest is damaged", func(_, parts []string) error { return spoiled(parts[len(parts)-1]) }, []string{index[0]}, 1},
		{"the newest is half uploaded", func(index, parts []string) error {
			return errors.Join(os.Remove(index[1]), os.Remove(parts[len(parts)-1]))
		}, []string{index[0]}, 0},
		{"both are damaged", func(index, _ []string) error { return errors.Join(spoiled(index[0]), spoiled(index[1])) }, nil, 2},
		{"none", func(index, _ []string) error { return errors.Join(os.Remove(index[0]), os.Remove(index[1])) }, nil, 0},
	} {
		archived := ShortDir(t)
		if err := errors.Join(copyFiles(s.archived, archived), c.spoil(s.objects(archived, "snapshot-"), s.objects(archived, "part-"))); err != nil {
			t.Fatal(err)
		}
		said, took, heir := s.adopt(archived, "sync")
		t.Logf("%s: %d entries taken over in %s", c.name, entries, took.Round(time.Millisecond))
		if strings.Count(said, begins) != len(c.want) || strings.Count(said, useless) != c.bad {
			t.Errorf("%s: it says\n%s", c.name, said)
		}
		for _, want := range c.want {
			if _, behind, _ := strings.Cut(said, begins); !strings.Contains(behind, filepath.Base(want)) {
				t.Errorf("%s: it does not begin with %s\n%s", c.name, want, said)
			}
		}
		after, err := sidecar.LogIDOf(heir)
		if err != nil || after != id {
			t.Errorf("%s: the log was %x and is %x: %v", c.name, id, after, err)
		}
		if report, err := sidecar.Verify(t.Context(), heir, nil); err != nil || report.Size != uint64(entries) {
			t.Errorf("%s: %d entries: %v", c.name, report.Size, err)
		}
	}
}

// TestAdoptFromPrunedSnapshot: a snapshot of a ledger that has forgotten bodies is as good in the same epoch; a new one, whose
// archive has to begin with the first entry, is made from the segments.
func TestAdoptFromPrunedSnapshot(t *testing.T) {
	for _, mode := range []string{"sync", "async"} {
		s := newSnapshotted(t, mode, 3000, "RON_LEDGER_RETENTION_KEEP=512", "RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=512")
		said, _, heir := s.adopt(s.archived, mode)
		home, err := store.Open(store.Options{Dir: heir})
		if err != nil {
			t.Fatal(err)
		}
		tail, err := home.Last()
		if err := errors.Join(err, home.Close()); err != nil {
			t.Fatal(err)
		}
		if pruned := tail.First > 1; pruned != (mode == "sync") || (mode == "async") != strings.Contains(said, "are pruned in it") {
			t.Errorf("%s: the first entry is %d, and it says\n%s", mode, tail.First, said)
		}
		report, err := sidecar.VerifyArchive(t.Context(), s.archived, idOf(t, heir), nil, nil)
		if err != nil || report.Size != tail.Size {
			t.Errorf("%s: the archive has %d of %d entries: %v", mode, report.Size, tail.Size, err)
		}
	}
}

func idOf(t *testing.T, home string) *[16]byte {
	t.Helper()
	id, err := sidecar.LogIDOf(home)
	if err != nil {
		t.Fatal(err)
	}
	return &id
}
