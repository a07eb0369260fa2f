package store

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// overwrite changes a file in place.
func overwrite(t *testing.T, fs *FS, path string, at int64, b []byte) {
	t.Helper()
	f, err := fs.fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestHeadFile(t *testing.T) {
	const newer, older = headSlotStride, 0 // the third commit is in the second slot
	torn := make([]byte, 24)
	for _, tt := range []struct {
		name   string
		damage func(fs *FS)
		known  bool
		seq    uint64
	}{
		{"whole", func(*FS) {}, true, 30},
		{"newer slot torn", func(fs *FS) { overwrite(t, fs, "/ledger/head", newer+40, torn) }, true, 20},
		{"older slot torn", func(fs *FS) { overwrite(t, fs, "/ledger/head", older+40, torn) }, true, 30},
		{"both torn", func(fs *FS) {
			overwrite(t, fs, "/ledger/head", newer+40, torn)
			overwrite(t, fs, "/ledger/head", older, torn)
		}, false, 0},
		{"missing", func(fs *FS) { _ = fs.fs.Remove("/ledger/head") }, false, 0},
		{"empty", func(fs *FS) { f, _ := fs.fs.Create("/ledger/head", ""); _ = f.Close() }, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := Memory()
			s := open(t, Options{FS: fs})
			l := newLedger(1)
			for range 3 {
				mustAppend(t, s, l.commit(10, 200))
			}
			closeStore(t, s)
			tt.damage(fs)
			s = open(t, Options{FS: fs})
			if h := s.Head(); h.Known != tt.known || h.Seq != tt.seq || tt.known && h.Root != rootOf(tt.seq) {
				t.Fatalf("head %+v", h)
			}
			mustAppend(t, s, l.commit(10, 200))
			if err := s.SyncHead(); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			s = open(t, Options{FS: fs})
			defer closeStore(t, s)
			if h := s.Head(); !h.Known || h.Seq != 40 {
				t.Fatalf("head after one more commit: %+v", h)
			}
		})
	}
}

// TestHeadFileTornAtOnce crashes amid each of the first writes of the head file, while those before it
// are not synced and may be lost or not: what is left always tells how far the log got at least.
func TestHeadFileTornAtOnce(t *testing.T) {
	const writes = 4
	for at := 1; at <= writes; at++ {
		for seed := range uint64(12) {
			fs, n := NewCrashFS(), 0
			var crashed *FS
			var armed atomic.Bool
			s := open(t, Options{FS: fs.Inject(func(op Op) Fault {
				if !armed.Load() || op.Name != "write" || !strings.HasSuffix(op.Path, "/"+headName) {
					return Fault{}
				}
				if n++; n != at {
					return Fault{}
				}
				return Fault{Part: op.Bytes / 2, Between: func() { crashed = fs.CrashClone(50, seed) }}
			})})
			armed.Store(true)
			l := newLedger(1)
			for range writes {
				mustAppend(t, s, l.commit(10, 200))
			}
			closeStore(t, s)
			after := open(t, Options{FS: crashed})
			if h := after.Head(); !h.Known || h.Seq >= uint64(at)*10 {
				t.Errorf("seed %d, amid write %d: %+v", seed, at, h)
			}
			closeStore(t, after)
		}
	}
}
