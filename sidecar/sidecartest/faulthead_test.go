package sidecartest

import (
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/store"
)

// lossAfter opens a home after damage and returns why it is in safe mode.
func lossAfter(t *testing.T, s *Story, home *store.FS, damage func(*store.FS)) *committer.Loss {
	t.Helper()
	fs := home.CrashClone(100, 0)
	damage(fs)
	l, err := s.begin(fs, "/home", &progress{})
	if err != nil {
		t.Fatal(err)
	}
	loss := l.committer.Loss()
	if err := l.committer.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := l.store.Close(); err != nil {
		t.Error(err)
	}
	return loss
}

func change(t *testing.T, fs *store.FS, path string, do func([]byte) []byte) {
	t.Helper()
	b, err := fs.ReadFile(path)
	if err == nil {
		err = fs.WriteFile(path, do(b))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLossIsNoticedByTheHeadFile loses the end of the log in ways that Pebble opens cleanly over,
// with the head file whole and with its newer slot torn: safe mode names the range. It fails when
// store.Append does not write the head file, or committer.recover does not look at it.
func TestLossIsNoticedByTheHeadFile(t *testing.T) {
	s := rotStory(t)
	fs := store.NewCrashFS()
	l, err := s.begin(fs, "/home", &progress{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
	if err := l.tell(len(s.steps) / 2); err != nil {
		t.Fatal(err)
	}
	early, size := fs.CrashClone(100, 0), s.steps[l.next-1].size
	if err := l.tell(len(s.steps)); err != nil {
		t.Fatal(err)
	}
	late := fs.CrashClone(100, 0)
	head, err := late.ReadFile("/home/head")
	if err != nil {
		t.Fatal(err)
	}
	newHead := func(fs *store.FS) { change(t, fs, "/home/head", func([]byte) []byte { return head }) }
	tear := func(newer bool) func(*store.FS) {
		return func(fs *store.FS) {
			change(t, fs, "/home/head", func(b []byte) []byte {
				first, second := b[48], b[4096+48] // the lowest byte of each count; they differ by one
				if at := 40; (first == second+1) == newer {
					clear(b[at : at+16])
				} else {
					clear(b[4096+at : 4096+at+16])
				}
				return b
			})
		}
	}
	emptyWAL := func(fs *store.FS) {
		files, err := fs.Files("/home/log")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, ".log") {
				change(t, fs, path, func([]byte) []byte { return nil })
			}
		}
	}
	for _, tt := range []struct {
		name        string
		home        *store.FS
		damage      []func(*store.FS)
		first, last uint64 // both zero: no loss; last 1: any
	}{
		{"whole", late, nil, 0, 0},
		{"older log, newer head", early, []func(*store.FS){newHead}, size + 1, s.Size()},
		{"empty WAL", late, []func(*store.FS){emptyWAL}, 1, s.Size()},
		{"empty WAL, newer slot torn", late, []func(*store.FS){emptyWAL, tear(true)}, 1, 1},
		{"empty WAL, older slot torn", late, []func(*store.FS){emptyWAL, tear(false)}, 1, s.Size()},
		{"newer slot torn", late, []func(*store.FS){tear(true)}, 0, 0},
		{"older slot torn", late, []func(*store.FS){tear(false)}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loss := lossAfter(t, s, tt.home, func(fs *store.FS) {
				for _, damage := range tt.damage {
					damage(fs)
				}
			})
			switch {
			case tt.first == 0 && loss != nil:
				t.Errorf("in safe mode: %v", loss)
			case tt.first == 0:
			case loss == nil:
				t.Error("the loss was not noticed")
			case loss.First != tt.first || loss.Last != tt.last && tt.last > 1 || tt.last == 1 && (loss.Last >= s.Size() || loss.Last+16 < s.Size()):
				t.Errorf("it names %d to %d: %v", loss.First, loss.Last, loss)
			}
		})
	}
}

// TestAnotherLogIsNoticed puts a head file beside a log of the same size with other records. It
// fails when committer.recover does not compare roots with the head file.
func TestAnotherLogIsNoticed(t *testing.T) {
	homes := [2]*store.FS{}
	var story *Story
	for i := range homes {
		profile := Profile{Hash: profiles[0].Hash, CheckpointEntries: 10, Pipeline: 1}
		s, err := NewStory(profile, []Step{{Request: mints([]string{"one", "other"}[i], 5)}})
		if err != nil {
			t.Fatal(err)
		}
		homes[i], _ = closedHome(t, s)
		story = s
	}
	head, err := homes[0].ReadFile("/home/head")
	if err != nil {
		t.Fatal(err)
	}
	loss := lossAfter(t, story, homes[1], func(fs *store.FS) {
		change(t, fs, "/home/head", func([]byte) []byte { return head })
	})
	if loss == nil || loss.What == "" {
		t.Error("a log with another root than the head file was opened")
	}
}
