package archive

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"lukechampine.com/blake3"

	"github.com/rustyonions/ron-ledger/store"
)

// heir is a writer of the same log with another term, as one that has taken it over.
func (l *source) heir(fsys *store.FS, term uint64) *Writer {
	w := l.writer(fsys)
	w.options.Term = term
	return w
}

func (l *source) takeOver(r *Reader) uint64 {
	l.t.Helper()
	term, err := r.TakeOver(l.t.Context(), l.signer, [16]byte{})
	if err != nil {
		l.t.Fatal(err)
	}
	return term
}

// TestTakeOver: who takes over has all that was shipped, also since it began to read; the writer
// before ships nothing more, whatever it knows; and the archive is whole throughout.
func TestTakeOver(t *testing.T) {
	l, fsys := newSource(t), store.NewCrashFS()
	w := l.writer(fsys)
	w.target = 1
	l.append(3)
	l.mustShip(w)
	for want := uint64(2); want < 6; want++ {
		r, err := l.reader(fsys)
		if err != nil {
			t.Fatal(err)
		}
		if want%2 == 0 { // the writer goes on meanwhile, perhaps without a head
			l.append(2)
			w.options.LazyHead = want == 4
			l.mustShip(w)
		}
		shipped := w.Archived().Size
		if term := l.takeOver(r); term != want || r.Head().Size != shipped {
			t.Fatalf("term %d instead of %d, size %d instead of %d", term, want, r.Head().Size, shipped)
		}
		l.append(1)
		for range 3 {
			fenced := new(FencedError)
			if err := w.Ship(t.Context()); !errors.As(err, &fenced) || fenced.Now != want {
				t.Fatalf("the writer of term %d: %v", want-1, err)
			}
		}
		l.check(fsys.CrashClone(0, 1), shipped)
		w = l.heir(fsys, want)
		w.target = 1
		if want%3 > 0 { // else the next one takes over from one that has not written
			l.mustShip(w)
			l.check(fsys, l.frontier.Size())
		} else {
			l.mustShip(w)
		}
	}
	if err := l.heir(fsys, 9).Ship(t.Context()); err == nil {
		t.Fatal("a writer of a term that never began ships")
	}
	empty := store.Memory()
	l.mustShip(l.heir(empty, 9)) // another place for the archive: it begins in the term that is held
	l.check(empty, l.frontier.Size())
	var fenced *FencedError
	if err := l.writer(empty).Ship(t.Context()); !errors.As(err, &fenced) {
		t.Fatalf("the first writer ships to the new place: %v", err)
	}
}

// TestTakeOverRace has several take the log over at once while its writers ship: terms are
// each one's own, and the archive stays whole.
func TestTakeOverRace(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	l.append(40)
	first := l.writer(fsys)
	first.target = 1
	var mu sync.Mutex
	terms := map[uint64]bool{}
	l.append(1)
	l.mustShip(first)
	l.append(60)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	ship := func(w *Writer) {
		w.target = 1 + rand.IntN(500)
		for ctx.Err() == nil {
			err := w.Ship(ctx)
			if fenced := new(FencedError); errors.As(err, &fenced) || err == nil {
				return
			}
		}
	}
	all.Go(func() { ship(first) })
	for range 4 {
		all.Go(func() {
			for range 5 {
				r, err := l.reader(fsys)
				if err != nil {
					continue // temporary files of the others come and go
				}
				term, err := r.TakeOver(ctx, l.signer, [16]byte{})
				if err != nil {
					continue
				}
				mu.Lock()
				if terms[term] {
					t.Errorf("term %d was taken twice", term)
				}
				terms[term] = true
				mu.Unlock()
				ship(l.heir(fsys, term))
			}
		})
	}
	all.Wait()
	if len(terms) == 0 {
		t.Fatal("nobody has taken over")
	}
	r, err := l.reader(fsys)
	if err != nil {
		t.Fatal(err)
	}
	l.mustShip(l.heir(fsys, r.Head().Term))
	l.check(fsys, l.frontier.Size())
}

// TestSuccessor: a log that went on under another id says so to whoever reads it.
func TestSuccessor(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	l.append(2)
	l.mustShip(l.writer(fsys))
	r, err := l.reader(fsys)
	if err != nil {
		t.Fatal(err)
	}
	next := [16]byte{7}
	if _, err := r.TakeOver(t.Context(), l.signer, next); err != nil {
		t.Fatal(err)
	}
	if r, err = l.reader(fsys); err != nil || r.Successor() != next || r.Head().Size != l.frontier.Size() {
		t.Fatalf("it goes on as %x: %v", r.Successor(), err)
	}
}

// TestSegmentV1: an archive that was written before there were terms is one of the first, and goes on.
func TestSegmentV1(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	for range 3 {
		l.append(1)
		l.mustShip(w)
		name := SegmentName(w.Archived().LastFirst)
		now := l.object(w, name)
		before := slices.Concat([]byte(segmentMagicV1), now[8:segmentHeaderV1], now[segmentHeaderLen:len(now)-checksumLen])
		sum := blake3.Sum256(before)
		l.replace(w, name, append(before, sum[:]...))
		w.head.Bytes -= segmentHeaderLen - segmentHeaderV1
		w.head.LastSum = sum
	}
	head, err := note.Sign(&note.Note{Text: w.head.textV1()}, l.signer)
	if err != nil {
		t.Fatal(err)
	}
	l.replace(w, headName, head)
	l.check(fsys, l.frontier.Size())
	l.append(2)
	l.mustShip(l.writer(fsys))
	l.check(fsys, l.frontier.Size())
	r, err := l.reader(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if term := l.takeOver(r); term != 2 {
		t.Fatalf("term %d", term)
	}
}

// TestHeadV1: a head without a term is one of the first.
func TestHeadV1(t *testing.T) {
	h := &Head{Origin: "o", Size: 7, Segments: 2, Bytes: 99, LastFirst: 4, Term: firstTerm, LastTerm: firstTerm}
	for _, text := range []string{h.textV1(), h.text()} {
		got, err := parseHead(text)
		if err != nil || *got != *h {
			t.Fatalf("%q is %+v: %v", text, got, err)
		}
	}
	for _, text := range []string{h.textV1() + "\n", "x" + h.text(), h.text()[1:]} {
		if _, err := parseHead(text); err == nil {
			t.Fatalf("%q is taken", text)
		}
	}
}
