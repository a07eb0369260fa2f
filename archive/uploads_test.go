package archive

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/store"
)

// TestGaps sends three segments at once, each with every fate, and then goes on in every way: the writer itself, one after a
// restart, or one that takes over and books something else; what is late arrives before, amid or behind. What was told to be archived is
// so for whoever reads, and the archive is a chain throughout.
func TestGaps(t *testing.T) {
	const before, uploads, commits = 2, 3, 7
	l := newSource(t)
	l.append(commits)
	twins := make([]*source, commits+1)
	for i := range twins {
		twins[i] = l.twin(i)
		twins[i].append(3)
	}
	fates := []fate{arrives, lost, untold, late}
	cases, gaps := 0, 0
	for i := range 64 {
		sent := []fate{fates[i%4], fates[i/4%4], fates[i/16]}
		if slices.Index(sent, arrives) > 0 && sent[0] != arrives {
			gaps++
		}
		for _, then := range []string{"again", "restart", "takeover"} {
			for _, arrival := range []string{"before", "amid", "behind"} {
				if arrival != "before" && !slices.Contains(sent, late) {
					continue
				}
				cases++
				t.Run(fmt.Sprintf("%v, %s, late ones %s", sent, then, arrival), func(t *testing.T) {
					g := &gapCase{source: l.of(t), twins: twins, c: &courier{Objects: store.NewObjects(store.Memory(), archiveDir)}}
					g.send(before, sent)
					if arrival == "before" {
						g.c.bring()
						g.whole(g.c, g.released)
					}
					switch then {
					case "again":
						g.again(arrival)
					case "restart":
						g.restart(arrival)
					case "takeover":
						g.takeover(arrival)
					}
				})
			}
		}
	}
	if cases < 300 || gaps < 16 {
		t.Fatalf("%d cases and %d gaps are not what was meant", cases, gaps)
	}
}

// of returns the log for another test.
func (l *source) of(t *testing.T) *source {
	c := *l
	c.t = t
	return &c
}

// gapCase is one case of TestGaps.
type gapCase struct {
	*source
	twins    []*source
	c        *courier
	h        held
	released uint64
	run      *run
}

