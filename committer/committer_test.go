package committer

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// bench is a committer over a store in memory that can be closed and opened again.
type bench struct {
	t       testing.TB
	fs      *store.FS // nil: the disk, at dir
	dir     string
	hash    merkle.HashKind
	options Options
	store   *store.Store
	*Committer
	nonces uint64
}

func newBench(t testing.TB, options Options) *bench {
	b := &bench{t: t, fs: store.Memory(), dir: "/home", hash: merkle.Blake3, options: options}
	b.start()
	t.Cleanup(func() {
		if b.Committer != nil {
			b.stop()
		}
	})
	return b
}

func (b *bench) start() {
	b.t.Helper()
	var err error
	fatal := func(what string) { panic("fatal: " + what) }
	if b.store, err = store.Open(store.Options{Dir: b.dir, FS: b.fs, Hash: uint8(b.hash), Fatal: fatal}); err != nil {
		b.t.Fatal(err)
	}
	o := b.options
	start := time.Now()
	o.NowMs = func() int64 { return 1_700_000_000_000 }
	o.NowNs = func() int64 { return int64(time.Since(start)) }
	o.Fatal = fatal
	if o.Log == nil {
		o.Log = zaptest.NewLogger(b.t, zaptest.Level(zap.WarnLevel))
	}
	if b.Committer, err = Open(b.store, o); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.Close(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.Committer = nil
}

// restart closes the committer and the store and opens them again.
func (b *bench) restart() {
	b.t.Helper()
	b.stop()
	b.start()
}

// do submits a request and waits for its answer.
func (b *bench) do(r *Request) *Request {
	b.t.Helper()
	done := make(chan struct{})
	r.Complete = func(*Request) { close(done) }
	if reason := b.Submit(r); reason != 0 {
		b.t.Fatalf("submit: %s", reason)
	}
	<-done
	if r.Err != nil {
		b.t.Fatal(r.Err)
	}
	return r
}

// nonce returns a fresh nonce; they rise, as those of UUIDv7 do.
func (b *bench) nonce() (n wire.Nonce) {
	b.nonces++
	binary.BigEndian.PutUint64(n[:], b.nonces)
	return n
}

// append makes a request of entries, gives nonces to those that have none, and
// waits for the answer.
func (b *bench) append(entries ...wire.Fields) *Request {
	b.t.Helper()
	return b.do(b.request(entries...))
}

func (b *bench) request(entries ...wire.Fields) *Request {
	b.t.Helper()
	r := new(Request)
	for i := range entries {
		if entries[i].Nonce == (wire.Nonce{}) {
			entries[i].Nonce = b.nonce()
		}
		addEntry(b.t, r, b.hash, &entries[i])
	}
	return r
}

func addEntry(t testing.TB, r *Request, hash merkle.HashKind, f *wire.Fields) {
	t.Helper()
	start := len(r.Records)
	var fault wire.Fault
	if r.Records, fault = wire.AppendEntry(r.Records, f); !fault.OK() {
		t.Fatalf("encode %+v: %v", f, fault)
	}
	var stamp wire.Stamp
	r.Records = stamp.Append(r.Records)
	r.Indexes = append(r.Indexes, uint32(len(r.Ends)))
	r.Ends = append(r.Ends, uint32(len(r.Records)))
	r.Leaves = append(r.Leaves, hash.Leaf(r.Records[start:]))
}

// balance returns "available/held" of an account in an asset.
func (b *bench) balance(name string, asset string) string {
	b.t.Helper()
	r := b.do(&Request{Op: OpAccount, Account: []byte(name)})
	for _, found := range r.Found {
		if found.Asset.String() == asset {
			return fmt.Sprintf("%s/%s", found.Available, found.Held)
		}
	}
	return "none"
}

func mint(account string, amount uint64) wire.Fields {
	return wire.Fields{Kind: wire.KindMint, Account: account, Amount: wire.AmountOf(amount)}
}

func transfer(from, to string, amount uint64) wire.Fields {
	return wire.Fields{Kind: wire.KindTransfer, Account: from, Counterparty: to, Amount: wire.AmountOf(amount)}
}

func TestAppendIsNumberedDurableAndCoveredByTheRoot(t *testing.T) {
	b := newBench(t, Options{})
	r := b.append(mint("a", 100), transfer("a", "b", 30), transfer("a", "b", 80))
	if r.First != 1 || r.Last != 2 || r.Accepted != 2 || r.Size != 2 {
		t.Fatalf("answer %+v", r)
	}
	if len(r.Results) != 1 || r.Results[0].Index != 2 || r.Results[0].Reason != wire.ReasonInsufficientFunds {
		t.Fatalf("results %+v", r.Results)
	}
	frontier := merkle.NewFrontier(b.hash)
	for record, err := range b.store.Records(1, 2) {
		if err != nil {
			t.Fatal(err)
		}
		frontier.Add(b.hash.Leaf(record.Bytes))
	}
	if root := frontier.Root(); root != r.Root || root != b.Head().Root {
		t.Fatalf("root %s, of the records %s, head %s", r.Root, root, b.Head().Root)
	}
	if got := b.balance("a", ""); got != "70/0" {
		t.Fatal(got)
	}
	if got := b.balance("b", ""); got != "30/0" {
		t.Fatal(got)
	}
}

func TestRestartKeepsEverything(t *testing.T) {
	for _, interval := range []int{1, 3, 1000} {
		t.Run(fmt.Sprintf("checkpoint every %d", interval), func(t *testing.T) {
			b := newBench(t, Options{CheckpointEntries: interval})
			entries := []wire.Fields{mint("a", 1000)}
			for i := range 40 {
				entries = append(entries, transfer("a", fmt.Sprintf("to-%d", i%7), 5))
			}
			var before *Request
			for i := range entries {
				before = b.append(entries[i])
			}
			nonce := func(i int) wire.Nonce { var n wire.Nonce; binary.BigEndian.PutUint64(n[:], uint64(i+1)); return n }
			for range 3 {
				b.restart()
				for i := range entries {
					entries[i].Nonce = nonce(i)
				}
				again := b.append(entries...)
				if again.Accepted != 0 || len(again.Results) != len(entries) || again.Root != before.Root || again.Size != before.Size {
					t.Fatalf("after the restart: accepted %d, %d results, size %d root %s", again.Accepted, len(again.Results), again.Size, again.Root)
				}
				for i, result := range again.Results {
					if result.Outcome != wire.OutcomeDuplicate || result.Seq != uint64(i+1) {
						t.Fatalf("entry %d: %+v", i, result)
					}
				}
			}
			if got := b.balance("a", ""); got != "800/0" {
				t.Fatal(got)
			}
		})
	}
}

func TestDryRunAnswersAndBooksNothing(t *testing.T) {
	for _, atomic := range []bool{false, true} {
		t.Run(fmt.Sprintf("atomic %t", atomic), func(t *testing.T) {
			b := newBench(t, Options{})
			known := mint("a", 100)
			before := b.append(known)
			known.Nonce = wire.Nonce{7: 1}
			r := b.request(transfer("a", "new", 30), transfer("a", "b", 30))
			if !atomic {
				r = b.request(known, transfer("a", "new", 30), transfer("a", "b", 80))
			}
			r.DryRun, r.Atomic, r.Balances = true, atomic, true
			b.do(r)
			if r.First != 0 || r.Last != 0 || r.Size != 1 || r.Root != before.Root {
				t.Fatalf("answer %+v", r)
			}
			if atomic && (r.Accepted != 2 || len(r.Results) != 0) {
				t.Fatalf("accepted %d, results %+v", r.Accepted, r.Results)
			}
			if !atomic && (r.Accepted != 1 || len(r.Results) != 2 || r.Results[0].Seq != 1 || r.Results[1].Reason != wire.ReasonInsufficientFunds) {
				t.Fatalf("accepted %d, results %+v", r.Accepted, r.Results)
			}
			if got := r.Found[0].Available.String(); got != "70" && got != "40" {
				t.Fatalf("the answer says that %s would be left", got)
			}
			for account, want := range map[string]string{"a": "100/0", "b": "none", "new": "none"} {
				if got := b.balance(account, ""); got != want {
					t.Errorf("%s has %s, want %s", account, got, want)
				}
			}
			if again := b.append(transfer("a", "new", 30)); again.First != 2 {
				t.Fatalf("the next entry got number %d", again.First)
			}
			b.restart()
			if got := b.balance("a", ""); got != "70/0" {
				t.Error(got)
			}
		})
	}
}
