package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lukechampine.com/blake3"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// stubborn is a place of objects that a test lets fail.
type stubborn struct {
	Objects
	mu    sync.Mutex
	read  func(ctx context.Context, name string, b []byte) ([]byte, error) // nil: as it is
	list  func() error
	reads atomic.Int64
	lists atomic.Int64
}

// lets changes what becomes of reads and lists from now on. One that is under way goes on as it began.
func (o *stubborn) lets(read func(ctx context.Context, name string, b []byte) ([]byte, error), list func() error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read, o.list = read, list
}

func (o *stubborn) Read(ctx context.Context, name string, limit int64) ([]byte, string, error) {
	o.reads.Add(1)
	b, version, err := o.Objects.Read(ctx, name, limit)
	o.mu.Lock()
	read := o.read
	o.mu.Unlock()
	if err == nil && read != nil {
		b, err = read(ctx, name, slices.Clone(b))
	}
	return b, version, err
}

func (o *stubborn) NamesAfter(ctx context.Context, folder, after string, limit int) ([]string, error) {
	o.lists.Add(1)
	o.mu.Lock()
	list := o.list
	o.mu.Unlock()
	if list != nil {
		if err := list(); err != nil {
			return nil, err
		}
	}
	return o.Objects.NamesAfter(ctx, folder, after, limit)
}

// wholeBlocks is how many records of the log lie in whole blocks: those that can be pruned.
func (l *source) wholeBlocks() uint64 {
	return l.frontier.Size() / merkle.BlockLeaves * merkle.BlockLeaves
}

// bodies reads back what was shipped.
func (l *source) bodies(o Objects, cacheBytes int64, timeout time.Duration) *Bodies {
	b := NewBodies(BodiesOptions{
		Objects: o, LogID: l.store.Meta().LogID, Hash: l.kind, Verifier: l.verifier, CacheBytes: cacheBytes, Timeout: timeout,
		Leaves: func(block uint64) ([]merkle.Hash, error) {
			return l.leaves[block*merkle.BlockLeaves : (block+1)*merkle.BlockLeaves], nil
		},
		Commit: func(seq uint64) (store.RootRow, error) {
			c := l.commitOf(seq)
			return store.RootRow{Seq: c.Last(), Root: c.Root, TimeMs: c.TimeMs}, nil
		},
	})
	l.t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			l.t.Error(err)
		}
	})
	return b
}

// commitOf returns the commit of a record.
func (l *source) commitOf(seq uint64) *store.Commit {
	at, _ := slices.BinarySearchFunc(l.commits, seq, func(c store.Commit, seq uint64) int { return int(c.Last()) - int(seq) })
	return &l.commits[at]
}

// checkRecord holds a record that was read back against the log's.
func (l *source) checkRecord(r *store.Record) error {
	c := l.commitOf(r.Seq)
	i, start := r.Seq-c.First, uint32(0)
	if i > 0 {
		start = c.Ends[i-1]
	}
	if string(r.Bytes) != string(c.Records[start:c.Ends[i]]) || r.TimeMs != c.TimeMs {
		return fmt.Errorf("record %d came back different", r.Seq)
	}
	return nil
}

// readBack reads a range, holds it against the log, and returns what is wrong.
func (l *source) readBack(b *Bodies, from, to uint64) error {
	next := from
	for r, err := range b.Records(l.t.Context(), from, to) {
		if err == nil && r.Seq != next {
			err = fmt.Errorf("record %d comes where %d should be", r.Seq, next)
		}
		if err == nil {
			err = l.checkRecord(&r)
		}
		if err != nil {
			return err
		}
		next++
	}
	if next != to+1 {
		return fmt.Errorf("records %d..%d end at %d", from, to, next-1)
	}
	return nil
}

