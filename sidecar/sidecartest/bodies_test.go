package sidecartest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// tampering is a store that flips a bit of one object whenever it is read, or is away.
type tampering struct {
	next http.Handler
	name atomic.Pointer[string] // of the object; nil: of none
	away atomic.Bool
}

func (h *tampering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.away.Load() {
		panic(http.ErrAbortHandler)
	}
	name := h.name.Load()
	if name == nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/"+*name) {
		h.next.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	h.next.ServeHTTP(answer, r)
	object := answer.Body.Bytes()
	object[len(object)/2] ^= 1
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(object)
}

// bodiesRun is a ledger whose bodies are in an object store, all but one, and what was booked in it.
type bodiesRun struct {
	t       *testing.T
	rng     *rand.Rand
	store   *tampering
	config  *sidecar.Config
	sidecar *sidecar.Sidecar
	client  *client.Client
	booked  []wire.Entry
	firsts  []uint64 // sequence number of the first entry of each request
}

// start starts the sidecar, which stops with the test or with stop.
func (b *bodiesRun) start() (stop func()) {
	b.t.Helper()
	s, err := sidecar.Start(b.t.Context(), b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := client.Dial(b.t.Context(), client.Options{Socket: s.Socket(), Token: b.token()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.sidecar, b.client = s, c
	return func() {
		if err := errors.Join(c.Close(), s.Close(context.Background())); err != nil {
			b.t.Error(err)
		}
	}
}

// token makes one that may reverse, too.
func (b *bodiesRun) token() []byte {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.config.Home, "keyring"))
	if err != nil {
		b.t.Fatal(err)
	}
	ring, err := capability.ParseKeyring(text)
	if err != nil {
		b.t.Fatal(err)
	}
	key, err1 := ring.Minting()
	kinds, err2 := capability.ParseCaveat("kind = Credit,Debit,Transfer,Mint,Hold,Capture,Reverse")
	log, err3 := sidecar.LogIDOf(b.config.Home)
	token, err4 := capability.Mint(key, kinds, capability.CaveatLog(log), capability.CaveatGovernance())
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		b.t.Fatal(err)
	}
	return token.Bytes()
}

// book books a request of entries that all count.
func (b *bodiesRun) book(atomic bool, all ...wire.Fields) {
	b.t.Helper()
	batch := &client.Batch{Atomic: atomic}
	for i := range all {
		all[i].Nonce, all[i].Timestamp = nonceOf(len(b.booked)+i+1), 1_700_000_000_000
		if err := batch.Add(&all[i]); err != nil {
			b.t.Fatal(err)
		}
	}
	r, err := b.client.AppendRetry(b.t.Context(), batch)
	if err != nil || int(r.Accepted) != len(all) {
		b.t.Fatalf("of %+v are booked %+v: %v", all, r, err)
	}
	b.firsts = append(b.firsts, r.First)
	for i := range all {
		b.booked = append(b.booked, bytes.Clone(batch.Entry(i)))
	}
}

// load books entries of every kind until the last one stands alone in its block.
func (b *bodiesRun) load(entries int) {
	mint := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1000)}
	for len(b.booked) < entries {
		to := fmt.Sprint("to/", b.rng.IntN(50))
		pay := wire.Fields{Kind: wire.KindTransfer, Account: "a", Counterparty: to, Amount: wire.AmountOf(1 + b.rng.Uint64N(9)), Memo: make([]byte, b.rng.IntN(300))}
		hold := wire.Fields{Kind: wire.KindHold, Account: "a", Amount: wire.AmountOf(9)}
		b.book(false, mint, pay, pay, hold)
		held := nonceOf(len(b.booked))
		b.book(false, wire.Fields{Kind: wire.KindCapture, Account: "a", Counterparty: to, Ref: held, Amount: wire.AmountOf(4)},
			wire.Fields{Kind: wire.KindReverse, Account: "a", Ref: nonceOf(len(b.booked) - 1), Amount: pay.Amount})
		b.book(true, wire.Fields{Kind: wire.KindDebit, Account: "a", Amount: wire.AmountOf(7)}, wire.Fields{Kind: wire.KindCredit, Account: to, Amount: wire.AmountOf(7)})
	}
	for len(b.booked)%merkle.BlockLeaves != 1 {
		b.book(false, mint)
	}
}

