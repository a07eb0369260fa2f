package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// filled returns the file system of a closed store with checkpoints at 600 and 1200, and its model.
func filled(t *testing.T) (*FS, *ledger) {
	t.Helper()
	fs := Memory()
	s := open(t, Options{FS: fs})
	defer closeStore(t, s)
	l := newLedger(1)
	for before := uint64(0); before < 1200; before = l.size {
		mustAppend(t, s, l.commit(300, 200))
		mustAppend(t, s, l.commit(300, 200))
		mustCheckpoint(t, s, l.checkpoint(before))
	}
	return fs, l
}

// TestStateIsExpendable: without its state a ledger opens with mark zero and its whole log, and the
// state can be made again.
func TestStateIsExpendable(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, fs *FS){
		"deleted": func(t *testing.T, fs *FS) { remove(t, fs, "/ledger/state") },
		"asked to be rebuilt": func(t *testing.T, fs *FS) {
			if err := writeFileAtomically(fs.fs, "/ledger", rebuildName, nil); err != nil {
				t.Fatal(err)
			}
		},
		"manifest damaged": func(t *testing.T, fs *FS) {
			for _, name := range list(t, fs, "/ledger/state") {
				if strings.HasPrefix(name, "MANIFEST") {
					overwrite(t, fs, "/ledger/state/"+name, 0, make([]byte, 40))
				}
			}
		},
		"tables deleted": func(t *testing.T, fs *FS) {
			for _, name := range list(t, fs, "/ledger/state") {
				if strings.HasSuffix(name, ".sst") {
					remove(t, fs, "/ledger/state/"+name)
				}
			}
		},
		"of another ledger": func(t *testing.T, fs *FS) {
			remove(t, fs, "/ledger/log")
			remove(t, fs, "/ledger/meta")
			remove(t, fs, "/ledger/head")
			s := open(t, Options{FS: fs})
			if m := s.Mark(); m.Size != 0 {
				t.Errorf("mark %d beyond an empty log", m.Size)
			}
			l := newLedger(1)
			for range 4 {
				mustAppend(t, s, l.commit(300, 200))
			}
			closeStore(t, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs, l := filled(t)
			damage(t, fs)
			s := open(t, Options{FS: fs})
			defer closeStore(t, s)
			if m := s.Mark(); m.Size != 0 {
				t.Fatalf("mark %d of a state that is gone", m.Size)
			}
			if _, ok, err := s.LookupIdentity(Identity{nonceOf(1), 1}); ok || err != nil {
				t.Fatalf("identity: %v, %v", ok, err)
			}
			checkLog(t, s, l.commits)
			mustCheckpoint(t, s, l.checkpoint(0))
			if seq, ok, err := s.LookupIdentity(Identity{nonceOf(77), 1}); seq != 77 || !ok || err != nil {
				t.Fatalf("identity after a new checkpoint: %d, %v, %v", seq, ok, err)
			}
		})
	}
}

// TestDamagedRowIsNoticed: a flipped byte in a table of the state is an error of the look-up, and the
// next start makes the state again.
func TestDamagedRowIsNoticed(t *testing.T) {
	fs, l := filled(t)
	for _, name := range list(t, fs, "/ledger/state") {
		info, err := fs.fs.Stat("/ledger/state/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".sst") && info.Size() > 8<<10 { // a table of the index
			overwrite(t, fs, "/ledger/state/"+name, 60, []byte{0xa5, 0x5a, 0xa5, 0x5a})
		}
	}
	s := open(t, Options{FS: fs})
	if m := s.Mark(); m.Size != 1200 {
		t.Fatalf("mark %d: the damage was not where it was meant to be", m.Size)
	}
	failed := 0
	for seq := uint64(1); seq <= l.size; seq += 7 {
		if got, ok, err := s.LookupIdentity(Identity{nonceOf(seq), 1}); err != nil {
			failed++
		} else if !ok || got != seq {
			t.Fatalf("identity of %d: %d, %v", seq, got, ok)
		}
	}
	if failed == 0 {
		t.Fatal("no look-up noticed the damage")
	}
	closeStore(t, s)
	s = open(t, Options{FS: fs})
	defer closeStore(t, s)
	if m := s.Mark(); m.Size != 0 {
		t.Fatalf("mark %d after the damage was noticed", m.Size)
	}
}

// TestMissingLogIsLoss: a home whose log or meta file is missing does not open.
func TestMissingLogIsLoss(t *testing.T) {
	for _, name := range []string{"log", "meta"} {
		fs, _ := filled(t)
		remove(t, fs, "/ledger/"+name)
		if s, err := Open(Options{FS: fs}); err == nil {
			t.Errorf("opened without %s at %+v", name, s.Mark())
		} else {
			t.Log(err)
		}
	}
}

