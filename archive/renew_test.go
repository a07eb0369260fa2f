package archive

import (
	"errors"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
)

// TestRenewKilled ends a run at every step of beginning a term of its own: the next run goes on, knows the fence of the
// one before for its own, and is not fenced by it. Who takes over meanwhile fences both.
func TestRenewKilled(t *testing.T) {
	l := newSource(t)
	l.append(4)
	for name, test := range map[string]struct {
		fence fate
		holds int // what is kept before the end: the claim, and the term
		term  uint64
	}{
		"before the claim is kept":                    {arrives, 0, 2},
		"before the fence arrives":                    {lost, 1, 2},
		"the fence arrives behind that of the next":   {late, 1, 2},
		"before it is told that the fence is there":   {untold, 1, 2},
		"before the term is kept":                     {arrives, 1, 2},
		"behind it, and the next begins one more":     {arrives, 2, 3},
		"the fence arrives twice, and the term begun": {twice, 2, 3},
	} {
		for _, taken := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				l := l.of(t)
				c := &courier{Objects: store.NewObjects(store.Memory(), archiveDir), fate: func(string) fate { return arrives }}
				h, released := held{}, uint64(0)
				first := l.pipelined(c, &h, &released, 4, false)
				if _, err := first.Cut(t.Context()); err != nil {
					t.Fatal(err)
				}
				first.running.Wait()
				killed := l.pipelined(c, &h, &released, 4, true)
				hold, kept := killed.options.Hold, 0
				killed.options.Hold = func(term uint64, claim [16]byte) error {
					if kept++; kept > test.holds {
						return store.ErrInjected
					}
					return hold(term, claim)
				}
				c.fate = func(string) fate { return test.fence }
				if _, err := killed.Cut(t.Context()); err != nil && !errors.Is(err, store.ErrInjected) {
					t.Fatal(err)
				}
				killed.running.Wait()
				c.fate = func(string) fate { return arrives }
				ended := uint64(0)
				if taken {
					r, err := l.open(c)
					if err != nil {
						t.Fatal(err)
					}
					ended = r.Head().Size
					l.takeOver(r)
				}
				next := l.pipelined(c, &h, &released, 4, true)
				err := next.ship(t)
				if fenced := new(FencedError); taken {
					if !errors.As(err, &fenced) || fenced.Ended != ended {
						t.Fatalf("it was taken over at %d: %v", ended, err)
					}
					return
				}
				if err != nil || h != (held{term: test.term}) {
					t.Fatalf("the home holds %+v: %v", h, err)
				}
				c.bring()
				l.whole(c, l.frontier.Size())
				if err := next.Confirm(t.Context()); err != nil || next.term != test.term {
					t.Errorf("it is in term %d: %v", next.term, err)
				}
			})
		}
	}
}

// TestNoFenceBeforeItsClaim: a claim that could not be kept is sent to nobody, though the same run tries again.
func TestNoFenceBeforeItsClaim(t *testing.T) {
	l := newSource(t)
	l.append(2)
	h, released := held{}, uint64(0)
	c := &courier{Objects: store.NewObjects(store.Memory(), archiveDir), fate: func(string) fate { return arrives }}
	if err := l.pipelined(c, &h, &released, 4, false).Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.append(2)
	w := l.pipelined(c, &h, &released, 4, true)
	hold, calls := w.options.Hold, 0
	w.options.Hold = func(term uint64, claim [16]byte) error {
		if calls++; calls != 2 { // the claim, and then the term
			return store.ErrInjected
		}
		return hold(term, claim)
	}
	for calls < 3 {
		if err := w.Ship(t.Context()); !errors.Is(err, store.ErrInjected) {
			t.Fatal(err)
		}
	}
	if err := l.pipelined(c, &h, &released, 4, true).ship(t); err != nil || h != (held{term: 2}) {
		t.Fatalf("the home holds %+v: %v", h, err)
	}
	l.whole(c, l.frontier.Size())
}

// TestEmptyArchiveIsRenewed: where nothing has arrived yet a run begins its own term as well, and a place that is empty is
// begun behind the term that the home holds.
func TestEmptyArchiveIsRenewed(t *testing.T) {
	l := newSource(t)
	l.append(3)
	c := &courier{Objects: store.NewObjects(store.Memory(), archiveDir), fate: func(string) fate { return late }}
	h, released := held{term: 5}, uint64(0)
	if err := l.pipelined(c, &h, &released, 1, false).Ship(t.Context()); !errors.Is(err, store.ErrInjected) {
		t.Fatal(err)
	}
	c.fate = func(string) fate { return arrives }
	if err := l.pipelined(c, &h, &released, 4, true).ship(t); err != nil || h.term != 6 {
		t.Fatalf("the home holds %+v: %v", h, err)
	}
	c.bring()
	l.whole(c, l.frontier.Size())
}
