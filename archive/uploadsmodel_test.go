package archive

import (
	"errors"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
)

// world is an archive, who writes it, and who wrote it before.
type world struct {
	t     *testing.T
	below Objects // what has arrived, as it is
	c     *courier
	first *source

	mu     sync.Mutex
	rng    *rand.Rand
	faults float64  // share of the segments that do not simply arrive
	recent []string // names that a list may not show yet

	now    *home
	before []*home // that were taken over
}

// home is a ledger that writes the archive, or believes that it does.
type home struct {
	log      *source
	held     held
	released uint64
	run      *run
	ended    uint64 // size of the log when it was taken over
}

func (w *world) draw(name string) fate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.recent = append(w.recent, name); len(w.recent) > 2 {
		w.recent = w.recent[1:]
	}
	if w.rng.Float64() >= w.faults {
		return arrives
	}
	return []fate{lost, untold, late, twice}[w.rng.IntN(4)]
}

// hidden tells which names a list does not show yet. It shows what the stored head knows.
func (w *world) hidden(name string) bool {
	signed, _, err := w.now.run.folder.head(w.t.Context())
	if err != nil || signed == nil {
		return false
	}
	at, ok := parseSlot(path.Base(name))
	if head, err := openHead(signed, w.first.verifier); err != nil || !ok || at.compare(head.last()) <= 0 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.recent, path.Base(name)) && w.rng.IntN(3) == 0
}

func (w *world) chance(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// start begins a run in the home that is in force.
func (w *world) start(again bool) {
	h := w.now
	h.run = h.log.pipelined(w.c, &h.held, &h.released, 1+w.chance(UploadsMax), again)
	hold := h.run.options.Hold
	h.run.options.Hold = func(term uint64, claim [16]byte) error {
		switch w.chance(8) {
		case 0:
			return store.ErrInjected
		case 1:
			_ = hold(term, claim)
			return store.ErrInjected
		}
		return hold(term, claim)
	}
	h.run.target = 1 + w.chance(2000)
}

// check reads the archive as it is, and asks of every home what it was promised.
func (w *world) check() {
	w.t.Helper()
	w.now.log.whole(w.below, w.now.released)
	for _, h := range w.before {
		if h.released > h.ended {
			w.t.Fatalf("%d entries were told to be archived, and it was taken over at %d", h.released, h.ended)
		}
	}
}

// takeOver has another home go on, with entries of its own.
func (w *world) takeOver() {
	w.t.Helper()
	r, err := w.now.log.open(w.c)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.chance(2) == 0 {
		w.c.bring()
	}
	var term uint64
	for {
		if term, err = r.TakeOver(w.t.Context(), w.first.signer, [16]byte{}); err == nil {
			break
		}
		if !errors.Is(err, store.ErrInjected) {
			w.t.Fatal(err)
		}
	}
	old := w.now
	old.ended = r.Head().Size
	w.before = append(w.before, old)
	has, found := slices.BinarySearchFunc(old.log.commits, old.ended, func(c store.Commit, size uint64) int { return int(c.Last()) - int(size) })
	if !found && old.ended > 0 {
		w.t.Fatalf("no commit ends at %d", old.ended)
	}
	if found {
		has++
	}
	w.now = &home{log: old.log.twin(has), held: held{term: term}, released: old.ended}
	w.start(true)
}

// goOn ships in a home, which may have been taken over.
func (w *world) goOn(h *home, ship func() error) {
	w.t.Helper()
	fenced := new(FencedError)
	switch err := ship(); {
	case err == nil || errors.Is(err, store.ErrInjected):
	case errors.As(err, &fenced) && h != w.now:
		if fenced.Ended != h.ended {
			w.t.Fatalf("it was taken over at %d, and it says %v", h.ended, err)
		}
	default:
		w.t.Fatal(err)
	}
}

// TestUploadsModel draws runs of writers with several uploads at once, whose segments arrive, are lost, arrive late or twice, that
// end at any time and start again, and are taken over by others that book something else, while those before go on.
// Of every home all that was told to be archived is so for whoever reads, and the archive is a chain throughout.
func TestUploadsModel(t *testing.T) {
	gaps, terms := 0, uint64(0)
	for worlds := 0; worlds < 5 || worlds < 20 && (terms < 30 || gaps < 30); worlds++ {
		l := newSource(t)
		w := &world{t: t, below: store.NewObjects(store.Memory(), archiveDir), rng: l.rng, first: l, now: &home{log: l}}
		w.c = &courier{Objects: w.below, fate: w.draw, hide: w.hidden}
		w.start(false)
		if err := errors.Join(w.now.run.Ship(t.Context()), w.now.run.Settle(t.Context())); err != nil { // as a sidecar does before it serves
			t.Fatal(err)
		}
		for range 80 {
			h := w.now
			w.faults = []float64{0, 0.1, 0.5}[w.chance(3)]
			switch w.chance(12) {
			case 0, 1:
				w.goOn(h, func() error { return h.run.Ship(t.Context()) })
			case 2:
				h.run.running.Wait() // what is on its way goes on without it
				w.start(true)
			case 3:
				w.takeOver()
			case 4:
				w.c.bring()
			case 5:
				w.goOn(h, func() error { return h.run.Settle(t.Context()) })
			case 6:
				if len(w.before) > 0 {
					h = w.before[w.chance(len(w.before))]
					if w.goOn(h, func() error { return h.run.Ship(t.Context()) }); w.chance(2) == 0 {
						w.goOn(h, func() error { return h.run.Settle(t.Context()) })
					}
				}
			default:
				w.mu.Lock()
				h.log.append(w.rng.IntN(8))
				w.mu.Unlock()
				for range w.chance(2 * UploadsMax) {
					w.goOn(h, func() error {
						_, err := h.run.Cut(t.Context())
						return err
					})
				}
			}
			w.now.run.running.Wait()
			w.check()
			gaps += w.orphans()
		}
		w.faults = 0
		if err := w.now.run.ship(t); err != nil {
			t.Fatal(err)
		}
		w.c.bring()
		w.now.log.whole(w.below, w.now.log.frontier.Size())
		terms += w.now.run.term
	}
	t.Logf("%d terms, %d times there were segments behind a gap", terms, gaps)
	if terms < 30 || gaps < 30 {
		t.Fatal("that is not what was meant")
	}
}

// orphans returns 1 where there are segments in the archive that are not of the chain.
func (w *world) orphans() int {
	r, err := w.now.log.open(w.below)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := w.below.Names(w.t.Context(), r.folder.name)
	if err != nil {
		w.t.Fatal(err)
	}
	segments := len(slices.DeleteFunc(names, func(name string) bool { return !isSegment(name) }))
	return min(segments-len(r.slots), 1)
}