// send ships so many commits, and then has those behind them sent at once.
func (g *gapCase) send(before int, sent []fate) {
	g.t.Helper()
	last := g.commits[before-1].Last()
	under, all := sync.WaitGroup{}, make(chan struct{})
	under.Add(len(sent))
	g.c.fate = func(name string) fate {
		at, _ := parseSlot(name)
		i := slices.IndexFunc(g.commits, func(c store.Commit) bool { return c.First == at.first }) - before
		if i < 0 || at.first <= last {
			return arrives
		}
		under.Done()
		<-all
		return sent[i]
	}
	g.run = g.pipelined(g.c, &g.h, &g.released, len(sent), false)
	for range before + len(sent) {
		if _, err := g.run.Cut(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
	}
	under.Wait() // all of them are on their way
	close(all)
	g.run.running.Wait()
	told := before
	for _, f := range sent {
		if f != arrives {
			break
		}
		told++
	}
	if want := g.commits[told-1].Last(); g.released != want {
		g.t.Fatalf("%d are told to be archived, want %d", g.released, want)
	}
	g.c.fate = func(string) fate { return arrives }
	g.whole(g.c, g.released)
}

// finish ships the rest.
func (g *gapCase) finish(r *run, arrival string) {
	g.t.Helper()
	if arrival == "amid" {
		if _, err := r.Cut(g.t.Context()); err != nil && !errors.Is(err, store.ErrInjected) {
			g.t.Fatal(err)
		}
		g.c.bring()
	}
	if err := r.ship(g.t); err != nil {
		g.t.Fatal(err)
	}
	g.c.bring()
	g.whole(g.c, g.frontier.Size())
	if err := r.Settle(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
	g.whole(g.c, g.frontier.Size())
}

func (g *gapCase) again(arrival string) {
	g.t.Helper()
	g.finish(g.run, arrival)
	if term := g.run.Archived().Term; term != firstTerm {
		g.t.Errorf("it goes on in term %d", term)
	}
}

func (g *gapCase) restart(arrival string) {
	g.t.Helper()
	next := g.pipelined(g.c, &g.h, &g.released, 2, true)
	g.finish(next, arrival)
	if g.h != (held{term: 2}) {
		g.t.Errorf("the home holds %+v", g.h)
	}
}

func (g *gapCase) takeover(arrival string) {
	g.t.Helper()
	r, err := g.open(g.c)
	if err != nil {
		g.t.Fatal(err)
	}
	if arrival == "amid" {
		g.c.bring()
	}
	term, err := r.TakeOver(g.t.Context(), g.signer, [16]byte{})
	if err != nil || term != 2 || r.Head().Size < g.released {
		g.t.Fatalf("term %d with %d entries, and %d were told: %v", term, r.Head().Size, g.released, err)
	}
	ended := r.Head().Size
	fenced := new(FencedError)
	if err := g.run.ship(g.t); !errors.As(err, &fenced) || fenced.Ended != ended {
		g.t.Fatalf("the writer before goes on: %v", err)
	}
	if g.released > ended {
		g.t.Fatalf("%d are told to be archived, and the term ended at %d", g.released, ended)
	}
	has := slices.IndexFunc(g.commits, func(c store.Commit) bool { return c.Last() == ended }) + 1
	if got := g.whole(g.c, ended); got != has {
		g.t.Fatalf("the archive has %d commits instead of %d", got, has)
	}
	g.c.bring()
	heir := &gapCase{source: g.twins[has].of(g.t), c: g.c, h: held{term: term}, released: ended}
	heir.whole(g.c, ended)
	heir.finish(heir.pipelined(g.c, &heir.h, &heir.released, 2, true), arrival)
	for range 2 { // a start finds it as well, and so does who is fenced
		late := g.pipelined(g.c, &g.h, new(uint64), 2, true)
		if err := late.ship(g.t); !errors.As(err, &fenced) || fenced.Ended != ended {
			g.t.Errorf("the writer before starts again: %v", err)
		}
	}
	heir.whole(g.c, heir.frontier.Size())
}

// TestOneAlone: in a term in which a run before may have something on its way a segment is sent alone, until one has arrived.
func TestOneAlone(t *testing.T) {
	l := newSource(t)
	l.append(6)
	for _, again := range []bool{false, true} {
		entered, let := make(chan string, 10), make(chan struct{})
		c := &courier{Objects: store.NewObjects(store.Memory(), archiveDir), fate: func(name string) fate {
			if at, _ := parseSlot(name); again && at.term == firstTerm { // the fence
				return arrives
			}
			entered <- name
			<-let
			return arrives
		}}
		want := 1
		if again {
			want = 4
		}
		released := uint64(0)
		w := l.pipelined(c, &held{}, &released, 4, again)
		for range want {
			if _, err := w.Cut(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-entered
		}
		next := make(chan error, 1)
		go func() {
			_, err := w.Cut(t.Context())
			next <- err
		}()
		select {
		case <-entered:
			t.Errorf("behind %d segments on their way another one is sent", want)
		case err := <-next:
			t.Errorf("behind %d segments on their way there is room", want)
			next <- err
		case <-time.After(20 * time.Millisecond):
		}
		close(let)
		if err := <-next; err != nil {
			t.Fatal(err)
		}
		if err := w.ship(t); err != nil {
			t.Fatal(err)
		}
		l.whole(c, l.frontier.Size())
	}
}

// TestLateUploadOfBefore: what a run before has sent alone arrives at the place of the next one's first.
func TestLateUploadOfBefore(t *testing.T) {
	l := newSource(t)
	c := &courier{Objects: store.NewObjects(store.Memory(), archiveDir), fate: func(string) fate { return late }}
	released := uint64(0)
	l.append(1)
	if err := l.pipelined(c, &held{}, &released, 1, false).Ship(t.Context()); !errors.Is(err, store.ErrInjected) {
		t.Fatal(err)
	}
	l.append(3)
	w := l.pipelined(c, &held{}, &released, 4, false)
	w.target = 1 << 20 // the first one is longer
	c.fate = func(string) fate {
		c.bring()
		return arrives
	}
	if err := w.Ship(t.Context()); err == nil {
		t.Fatal("its place was free")
	}
	if err := w.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.whole(c, l.frontier.Size())
}

// TestLag: however many segments are shipped, the head that is stored lags by no more than it may.
func TestLag(t *testing.T) {
	l := newSource(t)
	c := &courier{Objects: store.NewObjects(store.Memory(), archiveDir), fate: func(string) fate { return arrives }}
	released := uint64(0)
	w := l.pipelined(c, &held{}, &released, UploadsMax, false)
	for range 4 * headLag {
		l.append(1)
		if _, err := w.Cut(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		lag := w.lag + len(w.pending)
		w.mu.Unlock()
		if lag > headLag {
			t.Fatalf("the head lags %d segments behind", lag)
		}
	}
	if err := w.ship(t); err != nil {
		t.Fatal(err)
	}
	signed, _, err := w.folder.head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head, err := openHead(signed, l.verifier); err != nil || head.Segments < 3*headLag {
		t.Errorf("the stored head has %d segments: %v", head.Segments, err)
	}
	l.whole(c, l.frontier.Size())
}

// TestMissingBehindTheHead: a gap is where something did not arrive, and no more than can have been on its way lies behind it.
func TestMissingBehindTheHead(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	l.append(1)
	l.mustShip(w)
	w.options.LazyHead, w.target = true, 1
	l.append(2 * UploadsMax)
	l.mustShip(w)
	for i, want := range map[int]bool{1: true, len(l.commits) - UploadsMax - 1: true, len(l.commits) - UploadsMax: false} {
		name := SegmentName(l.commits[i].First)
		object := l.object(w, name)
		if err := l.remove(w, name); err != nil {
			t.Fatal(err)
		}
		if _, err := l.read(fsys); (err != nil) != want {
			t.Errorf("of %d commits %d is missing: %v", len(l.commits), i, err)
		}
		if err := l.create(w, name, object); err != nil {
			t.Fatal(err)
		}
	}
	l.check(fsys, l.frontier.Size())
}
