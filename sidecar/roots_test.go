package sidecar

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// The ring against a list that forgets nothing.
func TestRootRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint64Range(0, 5).Draw(t, "base")
		ring := newRootRing(base, rapid.IntRange(1, 6).Draw(t, "max"))
		var all []store.RootRow
		head := &committer.Head{Size: base}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			head = &committer.Head{Size: head.Size + rapid.Uint64Range(1, 3).Draw(t, "entries"), TimeMs: int64(len(all))}
			all = append(all, store.RootRow{Seq: head.Size, Root: head.Root, TimeMs: head.TimeMs})
			late := rapid.Bool().Draw(t, "asked between head and ring")
			if !late {
				ring.add(head)
				ring.add(head)
			}
			since := rapid.Uint64Range(0, head.Size+2).Draw(t, "since")
			limit := rapid.IntRange(1, 8).Draw(t, "limit")
			rows, ringBase := ring.after(nil, since, limit, head)
			var want []store.RootRow
			for _, row := range all {
				if row.Seq > max(since, ringBase) && len(want) < limit {
					want = append(want, row)
				}
			}
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Fatalf("since %d limit %d base %d (-want +got):\n%s", since, limit, ringBase, diff)
			}
			ring.add(head)
			if len(ring.rows) > ring.max {
				t.Fatalf("the ring holds %d roots, at most %d are allowed", len(ring.rows), ring.max)
			}
		}
	})
}

// walk follows next from since on and returns all roots.
func (o *outer) walk(since uint64, limit int) (all []store.RootRow) {
	o.t.Helper()
	for {
		page, err := o.roots.Page(o.t.Context(), since, limit, 0)
		if err != nil {
			o.t.Fatal(err)
		}
		if len(page.Roots) == 0 {
			if page.Next != since {
				o.t.Fatalf("an empty page moves next from %d to %d", since, page.Next)
			}
			return all
		}
		all = append(all, page.Roots...)
		since = page.Next
	}
}

// Roots come from state, log and ring, with any of them empty, at any page size.
func TestRootsMissNothingAtTheSeams(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Checkpoint.IntervalEntries = 40 })
	o.roots.ring.max = 5
	check := func(when string) {
		t.Helper()
		for _, limit := range []int{1, 2, 3, 7, 1000} {
			for _, since := range []uint64{0, 1, 17, 41, 80, o.committer.Head().Size - 1, o.committer.Head().Size, o.committer.Head().Size + 5} {
				var want []store.RootRow
				for _, row := range o.commits {
					if row.Seq > since {
						want = append(want, row)
					}
				}
				if diff := cmp.Diff(want, o.walk(since, limit)); diff != "" {
					t.Fatalf("%s, since %d, limit %d (-want +got):\n%s", when, since, limit, diff)
				}
			}
		}
	}
	for i := range 60 {
		o.commit(1 + i%4)
		if i%10 == 0 {
			check("while commits arrive")
		}
	}
	check("with the newest in ring and log")
	o.checkpoint()
	check("with all in the state")
	o.restart()
	check("after a restart")
	o.commit(3)
	o.commit(2)
	check("after a restart and more")
}

// Readers that follow while commits arrive get each root once.
func TestRootsFollowedWhileWritten(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Checkpoint.IntervalEntries = 50 })
	o.roots.ring.max = 3
	const commits = 300
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	got := make([][]store.RootRow, 4)
	var readers sync.WaitGroup
	for i := range got {
		readers.Go(func() {
			since := uint64(0)
			for len(got[i]) < commits && ctx.Err() == nil {
				page, err := o.roots.Page(ctx, since, 1+i*3, time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				got[i], since = append(got[i], page.Roots...), page.Next
				if page.Size < page.Next {
					t.Errorf("the checkpoint is of size %d, the roots go to %d", page.Size, page.Next)
				}
			}
		})
	}
	for i := range commits {
		o.commit(1 + i%3)
	}
	readers.Wait()
	for i := range got {
		if diff := cmp.Diff(o.commits, got[i]); diff != "" {
			t.Errorf("reader %d (-want +got):\n%s", i, diff)
		}
	}
}

// Behind a window the first root is the oldest that is kept, and the page says so.
func TestRootsOfAWindow(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Window.Entries, c.Checkpoint.IntervalEntries = 600, 300 })
	o.roots.ring.max = 10
	for range 300 {
		o.commit(10)
	}
	o.checkpoint()
	page, err := o.roots.Page(t.Context(), 0, 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	if page.Oldest <= 1 || page.Oldest > 3000-600+1 {
		t.Fatalf("oldest is %d", page.Oldest)
	}
	first := slices.IndexFunc(o.commits, func(row store.RootRow) bool { return row.Seq >= page.Oldest })
	if diff := cmp.Diff(o.commits[first:], page.Roots); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := o.roots.prover.ConsistencyProof(5, 3000); !errors.Is(err, errForgotten) {
		t.Errorf("a proof that needs what was forgotten: %v", err)
	}
	if _, err := o.roots.prover.ConsistencyProof(2990, 3000); err != nil {
		t.Error(err)
	}
	if got := o.get("GET", "/roots"); !strings.Contains(got.body, fmt.Sprintf(`,"oldest":%d,"checkpoint":`, page.Oldest)) {
		t.Errorf("the answer does not tell the oldest: %.300s", got.body)
	}
	if got := o.get("GET", "/roots?since=5&proof=1"); got.status != 410 || !strings.Contains(got.body, "parameter proof") {
		t.Errorf("%d %.300s", got.status, got.body)
	}
}

