package archive

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// source is a log with commits drawn from a seed, and the key of its checkpoints.
type source struct {
	t        *testing.T
	rng      *rand.Rand
	store    *store.Store
	kind     merkle.HashKind
	commits  []store.Commit
	leaves   []merkle.Hash
	frontier merkle.Frontier
	signer   note.Signer
	verifier note.Verifier
}

func newSource(t *testing.T) *source {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := &source{t: t, rng: rand.New(rand.NewPCG(seed, seed)), kind: merkle.Blake3}
	s, err := store.Open(store.Options{FS: store.Memory(), MemtableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l.store, l.frontier = s, merkle.NewFrontier(l.kind)
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	origin := merkle.Origin("test", s.Meta().LogID, l.kind)
	var err1, err2 error
	l.signer, err1 = merkle.NewSigner(origin, key)
	l.verifier, err2 = merkle.NewVerifier(origin, key.Public().(ed25519.PublicKey))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return l
}

// append makes so many commits durable.
func (l *source) append(commits int) {
	l.t.Helper()
	for range commits {
		c := store.Commit{First: l.frontier.Size() + 1, Count: 1 + l.rng.IntN(10), TimeMs: int64(len(l.commits))}
		for i := range c.Count {
			size := 80 + 8*l.rng.IntN(20)
			start := len(c.Records)
			c.Records = append(c.Records, make([]byte, size+stampBytes)...)
			record := c.Records[start:]
			for j := range record {
				record[j] = byte(l.rng.Uint32() % 7)
			}
			binary.LittleEndian.PutUint16(record, uint16(size))
			c.Ends = append(c.Ends, uint32(len(c.Records)))
			l.leaves = append(l.leaves, l.kind.Leaf(record))
			l.frontier.Add(l.leaves[len(l.leaves)-1])
			if i == 0 && l.rng.IntN(3) == 0 {
				c.Groups = append(c.Groups, store.Group{First: c.First, Count: uint32(c.Count), IdemID: [16]byte{byte(i + 1)}})
			}
		}
		c.Root = l.frontier.Root()
		if err := l.store.Append(&c); err != nil {
			l.t.Fatal(err)
		}
		l.commits = append(l.commits, c)
	}
}

func (l *source) frontierAt(size uint64) (merkle.Frontier, error) {
	f := merkle.NewFrontier(l.kind)
	f.AddAll(l.leaves[:size])
	return f, nil
}

const archiveDir = "/archive"

func (l *source) writer(fsys *store.FS) *Writer {
	w, err := NewWriter(WriterOptions{
		Store: l.store, Objects: store.NewObjects(fsys, archiveDir), Signer: l.signer, Verifier: l.verifier, FrontierAt: l.frontierAt,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return w
}

func (l *source) reader(fsys *store.FS) (*Reader, error) {
	return OpenReader(l.t.Context(), store.NewObjects(fsys, archiveDir), l.store.Meta().LogID, l.verifier)
}

// read returns everything that an archive holds, every root computed again.
func (l *source) read(fsys *store.FS) (commits []store.Commit, err error) {
	r, err := l.reader(fsys)
	if err != nil {
		return nil, err
	}
	for c, err := range r.Commits(l.t.Context(), 1) {
		if err != nil {
			return nil, err
		}
		kept := *c
		kept.Ends, kept.Groups = slices.Clone(c.Ends), slices.Clone(c.Groups)
		commits = append(commits, kept)
	}
	return commits, r.Verify(context.Background(), nil)
}

// check asks that the archive holds exactly the first commits of the log, size records at least.
func (l *source) check(fsys *store.FS, size uint64) {
	l.t.Helper()
	commits, err := l.read(fsys)
	if err != nil {
		l.t.Fatal(err)
	}
	last := uint64(0)
	for i := range commits {
		got, want := &commits[i], &l.commits[i]
		if got.First != want.First || got.Count != want.Count || got.Root != want.Root || got.TimeMs != want.TimeMs ||
			string(got.Records) != string(want.Records) || !slices.Equal(got.Ends, want.Ends) || !slices.Equal(got.Groups, want.Groups) {
			l.t.Fatalf("commit %d came back different", i)
		}
		last = got.Last()
	}
	if last < size {
		l.t.Fatalf("the archive ends at %d instead of %d", last, size)
	}
}

// object, create, replace and remove are what lies in an archive, and what becomes of it.
func (l *source) object(w *Writer, name string) []byte {
	l.t.Helper()
	b, _, err := w.folder.objects.Read(l.t.Context(), w.folder.key(name), segmentBytesMax)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *source) create(w *Writer, name string, b []byte) error {
	_, err := w.folder.objects.Put(l.t.Context(), w.folder.key(name), b, "")
	return err
}

func (l *source) replace(w *Writer, name string, b []byte) {
	l.t.Helper()
	_, version, err := w.folder.objects.Read(l.t.Context(), w.folder.key(name), segmentBytesMax)
	if err == nil {
		_, err = w.folder.objects.Put(l.t.Context(), w.folder.key(name), b, version)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *source) remove(w *Writer, name string) error {
	return w.folder.objects.(*store.Objects).Remove(w.folder.key(name))
}

func (l *source) mustShip(w *Writer) {
	l.t.Helper()
	if err := w.Ship(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

// TestShip ships a growing log in pieces, with one writer and with new ones, and reads it back.
func TestShip(t *testing.T) {
	l, fsys := newSource(t), store.NewCrashFS()
	w := l.writer(fsys)
	l.mustShip(w) // an empty log
	for round := range 30 {
		l.append(1 + l.rng.IntN(5))
		if round%4 == 3 {
			w = l.writer(fsys)
		}
		l.mustShip(w)
		head := w.Archived()
		if head.Size != l.frontier.Size() || head.Root != l.frontier.Root() || head.Segments != uint64(round+1) {
			t.Fatalf("the archive is at %d, segment %d; the log at %d, round %d", head.Size, head.Segments, l.frontier.Size(), round)
		}
		if l.mustShip(w); w.Archived() != head {
			t.Fatal("shipping nothing changed the archive")
		}
		l.check(fsys.CrashClone(0, 1), head.Size) // what was shipped is durable
	}
	r, err := l.reader(fsys)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		seq := 1 + l.rng.Uint64N(l.frontier.Size())
		record, err := r.Record(t.Context(), seq, nil)
		if err != nil || l.kind.Leaf(record) != l.leaves[seq-1] {
			t.Fatalf("record %d differs: %v", seq, err)
		}
		for c, err := range r.Commits(t.Context(), seq) {
			if err != nil || c.First > seq || c.Last() < seq {
				t.Fatalf("reading from %d begins with %d: %v", seq, c.First, err)
			}
			break
		}
	}
	if _, err := r.Record(t.Context(), l.frontier.Size()+1, nil); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a record that is not there: %v", err)
	}
}

// TestFaultsAtEveryOperation lets each file operation of a run of the writer fail, not done and done
// but reported as failed, and crashes behind each. What was told to be archived is there, and a
// writer that comes afterwards goes on without a hole and without anything twice.
func TestFaultsAtEveryOperation(t *testing.T) {
	l := newSource(t)
	l.append(4)
	run := func(fsys *store.FS, shipped func(*Writer, error)) {
		for range 2 {
			w := l.writer(fsys)
			w.target = 1 // a segment for each commit
			shipped(w, w.Ship(context.Background()))
		}
	}
	total, cases := 0, 0
	run(store.NewCrashFS().Inject(func(store.Op) store.Fault { total++; return store.Fault{} }), func(_ *Writer, err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	for at := range total {
		for _, fault := range []string{"not done", "done", "half written", "no space from there on", "crash 0", "crash 50", "crash 100"} {
			below := store.NewCrashFS()
			n, acked := 0, uint64(0)
			var crashed *store.FS
			var ackedThen uint64
			faulty := below.Inject(func(store.Op) store.Fault {
				n++
				percent := 0
				switch {
				case fault == "no space from there on" && n > at:
					return store.Fault{Err: store.ErrInjected}
				case n != at+1:
					return store.Fault{}
				case fault == "done":
					return store.Fault{Err: store.ErrInjected, Done: true}
				case fault == "not done":
					return store.Fault{Err: store.ErrInjected}
				case fault == "half written":
					return store.Fault{Err: store.ErrInjected, Part: 100}
				}
				_, _ = fmt.Sscanf(fault, "crash %d", &percent)
				return store.Fault{After: func() { crashed, ackedThen = below.CrashClone(percent, uint64(at)), acked }}
			})
			run(faulty, func(w *Writer, err error) {
				if err != nil && !errors.Is(err, store.ErrInjected) {
					t.Fatalf("operation %d, %s: %v", at, fault, err)
				}
				acked = max(acked, w.Archived().Size)
			})
			after := below
			if strings.HasPrefix(fault, "crash") {
				if crashed == nil {
					continue // with so few operations it was not reached
				}
				after, acked = crashed, ackedThen
			}
			if acked > 0 {
				l.check(after, acked)
			}
			l.mustShip(l.writer(after))
			l.check(after, l.frontier.Size())
			cases++
		}
	}
	t.Logf("%d operations, %d cases", total, cases)
	if total < 30 || cases < 6*total {
		t.Fatalf("%d operations and %d cases are not what was meant", total, cases)
	}
}

// TestDamageIsNamed flips a bit in every byte of every object: a reader names the object, or reads
// what it read before.
func TestDamageIsNamed(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	for range 3 {
		l.append(1)
		l.mustShip(w)
	}
	names, err := w.folder.objects.Names(t.Context(), w.folder.name)
	if err != nil || len(names) != 4 {
		t.Fatalf("%v: %v", names, err)
	}
	harmless := 0
	for _, name := range names {
		good := l.object(w, name)
		for i := range good {
			bad := slices.Clone(good)
			bad[i] ^= 1 << (i % 8)
			l.replace(w, name, bad)
			_, err := l.read(fsys)
			if err == nil && name == headName {
				harmless++ // bits of base64 that mean nothing
				l.check(fsys, l.frontier.Size())
			} else if err == nil || !strings.Contains(err.Error(), name) {
				t.Fatalf("byte %d of %s is damaged: %v", i, name, err)
			}
			if name != headName || i%16 > 0 {
				continue
			}
			if err := l.writer(fsys).Ship(context.Background()); err != nil && !strings.Contains(err.Error(), name) {
				t.Fatalf("byte %d of %s is damaged: %v", i, name, err)
			}
		}
		l.replace(w, name, good)
	}
	if harmless > 2 {
		t.Fatalf("%d damages of the head were not noticed", harmless)
	}
}

// TestWrongArchives: what is not the archive of this log, whole, is refused and not added to.
func TestWrongArchives(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(l *source, w *Writer) error
		want  string
	}{
		"a segment is missing": {func(l *source, w *Writer) error {
			return l.remove(w, SegmentName(l.commits[1].First))
		}, "is missing"},
		"the last segment is missing": {func(l *source, w *Writer) error {
			return l.remove(w, SegmentName(l.commits[3].First))
		}, "is missing"},
		"a segment of another name": {func(l *source, w *Writer) error {
			return l.create(w, "segment-1", nil)
		}, "has no name of a segment"},
		"a segment behind the end that does not follow": {func(l *source, w *Writer) error {
			return l.create(w, SegmentName(l.frontier.Size()+1), l.object(w, SegmentName(1)))
		}, "which is not what its name says"},
	} {
		t.Run(name, func(t *testing.T) {
			l, fsys := newSource(t), store.Memory()
			w := l.writer(fsys)
			for range 4 {
				l.append(1)
				l.mustShip(w)
			}
			if err := tt.spoil(l, w); err != nil {
				t.Fatal(err)
			}
			l.append(1)
			if err := l.writer(fsys).Ship(context.Background()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the writer says %v", err)
			}
			if _, err := l.read(fsys); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the reader says %v", err)
			}
		})
	}
}

// TestLostHead: without the head, the segments tell the same, and a writer makes it again.
func TestLostHead(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	for range 4 {
		l.append(1)
		l.mustShip(w)
	}
	if err := l.remove(w, headName); err != nil {
		t.Fatal(err)
	}
	l.check(fsys, l.frontier.Size())
	again := l.writer(fsys)
	l.mustShip(again)
	if again.Archived() != w.Archived() {
		t.Fatalf("made again, the head is %+v instead of %+v", again.Archived(), w.Archived())
	}
}

// TestAhead: an archive that holds more than the log, or another log, says that something is lost.
func TestAhead(t *testing.T) {
	long, fsys := newSource(t), store.Memory()
	long.append(5)
	long.mustShip(long.writer(fsys))
	short := newSource(t)
	short.signer, short.verifier = long.signer, long.verifier
	short.append(2)
	w := short.writer(fsys)
	var ahead *AheadError
	if err := w.Ship(context.Background()); !errors.As(err, &ahead) || ahead.Size != short.frontier.Size() || ahead.Archived != long.frontier.Size() {
		t.Fatalf("a log that has lost its end: %v", err)
	}
	for short.frontier.Size() < long.frontier.Size() {
		short.append(1)
	}
	if err := w.Ship(context.Background()); !errors.As(err, &ahead) || ahead.Root != long.frontier.Root() {
		t.Fatalf("another log: %v", err)
	}
}

// TestSecondWriter: of two writers behind the same end, the second does not replace what the first
// has shipped.
func TestSecondWriter(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	l.append(1)
	l.mustShip(w)
	l.append(1)
	other := &Segment{LogID: w.logID, Hash: w.kind, First: w.Archived().Size + 1, Last: w.Archived().Size + 1, Commits: 1, Term: firstTerm}
	object, err := other.encode(nil)
	if err == nil {
		err = l.create(w, SegmentName(other.First), object)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ship(context.Background()); !errors.Is(err, store.ErrObjectChanged) {
		t.Fatalf("shipped over another segment: %v", err)
	}
}
