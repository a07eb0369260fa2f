package store

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// crashRun is one life of a store on a file system that can crash, with what was acknowledged.
type crashRun struct {
	t     *testing.T
	rng   *rand.Rand
	fs    *FS
	l     *ledger
	acked int // commits of l that Append acknowledged
	mark  uint64
}

// TestCrash crashes a store at random moments of 400 commits with checkpoints in between, and opens
// what is left. Every acknowledged commit MUST be there with equal bytes, at most the one under way
// besides; the mark and the head MUST NOT be beyond the log.
func TestCrash(t *testing.T) {
	seed := newSeed(t)
	r := &crashRun{t: t, rng: rand.New(rand.NewPCG(seed, 1)), fs: NewCrashFS(), l: newLedger(seed)}
	for life := 0; r.acked < 400; life++ {
		r.live(uint64(life))
	}
	s := open(t, Options{FS: r.fs})
	defer closeStore(t, s)
	r.check(s)
}

// live opens the store, checks it, writes until a random moment, and goes on with what a crash left.
func (r *crashRun) live(life uint64) {
	t := r.t
	s := open(t, Options{FS: r.fs, MemtableBytes: 256 << 10})
	r.check(s)
	before := s.Mark().Size
	steps := 1 + r.rng.IntN(40)
	var wg sync.WaitGroup
	var crashed *FS
	crashAt, unsyncedPercent := r.rng.IntN(steps), r.rng.IntN(101)
	for step := range steps {
		c := r.l.randomCommit(300)
		if step == crashAt { // the crash meets a commit and a checkpoint under way
			wg.Go(func() { crashed = r.fs.CrashClone(unsyncedPercent, life) })
		}
		mustAppend(t, s, c)
		if step < crashAt {
			r.acked++
		}
		if r.rng.IntN(6) == 0 {
			mustCheckpoint(t, s, r.l.checkpoint(before))
			if before = r.l.size; step < crashAt {
				r.mark = before
			}
		}
	}
	wg.Wait()
	closeStore(t, s)
	r.fs = crashed
}

// check compares what the store holds with what it must and may hold, and cuts the model to it.
func (r *crashRun) check(s *Store) {
	t := r.t
	t.Helper()
	tail, _ := s.Last()
	kept := 0
	for kept < len(r.l.commits) && r.l.commits[kept].Last() <= tail.Size {
		kept++
	}
	if kept < r.acked {
		t.Fatalf("%d commits left of %d acknowledged", kept, r.acked)
	}
	checkLog(t, s, r.l.commits[:kept])
	r.acked, r.l.commits, r.l.size = kept, r.l.commits[:kept], tail.Size
	mark, head := s.Mark(), s.Head()
	if mark.Size > tail.Size || mark.Size < r.mark {
		t.Fatalf("mark %d, log %d, last mark acknowledged %d", mark.Size, tail.Size, r.mark)
	}
	if mark.Size > 0 && mark.Root != rootOf(mark.Size) {
		t.Fatalf("mark at %d with another root", mark.Size)
	}
	if head.Seq > tail.Size || head.Seq > 0 && head.Root != rootOf(head.Seq) {
		t.Fatalf("head %d, log %d", head.Seq, tail.Size)
	}
	r.mark = mark.Size
	for seq := uint64(1); seq <= tail.Size; seq += 53 {
		got, ok, err := s.LookupIdentity(Identity{nonceOf(seq), 1})
		if err != nil || ok != (seq <= mark.Size) || ok && got != seq {
			t.Fatalf("identity of %d with the mark at %d: %d, %v, %v", seq, mark.Size, got, ok, err)
		}
	}
	if available, _, ok, err := s.LookupBalance([]byte("acct_a"), [8]byte{}); err != nil || ok != (mark.Size > 0) || ok && available != u128(mark.Size) {
		t.Fatalf("balance with the mark at %d: %x, %v, %v", mark.Size, available, ok, err)
	}
}

// TestCrashAtCreation crashes at every write that making a home takes: what is left can be opened or
// made again. All or none of what was not synced survives, since a directory with a journal keeps
// the order of its entries.
func TestCrashAtCreation(t *testing.T) {
	for _, unsyncedPercent := range []int{0, 100} {
		for n := 1; crashAtCreation(t, n, unsyncedPercent); n++ {
		}
	}
}

// crashAtCreation crashes before the n-th write and returns false when there are fewer.
func crashAtCreation(t *testing.T, n, unsyncedPercent int) bool {
	base := NewCrashFS()
	var left atomic.Int64
	left.Store(int64(n))
	var clone *FS
	s := open(t, Options{FS: base.Faulty(func(op Op) bool {
		if op.Write && left.Add(-1) == 0 {
			clone = base.CrashClone(unsyncedPercent, uint64(n))
		}
		return false
	})})
	enough := left.Load() <= 0
	closeStore(t, s)
	if !enough {
		return false
	}
	s = open(t, Options{FS: clone})
	l := newLedger(1)
	mustAppend(t, s, l.commit(3, 200))
	checkLog(t, s, l.commits)
	closeStore(t, s)
	return true
}
