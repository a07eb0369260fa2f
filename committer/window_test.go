package committer

import (
	"context"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// TestWindowForgetsBodiesAndIdentities holds what a micronode promises: the newest
// entries of the window are known, older ones are forgotten and their space is
// freed, balances and the tree go on.
func TestWindowForgetsBodiesAndIdentities(t *testing.T) {
	const window, interval, total = 500, 128, 3000
	b := newBench(t, Options{WindowEntries: window, CheckpointEntries: interval})
	b.append(mint("a", total))
	var entries []wire.Fields
	for range total - 1 {
		f := transfer("a", "b", 1)
		f.Nonce = b.nonce()
		entries = append(entries, f)
		b.append(f)
	}
	b.do(&Request{Op: OpCheckpoint})
	tail, err := b.store.Last()
	if err != nil {
		t.Fatal(err)
	}
	if tail.Size != total || tail.First > total-window+1 || tail.First < total-window-2*interval {
		t.Fatalf("the log keeps %d to %d, want about the last %d", tail.First, tail.Size, window)
	}
	recent := b.append(entries[len(entries)-window+1:]...)
	if recent.Accepted != 0 {
		t.Errorf("%d of the last %d entries were not known any more", recent.Accepted, window-1)
	}
	old := b.append(entries[0])
	if old.First != total+1 {
		t.Errorf("a forgotten entry is judged anew, and its account has 1 left: %+v", old.Results)
	}
	if got := b.balance("b", ""); got != "3000/0" {
		t.Errorf("b has %s", got)
	}
	root := b.Head().Root
	if err := b.Committer.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var fatal error
	if b.Committer, fatal = Open(b.store, Options{
		WindowEntries: window, CheckpointEntries: interval, NowMs: func() int64 { return 0 }, NowNs: func() int64 { return 0 },
		Fatal: func(what string) { panic(what) },
	}); fatal != nil {
		t.Fatal(fatal)
	}
	if b.Head().Root != root || b.Head().Size != total+1 {
		t.Errorf("opened again at size %d root %s, want %d %s", b.Head().Size, b.Head().Root, total+1, root)
	}
}