func TestRootsWait(t *testing.T) {
	o := newOuter(t, nil)
	began := time.Now()
	page, err := o.roots.Page(t.Context(), 0, 0, 30*time.Millisecond)
	if err != nil || len(page.Roots) != 0 || time.Since(began) < 30*time.Millisecond {
		t.Errorf("an empty ledger: %+v after %v (%v)", page, time.Since(began), err)
	}
	o.roots.waitMax = 20 * time.Millisecond
	if _, err := o.roots.Page(t.Context(), 0, 0, time.Hour); err != nil {
		t.Error(err)
	}
	o.roots.waitMax = time.Hour
	told := make(chan *rootsPage)
	go func() {
		page, err := o.roots.Page(t.Context(), 0, 0, time.Hour)
		if err != nil {
			t.Error(err)
		}
		told <- page
	}()
	time.Sleep(10 * time.Millisecond)
	o.commit(2)
	if page := <-told; len(page.Roots) != 1 || page.Next != 2 {
		t.Errorf("the one who waits gets %+v", page)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if page, err := o.roots.Page(ctx, 2, 0, time.Hour); err != nil || len(page.Roots) != 0 {
		t.Errorf("one who goes away gets %+v (%v)", page, err)
	}
}

func TestCheckpointIsSignedOnceForASize(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Checkpoint.IntervalEntries = 50 })
	verifier, err := note.NewVerifier(o.identity.VerifyKey)
	if err != nil {
		t.Fatal(err)
	}
	computed := 0
	second := o.roots.signer.second
	o.roots.signer.second = func(size uint64) (merkle.Hash, error) {
		computed++
		return second(size)
	}
	for i := range 40 {
		head := o.committer.Head()
		signed, err := o.roots.signer.sign(head)
		if err != nil {
			t.Fatal(err)
		}
		checkpoint, err := merkle.OpenCheckpoint(signed.text, verifier)
		if err != nil || checkpoint.Size != head.Size || checkpoint.Root != head.Root || signed.size != head.Size {
			t.Fatalf("checkpoint %+v of head %+v (%v)", checkpoint, head, err)
		}
		again, err := o.roots.signer.sign(head)
		if err != nil || &again.text[0] != &signed.text[0] || computed != i+1 {
			t.Fatalf("size %d was signed twice (%v)", head.Size, err)
		}
		if i == 20 {
			o.checkpoint()
		}
		o.commit(1 + i)
	}
	old := &committer.Head{Size: 1}
	if newer, err := o.roots.signer.sign(old); err != nil || newer.size <= 1 {
		t.Errorf("for an old head there is %+v (%v)", newer, err)
	}
	o.restart()
	if _, err := o.roots.signer.sign(o.committer.Head()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestRefutedRootIsNotSigned(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(3)
	wrong := *o.committer.Head()
	wrong.Root[0] ^= 1
	newest := o.roots.signer.head
	o.roots.signer.head = func() *committer.Head { return &wrong }
	if signed, err := o.roots.signer.sign(&wrong); err == nil || signed.text != nil || !strings.Contains(err.Error(), "sign the root at size 3") {
		t.Errorf("a wrong root gives %q (%v)", signed.text, err)
	}
	if got := o.committer.Refusing(); got != wire.ReasonSafeMode {
		t.Errorf("appends are refused with %v", got)
	}
	o.roots.signer.head = newest
	if _, err := o.roots.signer.sign(o.committer.Head()); err != nil {
		t.Errorf("the right root: %v", err)
	}
	o.roots.signer.head = func() *committer.Head { return &committer.Head{Size: 4} }
	if _, err := o.roots.signer.sign(&committer.Head{Size: 4}); err == nil {
		t.Error("a size beyond the log is signed")
	}
}

func BenchmarkRootsPage(b *testing.B) {
	o := newOuter(b, nil)
	for range 100 {
		o.commit(16)
	}
	head := o.committer.Head()
	buf := []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		page, err := o.roots.Page(b.Context(), head.Size-16, 1000, 0)
		if err != nil {
			b.Fatal(err)
		}
		if buf, err = page.appendJSON(buf[:0], nil, false); err != nil {
			b.Fatal(err)
		}
	}
}
