package sidecartest

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// lived is a sidecar on a home that outlives it.
type lived struct {
	t       *testing.T
	config  *sidecar.Config
	sidecar *sidecar.Sidecar
	*client.Client
}

func newLived(t *testing.T) *lived {
	config := sidecar.Defaults(sidecar.Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = filepath.Join(ShortDir(t), "home"), "127.0.0.1:0", "error"
	config.Store.MemtableBytes = 256 << 10
	l := &lived{t: t, config: config}
	t.Cleanup(l.stop)
	return l
}

// start starts the sidecar and connects with the token in its home.
func (l *lived) start() {
	l.t.Helper()
	var err error
	if l.sidecar, err = sidecar.Start(l.t.Context(), l.config); err != nil {
		l.t.Fatal(err)
	}
	if l.Client, err = client.Dial(l.t.Context(), l.options(tokenIn(l.t, l.config.Home))); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lived) options(token []byte) client.Options {
	return client.Options{Socket: filepath.Join(l.config.Home, "ledger.sock"), Token: token}
}

func (l *lived) stop() {
	l.t.Helper()
	if l.sidecar == nil {
		return
	}
	_ = l.Close()
	if err := l.sidecar.Close(context.Background()); err != nil {
		l.t.Error(err)
	}
	l.sidecar = nil
}

// mint books n entries of 1, and returns the sequence number of the last.
func (l *lived) mint(nonces ...int) uint64 {
	l.t.Helper()
	var b client.Batch
	for _, n := range nonces {
		if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(n)}); err != nil {
			l.t.Fatal(err)
		}
	}
	result, err := l.Append(l.t.Context(), &b)
	if err != nil {
		l.t.Fatal(err)
	}
	return result.Last
}

func (l *lived) verifier() note.Verifier {
	l.t.Helper()
	key, err := note.NewVerifier(l.Welcome().VerifyKey)
	if err != nil {
		l.t.Fatal(err)
	}
	return key
}

// checkpoint returns the newest checkpoint, opened with the key in force, and its signed text.
func (l *lived) checkpoint() (merkle.Checkpoint, []byte) {
	l.t.Helper()
	answer, err := l.Prove(l.t.Context(), &wire.Prove{From: 1})
	if err != nil {
		l.t.Fatal(err)
	}
	c, err := merkle.OpenCheckpoint(answer.Checkpoint, l.verifier())
	if err != nil {
		l.t.Fatal(err)
	}
	return c, answer.Checkpoint
}

// TestEpochIsServed begins an epoch in a home and looks at the ledger from outside: another log
// id, the next number and another origin; the old token refused; the record found by its identity
// and proven; the old checkpoint's tree proven to be the beginning of the new one's.
func TestEpochIsServed(t *testing.T) {
	l := newLived(t)
	l.start()
	l.mint(1, 2, 3)
	old, oldToken := l.Welcome(), tokenIn(t, l.config.Home)
	before, _ := l.checkpoint()
	if old.Epoch != 0 {
		t.Fatalf("a ledger begins in epoch %d", old.Epoch)
	}
	if _, err := sidecar.BeginEpoch(l.config.Home, sidecar.NewEpoch{Size: 3}); err == nil {
		t.Fatal("an epoch began under a running sidecar")
	}
	l.stop()
	begun, err := sidecar.BeginEpoch(l.config.Home, sidecar.NewEpoch{Size: 3, Reason: "a test"})
	if err != nil || begun.Number != 1 || begun.OldLogID != old.LogID || begun.Cut != 3 || begun.Root != [32]byte(before.Root) {
		t.Fatalf("%+v: %v", begun, err)
	}
	if id, err := sidecar.LogIDOf(l.config.Home); err != nil || id != begun.LogID {
		t.Errorf("the home says log id %x, %v", id, err)
	}
	l.start()
	w, status := l.Welcome(), l.sidecar.Status()
	if w.LogID != begun.LogID || w.Epoch != 1 || w.Head.Size != 4 || status.Epoch != 1 || status.LogID != hex.EncodeToString(begun.LogID[:]) || !status.Ready {
		t.Errorf("%+v, %+v", w, status)
	}
	if c, err := client.Dial(t.Context(), l.options(oldToken)); err == nil {
		_ = c.Close()
		t.Error("a token of the old log id is taken")
	}
	if last := l.mint(2, 4); last != 5 {
		t.Errorf("the entry behind the epoch has number %d", last)
	}
	receipt, err := l.ReceiptOf(t.Context(), wire.EpochAccount, wire.Nonce(w.LogID))
	if err != nil {
		t.Fatal(err)
	}
	if said := wire.Record(receipt.Record).Entry().Epoch(); receipt.Seq != 4 || said != begun {
		t.Errorf("entry %d says %+v, not %+v", receipt.Seq, said, begun)
	}
	now, signed := l.checkpoint()
	if _, id, _, err := merkle.ParseOrigin(now.Origin); err != nil || id != merkle.LogID(begun.LogID) || now.Origin == before.Origin {
		t.Errorf("the checkpoint is of %s: %v", now.Origin, err)
	}
	oldKey, err := note.NewVerifier(old.VerifyKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := merkle.OpenCheckpoint(signed, oldKey); err == nil {
		t.Error("the key of the old origin opens a checkpoint of the new one")
	}
	answer, err := l.Prove(t.Context(), &wire.Prove{Consistency: true, From: begun.Cut, Size: now.Size})
	if err != nil {
		t.Fatal(err)
	}
	proof := make([]merkle.Hash, len(answer.Proof))
	for i := range proof {
		proof[i] = answer.Proof[i]
	}
	if err := merkle.VerifyConsistency(merkle.Blake3, begun.Cut, begun.Root, now.Size, now.Root, proof); err != nil {
		t.Error(err)
	}
	l.stop()
	CheckHome(t, l.config.Home)
	if text, err := os.ReadFile(filepath.Join(l.config.Home, "token")); err != nil || len(text) == 0 {
		t.Error(err)
	}
}
