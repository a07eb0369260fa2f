package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// scrubbedCommits are those that a scrub of the log reads, up to goal where that is not 0.
func scrubbedCommits(s *Store, goal uint64) (list []*Commit, err error) {
	for c, err := range s.ScrubLog(func(int) error { return nil }) {
		if err != nil {
			return list, err
		}
		list = append(list, &Commit{
			First: c.First, Count: c.Count, Records: append([]byte(nil), c.Records...), Ends: append([]uint32(nil), c.Ends...),
			Groups: append([]Group(nil), c.Groups...), Root: c.Root, TimeMs: c.TimeMs,
		})
		if goal > 0 && c.Last() >= goal {
			break
		}
	}
	return list, nil
}

// newestWAL returns the path of the WAL that is being written.
func newestWAL(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, logDirName, "*.log"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d WALs: %v", len(paths), err)
	}
	return paths[len(paths)-1]
}

// TestScrubOfTheWAL changes bytes of the live WAL, one at a time: the scrub names the file and the first
// record that is lost with it; and since what is lost on disk is in memory, a clean stop loses nothing.
func TestScrubOfTheWAL(t *testing.T) {
	dir, l := t.TempDir(), newLedger(newSeed(t))
	s := open(t, Options{Dir: dir})
	for range 10 {
		mustAppend(t, s, l.randomCommit(4))
	}
	if err := s.log.Flush(); err != nil { // a part of the log is in a table
		t.Fatal(err)
	}
	flushed := l.size
	for range 40 {
		mustAppend(t, s, l.randomCommit(4))
	}
	list, err := scrubbedCommits(s, 0)
	if err != nil || len(list) != len(l.commits) {
		t.Fatalf("undamaged: %d of %d commits: %v", len(list), len(l.commits), err)
	}
	for i, c := range list {
		equalCommit(t, c, l.commits[i])
	}
	path := newestWAL(t, dir)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(content)
	for used > 0 && content[used-1] == 0 {
		used--
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	write := func(at int, b byte) {
		t.Helper()
		if _, err := f.WriteAt([]byte{b}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	damaged := 0
	for at := 0; at < used; at += 13 {
		write(at, content[at]^1<<(at%8))
		list, err := scrubbedCommits(s, 0)
		damage := new(Damage)
		switch {
		case !errors.As(err, &damage):
			t.Fatalf("byte %d of %d: %d of %d commits, %v", at, used, len(list), len(l.commits), err)
		case !strings.Contains(err.Error(), filepath.Base(path)) || !strings.Contains(err.Error(), "a clean stop writes it"):
			t.Fatalf("byte %d: it says %v", at, err)
		case damage.Seq <= flushed || len(list) == 0 || damage.Seq != list[len(list)-1].Last()+1:
			t.Fatalf("byte %d: %d commits are read, damaged from %d on", at, len(list), damage.Seq)
		}
		write(at, content[at])
		damaged++
	}
	t.Logf("%d of %d bytes of the live WAL", damaged, used)
	if err := errors.Join(f.Truncate(int64(used/2)), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := scrubbedCommits(s, 0); err == nil || !strings.Contains(err.Error(), filepath.Base(path)) {
		t.Fatalf("cut short: %v", err)
	}
	closeStore(t, s)
	s = open(t, Options{Dir: dir})
	checkLog(t, s, l.commits)
	closeStore(t, s)
}

// TestScrubIsEnded: whoever ends the iteration, in a table or in a WAL, is yielded nothing more.
func TestScrubIsEnded(t *testing.T) {
	l := newLedger(newSeed(t))
	s := open(t, Options{Dir: t.TempDir()})
	for i := range 20 {
		mustAppend(t, s, l.commit(2, 80))
		if i == 9 {
			if err := s.log.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for goal := range l.commits {
		list, err := scrubbedCommits(s, l.commits[goal].Last())
		if err != nil || len(list) != goal+1 {
			t.Errorf("ended at %d: %d commits: %v", l.commits[goal].Last(), len(list), err)
		}
	}
	closeStore(t, s)
}

// TestScrubBesideAppends reads the log while it is written, flushed, and its WALs are used again: nothing is
// missing, and nothing is taken for damage.
func TestScrubBesideAppends(t *testing.T) {
	dir, l := t.TempDir(), newLedger(newSeed(t))
	s := open(t, Options{Dir: dir, MemtableBytes: 256 << 10})
	mustAppend(t, s, l.commit(3, 200))
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				mustAppend(t, s, l.randomCommit(60))
			}
		}
	})
	defer writer.Wait()
	defer close(done)
	for range 25 {
		goal := s.durable().Size
		list, err := scrubbedCommits(s, goal)
		if err != nil {
			t.Fatal(err)
		}
		next := uint64(1)
		for _, c := range list {
			if c.First != next || c.Root != rootOf(c.Last()) {
				t.Fatalf("a commit at %d, with another root or in the place of that at %d", c.First, next)
			}
			next = c.Last() + 1
		}
		if next <= goal {
			t.Fatalf("it ends at %d, %d was durable", next-1, goal)
		}
	}
}

// TestFrozenState reads the rows of a checkpoint while the next ones are made.
func TestFrozenState(t *testing.T) {
	dir, l := t.TempDir(), newLedger(newSeed(t))
	s := open(t, Options{Dir: dir})
	before := uint64(0)
	for range 12 {
		mustAppend(t, s, l.commit(40, 120))
		mustCheckpoint(t, s, l.checkpoint(before))
		before = l.size
		f, err := s.FreezeState(func(int) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, l.commit(40, 120))
		mustCheckpoint(t, s, l.checkpoint(before))
		roots, index := 0, 0
		for row, err := range f.Rows() {
			if err != nil {
				t.Fatal(err)
			}
			switch row := row.(type) {
			case *RootRow:
				roots++
				if row.Root != rootOf(row.Seq) {
					t.Errorf("root at %d: %x", row.Seq, row.Root)
				}
			case *Indexed:
				index++
			case *SupplyRow:
				if row.Supply != u128(before) {
					t.Errorf("the supply at %d: %x", before, row.Supply)
				}
			}
		}
		if f.Mark().Size != before || uint64(index) != before || roots != int(before/40) {
			t.Errorf("at %d: mark %d, %d identities, %d roots", before, f.Mark().Size, index, roots)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		before = l.size
	}
	closeStore(t, s)
}

// TestFrozenStateTakesNoDescriptors: tables are held by links, which go with it or, where a crash left them, with the
// next Open; a file system without links holds them open.
func TestFrozenStateTakesNoDescriptors(t *testing.T) {
	for _, linkless := range []bool{false, true} {
		t.Run(fmt.Sprintf("linkless=%v", linkless), func(t *testing.T) {
			dir, l := t.TempDir(), newLedger(newSeed(t))
			s := open(t, Options{Dir: dir})
			for before := uint64(0); before < 400; before = l.size {
				mustAppend(t, s, l.commit(40, 120))
				mustCheckpoint(t, s, l.checkpoint(before))
			}
			frozen := newFrozen(s.fs, s.dir)
			frozen.links = ".0" + linkSuffix
			if linkless {
				frozen.FS = noLinks{s.fs}
			}
			if err := frozen.database(s.fs.PathJoin(dir, stateDirName)); err != nil {
				t.Fatal(err)
			}
			files := 0
			for _, table := range frozen.tables {
				if table.file != nil {
					files++
				}
			}
			if len(frozen.tables) == 0 || (files > 0) != linkless {
				t.Errorf("%d of %d tables are held open", files, len(frozen.tables))
			}
			if linkless {
				if err := frozen.Close(); err != nil {
					t.Fatal(err)
				}
			}
			closeStore(t, s)
			closeStore(t, open(t, Options{Dir: dir}))
			left, err := filepath.Glob(filepath.Join(dir, stateDirName, "*"+linkSuffix))
			if err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

type noLinks struct{ vfs.FS }

func (noLinks) Link(string, string) error { return syscall.EPERM }
