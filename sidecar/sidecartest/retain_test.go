package sidecartest

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	verifier "github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// With retention.keep the bodies of archived entries go. What was booked stays known: it is a duplicate or a conflict as before, roots and proofs of consistency reach back to the
// first entry, a snapshot of the rest is restored, and with the archive the whole ledger is verified.
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
			other := filepath.Join(ShortDir(t), "other")
			if r, err := sidecar.RestoreSnapshot(t.Context(), &file, &sidecar.RestoreOptions{Home: other}); err != nil || r.Epoch != 1 {
				t.Fatalf("restore what was pruned: %+v: %v", r, err)
			}
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
	report, err := sidecar.VerifyWithArchive(t.Context(), home, archived, nil, nil)
	if err != nil || report.Size < oldest {
		t.Fatalf("verified with the archive: %+v: %v", report, err)
	}
}

// checkPruned asks for entries whose bodies are gone.
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
	refused := func(what string, err error) {
		t.Helper()
		if reason := new(client.ReasonError); !errors.As(err, &reason) || reason.Reason != wire.ReasonUnknownRef {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := c.Receipt(t.Context(), 7)
	refused("a receipt of a pruned entry", err)
	_, _, err = c.Find(t.Context(), "a", nonceOf(7))
	refused("a pruned entry by its identity", err)
	if _, err := c.Receipt(t.Context(), oldest); err != nil {
		t.Errorf("a receipt of the oldest entry that is kept: %v", err)
	}
	forgotten := new(client.ForgottenError)
	for _, err := range c.Entries(t.Context(), 1, 10) {
		if !errors.As(err, &forgotten) || forgotten.Oldest != oldest {
			t.Errorf("pruned entries by number: %v", err)
		}
	}
}
