package store

import (
	"sync"
	"testing"
)

// outageAt copies a file system when its n-th operation is done.
type outageAt struct {
	mu   sync.Mutex
	n    int
	take func() *FS
	left *FS
}

func (o *outageAt) decide(Op) Fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n--; o.n != 0 {
		return Fault{}
	}
	return Fault{After: func() { o.left = o.take() }}
}

// TestCutCrash takes the power behind the file operations of a cut, the last thirty, which swap the logs, and
// every 16th before them: what opens then, to be read as to be
// written, is the log as it was or the log as it was to be, whole, and a cut can be made again.
func TestCutCrash(t *testing.T) {
	base := NewCrashFS()
	s := open(t, Options{FS: base})
	l := newLedger(newSeed(t))
	for range 6 {
		mustAppend(t, s, l.randomCommit(300))
	}
	keep := l.commits[3].Last()
	mustCheckpoint(t, s, l.checkpoint(0))
	for range 3 {
		mustAppend(t, s, l.randomCommit(300))
	}
	closeStore(t, s)
	closed := base.CrashClone(100, 1)
	cut := func(fs *FS) error {
		_, err := Cut(Options{FS: fs, Fatal: func(msg string) { panic(msg) }}, keep)
		return err
	}
	all := &outageAt{}
	if err := cut(closed.CrashClone(100, 1).Inject(all.decide)); err != nil {
		t.Fatal(err)
	}
	found, count := map[uint64]int{}, -all.n
	for _, percent := range []int{0, 100} {
		for at := 1; at <= count; at++ {
			if at < count-30 && at%16 != 0 {
				continue
			}
			fs := closed.CrashClone(100, 1)
			o := &outageAt{n: at, take: func() *FS { return fs.CrashClone(percent, uint64(at)) }}
			if err := cut(fs.Inject(o.decide)); err != nil {
				t.Fatalf("operation %d: %v", at, err)
			}
			if o.left == nil {
				continue // it did with less
			}
			check := func(fs *FS, readOnly bool) uint64 {
				s := open(t, Options{FS: fs, ReadOnly: readOnly})
				defer closeStore(t, s)
				size := s.durable().Size
				switch size {
				case l.size:
					checkLog(t, s, l.commits)
				case keep:
					checkLog(t, s, l.commits[:4])
				default:
					t.Errorf("power off behind operation %d, %d %%: the log ends at %d, was %d, is to be %d", at, percent, size, l.size, keep)
				}
				return size
			}
			read := check(o.left.CrashClone(100, 1), true)
			if size := check(o.left.CrashClone(100, 1), false); size != read {
				t.Errorf("power off behind operation %d, %d %%: to be read it ends at %d, to be written at %d", at, percent, read, size)
			}
			if err := cut(o.left); err != nil {
				t.Errorf("power off behind operation %d, %d %%: a second cut: %v", at, percent, err)
			}
			if size := check(o.left, false); size != keep {
				t.Errorf("power off behind operation %d, %d %%: cut again it ends at %d", at, percent, size)
			}
			found[read]++
		}
	}
	t.Logf("%d crashes left the log as it was, %d the one that was cut", found[l.size], found[keep])
	if found[l.size] == 0 || found[keep] == 0 {
		t.Error("the test has tested nothing")
	}
}
