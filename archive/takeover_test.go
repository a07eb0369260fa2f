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
	w.term = term
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
			if err := w.Ship(t.Context()); !errors.As(err, &fenced) || fenced.Now != want || fenced.Ended != shipped || fenced.Size != l.frontier.Size() {
				t.Fatalf("the writer of term %d, of which %d of %d were shipped: %v", want-1, shipped, l.frontier.Size(), err)
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
	if err := l.writer(empty).Ship(t.Context()); !errors.As(err, &fenced) || fenced.Ended != 0 {
		t.Fatalf("the first writer ships to the new place: %v", err)
	}
}

// TestFencedSays: whenever a writer finds out that it is fenced, it says behind which entry the ledger goes on.
func TestFencedSays(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	l.append(3)
	l.mustShip(w)
	ended := l.frontier.Size()
	for term := uint64(2); term < 5; term++ {
		r, err := l.reader(fsys)
		if err != nil {
			t.Fatal(err)
		}
		l.takeOver(r)
		l.append(1)
		if term == 3 { // who held term 2 has shipped nothing
			continue
		}
		l.mustShip(l.heir(fsys, term)) // and with it the head
		for name, err := range map[string]error{
			"at its next segment": w.Ship(t.Context()), "at its head": w.fencedBy(t.Context(), term), "at a start": l.writer(fsys).Ship(t.Context()),
		} {
			if fenced := new(FencedError); !errors.As(err, &fenced) || fenced.Ended != ended || fenced.Size != l.frontier.Size() {
				t.Errorf("%s in term %d: %v", name, term, err)
			}
		}
	}
}

// TestHeadOfAnother: who was taken over leaves the head alone that the new writer has stored, and finds out by it.
func TestHeadOfAnother(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	l.append(1)
	l.mustShip(w)
	w.options.LazyHead = true
	l.append(1)
	l.mustShip(w)
	r, err := l.reader(fsys)
	if err != nil {
		t.Fatal(err)
	}
	l.takeOver(r)
	l.append(1)
	heir := l.heir(fsys, 2)
	l.mustShip(heir)
	if err, fenced := w.Settle(t.Context()), new(FencedError); !errors.As(err, &fenced) {
		t.Errorf("the old writer stores its head: %v", err)
	}
	if head, err := openHead(l.object(heir, headName), l.verifier); err != nil || head.Term != 2 || head.Size != l.frontier.Size() {
		t.Errorf("the head is %+v: %v", head, err)
	}
}

// TestLeavingSync: a writer that leaves sync while another takes over is seen to have left, or finds the fence.
func TestLeavingSync(t *testing.T) {
	for _, first := range []string{"head", "fence"} {
		t.Run(first, func(t *testing.T) {
			l, fsys := newSource(t), store.Memory()
			w := l.writer(fsys)
			w.options.Sync = true
			l.append(2)
			l.mustShip(w)
			r, err := l.reader(fsys)
			if err != nil || !r.Head().Sync {
				t.Fatalf("%+v: %v", r.Head(), err)
			}
			leaving := l.writer(fsys)
			if first == "head" {
				l.mustShip(leaving)
			}
			l.takeOver(r)
			if first == "head" && r.Head().Sync {
				t.Error("who takes over does not know that sync was left")
			}
			if err, fenced := leaving.Confirm(t.Context()), new(FencedError); !errors.As(err, &fenced) {
				t.Errorf("the writer goes on in its term: %v", err)
			}
		})
	}
}

// TestTwoTakeOver: of two who take over at the same moment, seeing the same, each has a term of its own.
func TestTwoTakeOver(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	l.append(1)
	l.mustShip(l.writer(fsys))
	one, err1 := l.reader(fsys)
	other, err2 := l.reader(fsys)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if first, second := l.takeOver(one), l.takeOver(other); first != 2 || second != 3 {
		t.Fatalf("their terms are %d and %d", first, second)
	}
	l.append(1)
	if err, fenced := l.heir(fsys, 2).Ship(t.Context()), new(FencedError); !errors.As(err, &fenced) {
		t.Fatalf("the first of them ships: %v", err)
	}
	l.mustShip(l.heir(fsys, 3))
	l.check(fsys, l.frontier.Size())
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