// newShipped returns a log that was shipped in segments of many lengths, by writers of several terms.
func newShipped(t *testing.T) (*source, *store.FS, *Writer) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	for round := range 40 {
		l.append(1 + l.rng.IntN(60))
		w.target = 1 << (4 + l.rng.IntN(12))
		if round%9 == 8 {
			r, err := l.reader(fsys)
			if err != nil {
				t.Fatal(err)
			}
			for range 1 + l.rng.IntN(2) { // twice: a fence behind a fence
				w = l.heir(fsys, l.takeOver(r))
				if r, err = l.reader(fsys); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.mustShip(w)
	}
	return l, fsys, w
}

// TestBodies reads ranges at random, of archives with segments of one commit and of many, of several terms, and
// holds each record against the log; the cache keeps to its bound, and a list is never of the whole chain.
func TestBodies(t *testing.T) {
	l, fsys, _ := newShipped(t)
	o := &stubborn{Objects: store.NewObjects(fsys, archiveDir)}
	for _, limit := range []int64{1, 20 << 10, 64 << 20} {
		b := l.bodies(o, limit, time.Minute)
		reads := o.reads.Load()
		for range 100 {
			from := 1 + l.rng.Uint64N(l.wholeBlocks())
			to := min(from+l.rng.Uint64N(40), l.wholeBlocks())
			if err := l.readBack(b, from, to); err != nil {
				t.Fatal(err)
			}
			if f := b.Figures(); f.Bytes > limit && f.Segments > 1 {
				t.Fatalf("%d segments of %d bytes are in a cache of %d", f.Segments, f.Bytes, limit)
			}
		}
		if err := l.readBack(b, 1, l.wholeBlocks()); err != nil {
			t.Fatal(err)
		}
		f := b.Figures()
		if f.Damaged+f.Missing+f.Unavailable+f.Refused > 0 || f.Fetched == 0 || f.Fetched > uint64(o.reads.Load()-reads) || limit == 64<<20 && f.Cached == 0 {
			t.Errorf("with %d bytes: %+v", limit, f)
		}
		reads = o.reads.Load()
		if err := l.readBack(b, 1, l.wholeBlocks()); err != nil || limit == 64<<20 && o.reads.Load() != reads {
			t.Errorf("what is in memory is read %d times: %v", o.reads.Load()-reads, err)
		}
		t.Logf("a cache of %d bytes: %+v, %d lists", limit, f, o.lists.Load())
	}
}

// TestBodiesDamage lets the archive hold what it should not: it is named, and nothing of it is handed out.
func TestBodiesDamage(t *testing.T) {
	l, _, w := newShipped(t)
	names, err := w.folder.objects.Names(t.Context(), w.folder.name)
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		at, ok := parseSlot(name)
		return !ok || at.first+600 > l.wholeBlocks() // with whole blocks throughout
	})
	flip := func(b []byte) ([]byte, error) {
		b[l.rng.IntN(len(b))] ^= 1 << l.rng.IntN(8)
		return b, nil
	}
	forge := func(change func(raw []byte)) func([]byte) ([]byte, error) { // by someone who can do all but sign
		return func(b []byte) ([]byte, error) {
			s, err := parseSegment(b)
			if err != nil {
				return nil, err
			}
			raw, err := s.raw()
			if err != nil {
				return nil, err
			}
			change(raw)
			return s.encode(raw)
		}
	}
	for what, damage := range map[string]func(b []byte) ([]byte, error){
		"a flipped bit": flip,
		"a flipped bit, and a checksum that fits": func(b []byte) ([]byte, error) {
			b, _ = flip(b[:len(b)-checksumLen])
			sum := blake3.Sum256(b)
			return append(b, sum[:]...), nil
		},
		"cut short":       func(b []byte) ([]byte, error) { return b[:l.rng.IntN(len(b))], nil },
		"nothing":         func([]byte) ([]byte, error) { return nil, nil },
		"missing":         func([]byte) ([]byte, error) { return nil, fs.ErrNotExist },
		"another segment": func([]byte) ([]byte, error) { return l.object(w, names[l.rng.IntN(len(names))]), nil },
		"a forged record": forge(func(raw []byte) { raw[len(raw)-1] ^= 1 }), // of the last stamp
		"a forged time":   forge(func(raw []byte) { raw[16] ^= 1 }),         // of the first commit
	} {
		t.Run(what, func(t *testing.T) {
			found := 0
			for range 60 {
				name := names[l.rng.IntN(len(names))]
				s, err := decodeSegment(name, l.object(w, name))
				if err != nil {
					t.Fatal(err)
				}
				if s.fence() {
					continue
				}
				o := &stubborn{Objects: w.folder.objects}
				o.read = func(_ context.Context, object string, b []byte) ([]byte, error) {
					if strings.HasSuffix(object, "/"+name) {
						return damage(b)
					}
					return b, nil
				}
				b := l.bodies(o, 1<<20, time.Minute)
				damaged := new(DamagedError)
				switch err := l.readBack(b, s.First, s.Last); {
				case err == nil && (what == "another segment" || strings.Contains(what, "checksum")): // itself, or bits that say nothing
				case !errors.As(err, &damaged) || !strings.Contains(err.Error(), name):
					t.Fatalf("%s: %v", name, err)
				default:
					found++
				}
				f := b.Figures()
				if missing := what == "missing"; f.Unavailable+f.Refused > 0 || missing && (f.Missing == 0 || f.Damaged > 0) {
					t.Fatalf("%s: %v: %+v", name, err, f)
				}
				o.lets(nil, nil)
				if err := l.readBack(b, s.First, s.Last); err != nil { // repaired: nothing damaged was kept
					t.Fatalf("%s, repaired: %v", name, err)
				}
			}
			if found < 30 {
				t.Errorf("it was found %d times", found)
			}
		})
	}
}

