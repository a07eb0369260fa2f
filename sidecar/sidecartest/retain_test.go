package sidecartest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	verifier "github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// With retention.keep the bodies of archived entries go, and are read back from the archive. What was booked stays known: it is a duplicate or a
// conflict as before, roots and proofs reach back to the first entry, a snapshot of the rest is restored, and with the archive the whole ledger is verified.
func TestRetention(t *testing.T) {
	const keep, entries = 1000, 9000
	archived, home := filepath.Join(ShortDir(t), "archive"), filepath.Join(ShortDir(t), "home")
	run := func(t *testing.T, use func(s *sidecar.Sidecar, c *client.Client, token []byte)) {
		t.Helper()
		s, token := startSidecar(t, func(c *sidecar.Config) {
			c.Home, c.Checkpoint.IntervalEntries, c.Store.MemtableBytes = home, 700, 256<<10
			c.Archive.Dir, c.Archive.Interval, c.Retention.Keep = archived, sidecar.Duration(time.Second), keep
		})
		c, err := client.Dial(t.Context(), client.Options{Socket: home + "/ledger.sock", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		use(s, c, token)
	}
	var oldest uint64
	var snapshot []byte
	t.Run("load", func(t *testing.T) {
		run(t, func(s *sidecar.Sidecar, c *client.Client, token []byte) {
			var answered atomic.Uint64
			ctx, stop := context.WithCancel(t.Context())
			var writer sync.WaitGroup
			writer.Go(func() { keepMinting(ctx, t, home, token, &answered) })
			for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
				if oldest = s.Status().Oldest; oldest > entries || t.Failed() {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("of %d entries the oldest kept is %d", answered.Load(), oldest)
				}
			}
			stop()
			writer.Wait()
		})
	})
	if t.Failed() {
		return
	}
	t.Run("pruned", func(t *testing.T) {
		run(t, func(s *sidecar.Sidecar, c *client.Client, _ []byte) {
			oldest = s.Status().Oldest
			if oldest%256 != 1 || s.Status().Size-oldest < keep {
				t.Errorf("kept from %d to %d", oldest, s.Status().Size)
			}
			checkPruned(t, c, oldest)
			var file bytes.Buffer
			if err := c.Snapshot(t.Context(), &file); err != nil {
				t.Fatal(err)
			}
			snapshot = file.Bytes()
		})
	})
	if t.Failed() {
		return
	}
	if _, err := sidecar.Verify(t.Context(), home, nil); !errors.Is(err, verifier.ErrPruned) {
		t.Fatalf("verified without the archive: %v", err)
	}
	// A new epoch here could not be archived: it is refused before anything is changed.
	if _, err := sidecar.Diagnose(t.Context(), sidecar.RecoverOptions{Home: home}); !errors.Is(err, sidecar.ErrRecoverPruned) {
		t.Fatalf("recover looks at a pruned home: %v", err)
	}
	if _, _, err := sidecar.AcceptLoss(t.Context(), sidecar.RecoverOptions{Home: home}, 1, "a test"); !errors.Is(err, sidecar.ErrRecoverPruned) {
		t.Fatalf("recover cuts a pruned home: %v", err)
	}
	report, err := sidecar.VerifyWithArchive(t.Context(), home, &sidecar.ArchiveConfig{Dir: archived}, nil, nil)
	if err != nil || report.Size < oldest {
		t.Fatalf("verified with the archive: %+v: %v", report, err)
	}
	t.Run("snapshot", func(t *testing.T) { restorePruned(t, snapshot, home) })
	t.Run("damaged", func(t *testing.T) { restoreDamaged(t, home, archived, oldest) })
}

// restorePruned restores a snapshot of a pruned ledger: in a new epoch it could not be archived, so that is
// refused unless it is asked for; in the same epoch it goes on.
func restorePruned(t *testing.T, snapshot []byte, home string) {
	restore := func(o sidecar.RestoreOptions) (sidecar.RestoreReport, error) {
		o.Home = filepath.Join(ShortDir(t), "other")
		r, err := sidecar.RestoreSnapshot(t.Context(), bytes.NewReader(snapshot), &o)
		if entries, _ := os.ReadDir(filepath.Join(o.Home, "log")); err != nil && len(entries) > 0 {
			t.Errorf("a restore that is refused leaves a log: %v", err)
		}
		return r, err
	}
	if _, err := restore(sidecar.RestoreOptions{}); !errors.Is(err, sidecar.ErrRestorePruned) {
		t.Errorf("a new epoch on what was pruned: %v", err)
	}
	if r, err := restore(sidecar.RestoreOptions{Unarchived: true}); err != nil || r.Epoch != 1 {
		t.Errorf("a new epoch without an archive: %+v: %v", r, err)
	}
	if r, err := restore(sidecar.RestoreOptions{SameEpoch: true, OldHome: home, NodeKey: filepath.Join(home, "node.key")}); err != nil || r.Epoch != 0 {
		t.Errorf("the same epoch: %+v: %v", r, err)
	}
}

// restoreDamaged damages the derived state of a pruned ledger: the start refuses it and says what to do, and what is then
// restored from the archive has every entry, knows every identity, and is archived again.
func restoreDamaged(t *testing.T, home, archived string, oldest uint64) {
	if err := os.WriteFile(filepath.Join(home, "state.rebuild"), nil, 0o600); err != nil { // what a damaged row asks for
		t.Fatal(err)
	}
	config := sidecar.Defaults(sidecar.Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = home, "127.0.0.1:0", "error"
	s, err := sidecar.Start(t.Context(), config)
	if err == nil {
		t.Fatalf("a start with a damaged state that cannot be made again: %v", s.Close(t.Context()))
	}
	if !strings.Contains(err.Error(), "restore the ledger from its archive") {
		t.Errorf("the start says: %v", err)
	}
	again := filepath.Join(ShortDir(t), "home")
	r, err := sidecar.RestoreArchive(t.Context(), archived, nil, &sidecar.RestoreOptions{Home: again, NodeKey: filepath.Join(home, "node.key")})
	if err != nil || r.Size < oldest || r.Epoch != 1 {
		t.Fatalf("restored from the archive: %+v: %v", r, err)
	}
	_, token := startSidecar(t, func(c *sidecar.Config) {
		c.Home, c.Archive.Dir, c.Archive.Interval, c.Retention.Keep = again, archived, sidecar.Duration(time.Second), 1000
	})
	c, err := client.Dial(t.Context(), client.Options{Socket: again + "/ledger.sock", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, n := range []int{1, 256, int(oldest - 1), int(oldest), int(r.Size)} {
		b := new(client.Batch)
		f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(n), Memo: make([]byte, 200), Timestamp: 5}
		if err := b.Add(&f); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Append(t.Context(), b); err != nil || len(got.Results) != 1 || got.Results[0].Outcome != wire.OutcomeDuplicate || got.Results[0].Seq != uint64(n) {
			t.Errorf("entry %d again: %+v: %v", n, got, err)
		}
	}
	waitUntil(t, "the archive of the new epoch has what was restored", func() bool {
		head, err := sidecar.VerifyArchive(t.Context(), archived, &r.LogID, nil, nil)
		return err == nil && head.Size > r.Size
	})
}

// checkPruned asks for entries whose bodies are in the archive alone.
func checkPruned(t *testing.T, c *client.Client, oldest uint64) {
	t.Helper()
	for _, n := range []int{1, 255, 256, 257, int(oldest - 1), int(oldest)} {
		for _, amount := range []uint64{1, 2} {
			b := new(client.Batch)
			f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(amount), Nonce: nonceOf(n), Memo: make([]byte, 200), Timestamp: 5}
			if err := b.Add(&f); err != nil {
				t.Fatal(err)
			}
			r, err := c.Append(t.Context(), b)
			if err != nil || r.Accepted != 0 || len(r.Results) != 1 {
				t.Fatalf("entry %d again: %+v: %v", n, r, err)
			}
			got := r.Results[0]
			if amount == 1 && (got.Outcome != wire.OutcomeDuplicate || got.Seq != uint64(n)) || amount == 2 && got.Reason != wire.ReasonConflict {
				t.Errorf("entry %d again, with amount %d: %+v", n, amount, got)
			}
		}
	}
	for _, size := range []uint64{1, 5, 256, 300, oldest - 1, oldest + 3} {
		if _, err := c.Prove(t.Context(), &wire.Prove{Consistency: true, From: size}); err != nil {
			t.Errorf("prove consistency from %d: %v", size, err)
		}
	}
	for _, seq := range []uint64{1, 7, 256, 257, oldest - 1, oldest} {
		f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(int(seq)), Memo: make([]byte, 200)}
		want, fault := wire.AppendEntry(nil, &f)
		if !fault.OK() {
			t.Fatal(fault)
		}
		r, err := c.Receipt(t.Context(), seq)
		if err != nil || !bytes.Equal(r.Record.Entry(), want) {
			t.Errorf("a receipt of entry %d, which is in the archive: %v", seq, err)
		}
		if row, ok, err := c.Find(t.Context(), "a", nonceOf(int(seq))); err != nil || !ok || row.Seq != seq || !bytes.Equal(row.Record.Entry(), want) {
			t.Errorf("entry %d by its identity: %v, %v", seq, ok, err)
		}
	}
	next := uint64(1)
	for row, err := range c.Entries(t.Context(), 1, oldest+300) {
		if err != nil || row.Seq != next || row.Record.Entry().Nonce() != nonceOf(int(next)) {
			t.Fatalf("entry %d where %d should be: %v", row.Seq, next, err)
		}
		next++
	}
	if next != oldest+301 {
		t.Errorf("the entries end before %d", next)
	}
}