// prune prunes all bodies that can be: those before the last block, which has one.
func (b *bodiesRun) prune() {
	b.t.Helper()
	s, err := store.Open(store.Options{Dir: b.config.Home})
	if err != nil {
		b.t.Fatal(err)
	}
	kind := merkle.HashKind(s.Meta().Hash)
	err = s.Retain(s.Mark().Size, func(record []byte) (leaf [32]byte, content [16]byte) {
		digest := merkle.Blake3.Leaf(wire.Record(record).Entry().AppendContent(nil))
		copy(content[:], digest[:])
		return kind.Leaf(record), content
	})
	if err = errors.Join(err, s.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// read reads a range and holds it against what was booked.
func (b *bodiesRun) read(from, to uint64) error {
	next := from
	for row, err := range b.client.Entries(b.t.Context(), from, to) {
		if err != nil {
			return err
		}
		if row.Seq != next || !bytes.Equal(row.Record.Entry(), b.booked[next-1]) {
			return fmt.Errorf("entry %d is not what was booked as %d", row.Seq, next)
		}
		next++
	}
	if next != to+1 {
		return fmt.Errorf("entries %d..%d end before %d", from, to, next)
	}
	return nil
}

// verify verifies the home, with the archive.
func (b *bodiesRun) verify() (sidecar.VerifyReport, error) {
	line, err := os.ReadFile(filepath.Join(b.config.Home, "node.vkey"))
	if err != nil {
		b.t.Fatal(err)
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(line)))
	if err != nil {
		b.t.Fatal(err)
	}
	return sidecar.VerifyWithArchive(b.t.Context(), b.config.Home, &b.config.Archive, key, nil)
}

// TestBodiesInObjectStore: of a ledger whose bodies are all in an object store, but one, everything is read as before, and
// it is verified as a whole. An object with a flipped bit is named and nothing of it is told; a store that is away makes
// reads come again later, and holds up nothing else.
func TestBodiesInObjectStore(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	b := &bodiesRun{t: t, rng: rand.New(rand.NewPCG(seed, seed)), store: &tampering{next: objectStore(t)}, config: sidecar.Defaults(sidecar.Macronode)}
	server := httptest.NewServer(b.store)
	t.Cleanup(server.Close)
	c, dir := b.config, ShortDir(t)
	c.Home, c.HTTPS.Addr, c.Log.Level, c.Governance.Reversals = filepath.Join(dir, "home"), "127.0.0.1:0", "error", "require-capability"
	c.Archive.Credentials, c.Archive.Mode = filepath.Join(dir, "key"), "sync" // a segment for each request
	c.Archive.URL = fmt.Sprintf("s3://%s/bodies?endpoint=%s&timeout=20s", fakes3.Bucket, server.URL)
	key := "aws_access_key_id = " + fakes3.GatewayKeyID + "\naws_secret_access_key = " + fakes3.GatewaySecret + "\n"
	if err := os.WriteFile(c.Archive.Credentials, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := b.start()
	b.load(1200)
	stop()
	b.prune()
	stop = b.start()
	defer func() { stop() }()
	size := uint64(len(b.booked))
	if oldest := b.sidecar.Status().Oldest; oldest != size {
		t.Fatalf("of %d entries those from %d on are here", size, oldest)
	}
	refused := func(what string, reason wire.Reason, words string, err error) (again time.Duration) {
		t.Helper()
		r := new(client.ReasonError)
		if !errors.As(err, &r) || r.Reason != reason || !strings.Contains(r.Detail, words) {
			t.Errorf("%s: %v", what, err)
		}
		return r.RetryAfter
	}
	b.store.away.Store(true)
	err := b.read(1, 10)
	if again := refused("the archive is away", wire.ReasonBusy, "archive unavailable, try again", err); again == 0 {
		t.Error("it does not say when to try again")
	}
	if _, ok := client.Retryable(err); !ok {
		t.Error("it is not to be tried again")
	}
	_, err = b.client.Receipt(t.Context(), 5)
	refused("a receipt while the archive is away", wire.ReasonBusy, "archive unavailable, try again", err)
	if a, err := b.client.Account(t.Context(), "a"); err != nil || !a.Known {
		t.Errorf("balances while the archive is away: %v", err)
	}
	finding := new(sidecar.VerifyFinding)
	if _, err := b.verify(); err == nil || errors.As(err, &finding) || !strings.Contains(err.Error(), "archive unavailable, try again") {
		t.Errorf("verified while the archive is away: %v", err)
	}
	b.store.away.Store(false)

	name := b.segmentOf(600)
	b.store.name.Store(&name)
	refused("a damaged segment", wire.ReasonInternal, name, b.read(590, 610))
	_, err = b.client.Receipt(t.Context(), 600)
	refused("a receipt from a damaged segment", wire.ReasonInternal, name, err)
	if _, err := b.verify(); !errors.As(err, &finding) || !strings.Contains(err.Error(), name) {
		t.Errorf("a flipped bit in %s is found as: %v", name, err)
	}
	b.store.name.Store(nil)

	for range 40 {
		seq := 1 + b.rng.Uint64N(size)
		e := b.booked[seq-1]
		if r, err := b.client.Receipt(t.Context(), seq); err != nil || !bytes.Equal(r.Record.Entry(), e) {
			t.Errorf("the receipt of entry %d: %v", seq, err)
		}
		if row, ok, err := b.client.Find(t.Context(), string(e.Account()), e.Nonce()); err != nil || !ok || row.Seq != seq || !bytes.Equal(row.Record.Entry(), e) {
			t.Errorf("entry %d by its identity: %v, %v", seq, ok, err)
		}
	}
	if err := b.read(1, size); err != nil {
		t.Error(err)
	}
	for range 2 { // running, and stopped
		report, err := b.verify()
		if err != nil || report.Size != size || report.StateSize != size {
			t.Errorf("verified %+v: %v", report, err)
		}
		stop()
		stop = func() {}
	}
}

// segmentOf returns the name of the object that has an entry: each request has one of its own.
func (b *bodiesRun) segmentOf(seq uint64) string {
	at, found := slices.BinarySearch(b.firsts, seq)
	if !found {
		at--
	}
	return archive.SegmentName(b.firsts[at])
}
