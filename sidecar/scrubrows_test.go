package sidecar

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
	"github.com/rustyonions/ron-ledger/store"
)

// generated is a file system with a ledger of every kind of entry, drawn from a seed, that was stopped.
func generated(t *testing.T, seed uint64, hash merkle.HashKind) *store.FS {
	t.Helper()
	profile := sidecartest.Profile{Hash: hash, Accounts: 6, Assets: 5, CheckpointEntries: 50, BatchMaxEntries: 30, Pipeline: 3, RandomNonces: seed%2 == 0}
	story, err := sidecartest.NewStory(profile, sidecartest.Generate(profile, seed, 2500))
	if err != nil {
		t.Fatal(err)
	}
	fs := store.NewCrashFS()
	if err := story.Play(fs); err != nil {
		t.Fatal(err)
	}
	return fs
}

func openOn(t *testing.T, fs *store.FS, hash merkle.HashKind) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{FS: fs, Hash: uint8(hash), Fatal: func(what string) { panic(what) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestScrubOfGeneratedLedgers finds nothing in ledgers with every kind of entry, rejected, repeated, reversed.
func TestScrubOfGeneratedLedgers(t *testing.T) {
	seed := rand.Uint64() % 1_000_000
	for i, hash := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		t.Logf("seed %d, %v", seed+uint64(i), hash)
		s := openOn(t, generated(t, seed+uint64(i), hash), hash)
		sc, _ := newScrubber(s, 1e9)
		if err := sc.pass(t.Context()); err != nil {
			t.Error(err)
		}
		if sc.rows.Load() < sc.entries.Load() || sc.entries.Load() != s.Mark().Size {
			t.Errorf("%d rows, %d entries of %d", sc.rows.Load(), sc.entries.Load(), s.Mark().Size)
		}
	}
}

// rowsOf sorts rows into a checkpoint.
func rowsOf(c *store.Checkpoint, row any) {
	switch row := row.(type) {
	case *store.Indexed:
		c.Index = append(c.Index, *row)
	case *store.AccountRow:
		c.Accounts = append(c.Accounts, store.AccountRow{Name: bytes.Clone(row.Name), Number: row.Number})
	case *store.BalanceRow:
		b := *row
		b.Name = bytes.Clone(row.Name)
		c.Balances = append(c.Balances, b)
	case *store.SupplyRow:
		c.Supplies = append(c.Supplies, *row)
	case *store.HoldRow:
		c.Holds = append(c.Holds, *row)
	case *store.ReversedRow:
		c.Reversed = append(c.Reversed, *row)
	case *store.RequestRow:
		c.Requests = append(c.Requests, *row)
	case *store.TileRow:
		c.Tiles = append(c.Tiles, store.TileRow{Level: row.Level, Index: row.Index, Data: bytes.Clone(row.Data)})
	case *store.RootRow:
		c.Roots = append(c.Roots, *row)
	}
}

// withState copies the log of s and makes a state of it that is not the one it gives.
func withState(t *testing.T, s *store.Store, damage func(*store.Checkpoint)) *store.Store {
	t.Helper()
	frozen, err := s.FreezeState(func(int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	c := &store.Checkpoint{Mark: frozen.Mark()}
	for row, err := range frozen.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rowsOf(c, row)
	}
	if err := frozen.Close(); err != nil {
		t.Fatal(err)
	}
	other := openOn(t, store.NewCrashFS(), merkle.HashKind(s.Meta().Hash))
	for commit, err := range s.Commits(1) {
		if err == nil {
			err = other.Append(commit)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	damage(c)
	if err := other.Checkpoint(c); err != nil {
		t.Fatal(err)
	}
	return other
}

// TestScrubComparesRows has states under whose checksums everything is right but one row.
func TestScrubComparesRows(t *testing.T) {
	sound := openOn(t, generated(t, 5, merkle.SHA256), merkle.SHA256)
	for _, tt := range []struct {
		name, want string
		damage     func(*store.Checkpoint)
	}{
		{"sound", "", func(*store.Checkpoint) {}},
		{"another sequence number", "identities", func(c *store.Checkpoint) { c.Index[7].Seq++ }},
		{"numbers given twice", "numbers of accounts", func(c *store.Checkpoint) {
			c.Accounts = append(c.Accounts, store.AccountRow{Name: []byte("nobody"), Number: 1})
		}},
		{"numbers swapped", "reverses", func(c *store.Checkpoint) {
			c.Accounts[0].Number, c.Accounts[1].Number = c.Accounts[1].Number, c.Accounts[0].Number
		}},
		{"a balance", "balances in asset", func(c *store.Checkpoint) { c.Balances[0].Available[0] ^= 1 }},
		{"a balance of another asset", "balances in asset \"ZZZ\"", func(c *store.Checkpoint) {
			c.Balances[0].Asset, c.Balances[0].Held[3] = [8]byte{'Z', 'Z', 'Z'}, 1
		}},
		{"a supply", "supply of asset", func(c *store.Checkpoint) { c.Supplies[0].Supply[1] ^= 4 }},
		{"a hold", "holds", func(c *store.Checkpoint) { c.Holds[0].Remaining[0] ^= 1 }},
		{"a reversal is missing", "reversals", func(c *store.Checkpoint) { c.Reversed = c.Reversed[1:] }},
		{"a request", "requests", func(c *store.Checkpoint) { c.Requests[0].Count++ }},
		{"a root", "roots", func(c *store.Checkpoint) { c.Roots[3].Root[9] ^= 1 }},
		{"a tile", "tiles", func(c *store.Checkpoint) { c.Tiles[0].Data[40] ^= 1 }},
		{"the frontier", "frontier", func(c *store.Checkpoint) { c.Mark.Frontier[0][9] ^= 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := withState(t, sound, tt.damage)
			sc, losses := newScrubber(s, 1e9)
			err := sc.pass(t.Context())
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing was found")
			}
			sc.found(err)
			if len(*losses) != 1 || !strings.Contains((*losses)[0].What, tt.want) || !strings.Contains((*losses)[0].What, "restart the sidecar") || (*losses)[0].First > 0 {
				t.Errorf("%+v", *losses)
			}
		})
	}
}

// TestScrubReadsTheWAL damages what lies in the WAL alone: safe mode names the file, the records and the way
// out, which is a clean stop; behind it everything is there.
func TestScrubReadsTheWAL(t *testing.T) {
	s, dir := scrubbed(t, 30, same)
	frontier, err := newProver(s).FrontierAt(600)
	if err != nil {
		t.Fatal(err)
	}
	last := store.Commit{}
	for c, err := range s.Commits(600) {
		if err != nil {
			t.Fatal(err)
		}
		last = *c
		last.Records, last.Ends = bytes.Clone(c.Records), append([]uint32(nil), c.Ends...)
	}
	for n := range 20 {
		last.First, last.Records[16+15] = 601+20*uint64(n), byte(100+n)
		start := uint32(0)
		for _, end := range last.Ends {
			frontier.Add(frontier.Kind().Leaf(last.Records[start:end]))
			start = end
		}
		last.Root = frontier.Root()
		if err := s.Append(&last); err != nil {
			t.Fatal(err)
		}
	}
	sc, losses := newScrubber(s, 1e9)
	if err := sc.pass(t.Context()); err != nil || sc.entries.Load() != 1000 {
		t.Fatalf("undamaged, %d entries: %v", sc.entries.Load(), err)
	}
	wals, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	if err != nil || len(wals) == 0 {
		t.Fatalf("%d WALs: %v", len(wals), err)
	}
	wal := wals[len(wals)-1]
	content, err := os.ReadFile(wal)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(wal, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("rot"), int64(len(bytes.TrimRight(content, "\x00"))/2))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	err = sc.pass(t.Context())
	sc.found(err)
	if len(*losses) != 1 || (*losses)[0].First <= 600 || (*losses)[0].Last != 1000 {
		t.Fatalf("%+v: %v", *losses, err)
	}
	for _, part := range []string{filepath.Base(wal), "a clean stop writes it into a table", fmt.Sprint("number ", (*losses)[0].First)} {
		if !strings.Contains((*losses)[0].What, part) {
			t.Errorf("it does not say %q: %s", part, (*losses)[0].What)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(store.Options{Dir: dir, Fatal: func(what string) { panic(what) }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	sc, _ = newScrubber(s, 1e9)
	if err := sc.pass(t.Context()); err != nil || sc.entries.Load() != 1000 {
		t.Errorf("behind a clean stop, %d entries: %v", sc.entries.Load(), err)
	}
}
