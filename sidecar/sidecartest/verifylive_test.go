package sidecartest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// A home is verified while its sidecar writes: memtables are flushed, tables are
// compacted, checkpoints come and go below the verifier, and it finds a sound ledger
// that has at least what was answered before it began.
func TestVerifyLive(t *testing.T) {
	for _, kind := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		var home string
		_, token := startSidecar(t, func(c *sidecar.Config) {
			c.Accumulator.Hash, c.Checkpoint.IntervalEntries, home = kind.String(), 700, c.Home
			c.Store.MemtableBytes = 256 << 10
		})
		ctx, stop := context.WithCancel(t.Context())
		var answered atomic.Uint64
		var writer sync.WaitGroup
		writer.Go(func() { keepMinting(ctx, t, home, token, &answered) })
		for run := 1; answered.Load() < 8000 && !t.Failed(); run++ {
			before := answered.Load()
			report, err := sidecar.Verify(t.Context(), home, nil)
			if err != nil || report.Size < before {
				t.Errorf("%v: run %d: %+v, %d were answered: %v", kind, run, report, before, err)
			}
			if answered.Load() >= 8000 {
				t.Logf("%v: %d runs, the last of %d entries with derived state at %d", kind, run, report.Size, report.StateSize)
			}
		}
		stop()
		writer.Wait()
	}
}

// keepMinting appends until ctx ends.
func keepMinting(ctx context.Context, t *testing.T, home string, token []byte, answered *atomic.Uint64) {
	c, err := client.Dial(ctx, client.Options{Socket: home + "/ledger.sock", Token: token})
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	b := new(client.Batch)
	for n := 1; ctx.Err() == nil; {
		b.Reset()
		for ; b.Len() < 400; n++ {
			f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(n), Memo: make([]byte, 200)}
			if err := b.Add(&f); err != nil {
				t.Error(err)
				return
			}
		}
		result, err := c.Append(context.WithoutCancel(ctx), b)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			return
		}
		answered.Store(result.Size)
	}
}
