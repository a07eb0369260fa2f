package archive

import (
	"context"
	"errors"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// fate is what becomes of an object that is sent.
type fate string

const (
	arrives fate = "arrives"
	lost    fate = "lost"   // and who sent it is told that it failed
	untold  fate = "untold" // it arrives, and who sent it is told that it failed
	late    fate = "late"   // it arrives when the courier is told to bring what is late, and who sent it was told that it failed
	twice   fate = "twice"  // it arrives now, and once more when the courier brings what is late
)

// courier brings segments to a place of objects: each by its fate.
type courier struct {
	Objects
	fate func(name string) fate
	hide func(name string) bool // from lists

	mu    sync.Mutex
	later []parcel
}

type parcel struct {
	name string
	b    []byte
}

func (c *courier) Put(ctx context.Context, name string, b []byte, version string) (string, error) {
	if !isSegment(path.Base(name)) {
		return c.Objects.Put(ctx, name, b, version)
	}
	f := c.fate(path.Base(name))
	if f == late || f == twice {
		c.mu.Lock()
		c.later = append(c.later, parcel{name, slices.Clone(b)})
		c.mu.Unlock()
	}
	if f == lost || f == late {
		return "", store.ErrInjected
	}
	v, err := c.Objects.Put(ctx, name, b, version)
	if f == untold {
		return "", store.ErrInjected
	}
	return v, err
}

func (c *courier) Names(ctx context.Context, folder string) ([]string, error) {
	names, err := c.Objects.Names(ctx, folder)
	if c.hide != nil {
		names = slices.DeleteFunc(names, c.hide)
	}
	return names, err
}

// bring brings what is late.
func (c *courier) bring() {
	c.mu.Lock()
	later := c.later
	c.later = nil
	c.mu.Unlock()
	for _, p := range later {
		_, _ = c.Objects.Put(context.Background(), p.name, p.b, "")
	}
}

// held is what a home keeps of the term.
type held struct {
	term  uint64
	claim [16]byte
}

// run is a writer of a log with several uploads at once, as a sidecar runs one in sync.
type run struct {
	*Writer
	released *uint64 // as is told to clients, of all runs of this home
}

// pipelined returns a run of a writer. again says that there was one before it.
func (l *source) pipelined(o Objects, h *held, released *uint64, uploads int, again bool) *run {
	l.t.Helper()
	w, err := NewWriter(WriterOptions{
		Store: l.store, Objects: o, Signer: l.signer, Verifier: l.verifier, FrontierAt: l.frontierAt, Sync: true, LazyHead: true,
		Uploads: uploads, Term: h.term, Claim: h.claim, Renew: again,
		Hold: func(term uint64, claim [16]byte) error {
			*h = held{term, claim}
			return nil
		},
		Shipped: func(size uint64) {
			*released = max(*released, size)
		},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	w.target = 1 // a segment for each commit
	return &run{w, released}
}

// ship ships for as long as nothing worse than a lost object happens.
func (r *run) ship(t *testing.T) error {
	t.Helper()
	for {
		if err := r.Ship(t.Context()); !errors.Is(err, store.ErrInjected) {
			return err
		}
	}
}

// twin returns a log that has the first commits of another, and then its own.
func (l *source) twin(commits int) *source {
	l.t.Helper()
	other := newSource(l.t)
	other.signer, other.verifier = l.signer, l.verifier
	for _, c := range l.commits[:commits] {
		start := uint32(0)
		for _, end := range c.Ends {
			other.leaves = append(other.leaves, l.kind.Leaf(c.Records[start:end]))
			start = end
		}
		c.Records = slices.Clone(c.Records)
		if err := other.store.Append(&c); err != nil {
			l.t.Fatal(err)
		}
		other.commits = append(other.commits, c)
	}
	other.frontier = merkle.NewFrontier(l.kind)
	other.frontier.AddAll(other.leaves)
	return other
}

// open opens the archive of the log, wherever it lies.
func (l *source) open(o Objects) (*Reader, error) {
	_, id, _, err := merkle.ParseOrigin(l.signer.Name())
	if err != nil {
		return nil, err
	}
	return OpenReader(l.t.Context(), o, id, l.verifier)
}

// whole asks that an archive is a chain of the first commits of the log, that it has at least size records, and that records are
// found by the names alone. It returns how many commits it has.
func (l *source) whole(o Objects, size uint64) (commits int) {
	l.t.Helper()
	r, err := l.open(o)
	if err != nil {
		l.t.Fatal(err)
	}
	if r.Head().Size < size {
		l.t.Fatalf("the archive ends at %d, and %d were told", r.Head().Size, size)
	}
	if r.Head().Size == 0 {
		return 0
	}
	for c, err := range r.Commits(l.t.Context(), 1) {
		if err != nil {
			l.t.Fatal(err)
		}
		if want := &l.commits[commits]; c.Root != want.Root || string(c.Records) != string(want.Records) {
			l.t.Fatalf("commit %d, %d to %d, is of another log", commits, c.First, c.Last())
		}
		commits++
	}
	for i := range uint64(40) {
		seq := 1 + i // the first and the last ones, and some between
		switch {
		case seq > r.Head().Size:
			return commits
		case i%4 == 1:
			seq = 1 + rand.Uint64N(r.Head().Size)
		case i%4 > 1:
			seq = r.Head().Size - min(i, r.Head().Size-1)
		}
		at, err := r.folder.placeOf(l.t.Context(), seq)
		if err != nil || !slices.Contains(r.slots, at) {
			l.t.Fatalf("entry %d of %d should be in %s, which is not of the chain %v: %v", seq, r.Head().Size, at.name(), r.slots, err)
		}
	}
	return commits
}