// TestBodiesAway lets the archive fail, hang and be empty: each read says so in time, and the next one finds it back.
func TestBodiesAway(t *testing.T) {
	l, _, w := newShipped(t)
	o := &stubborn{Objects: w.folder.objects}
	b := l.bodies(o, 1<<20, 100*time.Millisecond)
	away := func(what string) {
		t.Helper()
		unavailable := new(UnavailableError)
		began := time.Now()
		if err := l.readBack(b, 300, 310); !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "archive unavailable, try again") {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: it took %v", what, took)
		}
	}
	o.lets(nil, func() error { return errors.New("no route to host") })
	away("lists fail")
	o.lets(func(context.Context, string, []byte) ([]byte, error) { return nil, errors.New("no route to host") }, nil)
	away("reads fail")
	o.lets(func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, nil)
	away("reads hang")
	hung := atomic.Bool{}
	hangs := func(until chan struct{}) { // as a file system does
		o.lets(func(_ context.Context, _ string, b []byte) ([]byte, error) {
			hung.Store(true)
			<-until
			return b, nil
		}, nil)
	}
	hang := make(chan struct{})
	hangs(hang)
	for !hung.Load() { // a read may share the fetch of the one before it
		away("reads hang for ever")
	}
	close(hang)
	empty := l.bodies(store.NewObjects(store.Memory(), archiveDir), 1<<20, time.Minute)
	unavailable := new(UnavailableError)
	if err := l.readBack(empty, 1, 1); !errors.As(err, &unavailable) {
		t.Errorf("a folder that is not mounted: %v", err)
	}
	err := l.readBack(b, 300, 310)
	for deadline := time.Now().Add(time.Minute); errors.As(err, &unavailable) && time.Now().Before(deadline); {
		err = l.readBack(b, 300, 310) // until the machine has time for it
	}
	if err != nil {
		t.Fatal(err)
	}
	hang = make(chan struct{})
	hangs(hang)
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range l.bodies(o, 1, time.Minute).Records(ctx, 1, 1) {
		if !errors.Is(err, context.Canceled) || errors.As(err, &unavailable) {
			t.Errorf("who asked has gone: %v", err)
		}
	}
}

// TestBodiesTogether lets many ask at once: those who want one segment share a fetch, few are under way at a time, and
// of those that wait there are so many and no more.
func TestBodiesTogether(t *testing.T) {
	l, _, w := newShipped(t)
	o := &stubborn{Objects: w.folder.objects}
	var under, most atomic.Int64
	let := make(chan struct{})
	o.read = func(_ context.Context, _ string, b []byte) ([]byte, error) {
		n := under.Add(1)
		defer under.Add(-1)
		for before := most.Load(); n > before && !most.CompareAndSwap(before, n); before = most.Load() {
		}
		<-let
		return b, nil
	}
	b := l.bodies(o, 64<<20, time.Minute)
	var readers sync.WaitGroup
	var refused atomic.Int64
	const many = 4 * (fetchesMax + waitersMax)
	for i := range uint64(many) {
		readers.Go(func() {
			seq := 1 + i*l.wholeBlocks()/many
			for r, err := range b.Records(t.Context(), seq, seq) {
				switch {
				case errors.Is(err, errWaiters):
					refused.Add(1)
				case err != nil || l.checkRecord(&r) != nil:
					t.Errorf("record %d: %v", seq, err)
				}
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); refused.Load() < many-fetchesMax-waitersMax && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the others hold a turn or wait for one
	}
	close(let)
	readers.Wait()
	// Who is about to get a turn waits, too.
	if got := refused.Load(); got < many-fetchesMax-waitersMax || got > many-waitersMax || most.Load() > fetchesMax || b.Figures().Refused != uint64(got) {
		t.Errorf("%d of %d are refused, %d fetches were under way at once", got, many, most.Load())
	}
	same := l.bodies(o, 64<<20, time.Minute)
	before := o.reads.Load()
	name, err := same.folder.placeOf(t.Context(), 300)
	if err != nil {
		t.Fatal(err)
	}
	s, err := same.folder.segment(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 60 {
		readers.Go(func() {
			seq := s.First + uint64(time.Now().UnixNano())%(s.Last-s.First+1)
			if err := l.readBack(same, seq, seq); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	if n := o.reads.Load() - before - 1; n != 1 {
		t.Errorf("one segment was read %d times", n)
	}
}