// TestCheckpointIsNeverAhead: a mark beyond the log, within a commit, with another root or not
// going forward is refused and breaks nothing.
func TestCheckpointIsNeverAhead(t *testing.T) {
	s := open(t, Options{FS: Memory()})
	defer closeStore(t, s)
	l := newLedger(1)
	for range 3 {
		mustAppend(t, s, l.commit(600, 200))
	}
	for _, m := range []Mark{
		{Size: 1801, Root: rootOf(1801)},
		{Size: 1799, Root: rootOf(1799)},
		{Size: 512, Root: rootOf(512)},
		{Size: 600, Root: rootOf(1200)},
		{},
	} {
		if err := s.Checkpoint(&Checkpoint{Mark: m}); err == nil {
			t.Errorf("mark at %d was taken", m.Size)
		}
	}
	mustCheckpoint(t, s, &Checkpoint{Mark: Mark{Size: 1200, Root: rootOf(1200)}})
}

func TestListings(t *testing.T) {
	s := open(t, Options{FS: Memory()})
	defer closeStore(t, s)
	l := newLedger(1)
	for range 5 {
		mustAppend(t, s, l.commit(100, 200))
	}
	c := l.checkpoint(0)
	c.Balances = nil
	var want []string
	for _, name := range []string{"b", "a", "a.", "a:b", "aa", "A", "a/b"} {
		for _, asset := range []string{"USD", "", "EUR"} {
			row := BalanceRow{Name: []byte(name), Available: u128(7), Held: u128(8)}
			copy(row.Asset[:], asset)
			c.Balances = append(c.Balances, row)
			want = append(want, name+"\x00"+asset)
		}
	}
	slices.Sort(want)
	hold := Identity{nonceOf(9), 1}
	c.Holds = []HoldRow{{Identity: hold, Asset: [8]byte{'E'}, Remaining: u128(5)}}
	c.Reversed = []ReversedRow{{Seq: 3, Reversal: 9}}
	c.Tiles = []TileRow{{Level: 1, Index: 2, Data: []byte("tile")}}
	mustCheckpoint(t, s, c)

	listing, err := s.Balances()
	if err != nil {
		t.Fatal(err)
	}
	if listing.Mark().Size != 500 {
		t.Fatalf("listing as of %d", listing.Mark().Size)
	}
	mustAppend(t, s, l.commit(100, 200))
	later := l.checkpoint(500)
	later.Holds = []HoldRow{{Identity: hold, Asset: [8]byte{'E'}}}
	mustCheckpoint(t, s, later) // what the listing must not show
	for _, from := range []string{"", "a.", "a/", "zz"} {
		var got []string
		for row, err := range listing.Rows([]byte(from)) {
			if err != nil || row.Available != u128(7) || row.Held != u128(8) {
				t.Fatalf("%+v, %v", row, err)
			}
			got = append(got, fmt.Sprintf("%s\x00%s", row.Name, strings.TrimRight(string(row.Asset[:]), "\x00")))
		}
		i, _ := slices.BinarySearch(want, from)
		if !slices.Equal(got, want[i:]) {
			t.Fatalf("from %q: %q instead of %q", from, got, want[i:])
		}
	}
	if err := listing.Close(); err != nil {
		t.Fatal(err)
	}

	if _, _, ok, err := s.LookupHold(hold); ok || err != nil {
		t.Fatalf("a hold without a rest: %v, %v", ok, err)
	}
	if seq, ok, err := s.LookupReversed(3); seq != 9 || !ok || err != nil {
		t.Fatalf("reversal: %d, %v, %v", seq, ok, err)
	}
	if data, ok, err := s.LookupTile(1, 2, []byte("a ")); string(data) != "a tile" || !ok || err != nil {
		t.Fatalf("tile: %q, %v, %v", data, ok, err)
	}
	if rows, err := s.Supplies(); len(rows) != 1 || rows[0].Supply != u128(600) || err != nil {
		t.Fatalf("supplies: %+v, %v", rows, err)
	}
	var seqs []uint64
	for since := uint64(0); ; since = seqs[len(seqs)-1] {
		rows, err := s.Roots(since, 4)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			if r.Root != rootOf(r.Seq) {
				t.Fatalf("root at %d differs", r.Seq)
			}
			seqs = append(seqs, r.Seq)
		}
	}
	if !slices.Equal(seqs, []uint64{100, 200, 300, 400, 500, 600}) {
		t.Fatalf("roots at %d", seqs)
	}
}

func remove(t *testing.T, fs *FS, path string) {
	t.Helper()
	if err := fs.fs.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, fs *FS, dir string) []string {
	t.Helper()
	names, err := fs.fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
