package sidecar

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// TestScrubUnderLoad scrubs a sidecar all the time while writers append, checkpoints are made, WALs are used again and,
// with an archive, bodies are pruned: it reads all, compares rows, and finds nothing.
func TestScrubUnderLoad(t *testing.T) {
	for _, keep := range []int{0, 2000} {
		t.Run(map[int]string{0: "all kept", 2000: "pruned"}[keep], func(t *testing.T) {
			c, dir := Defaults(Macronode), sidecartest.ShortDir(t)
			c.Home = filepath.Join(dir, "home")
			c.HTTPS.Addr, c.Log.Level = "127.0.0.1:0", "error"
			c.Store.MemtableBytes, c.Checkpoint.IntervalEntries = 256<<10, 500
			c.Scrub.Interval, c.Scrub.BytesPerSecond = Duration(time.Millisecond), 1<<30
			if keep > 0 {
				c.Archive.Dir, c.Archive.Interval = filepath.Join(dir, "archive"), Duration(time.Second)
				c.Retention.Keep = keep
			}
			s, err := Start(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			load := writers.New(uint64(time.Now().UnixNano()), 3).At(c.Home)
			load.Memo = 300
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { load.Run(ctx) })
			scrubbed := func() bool { return s.scrub.passes.Load() >= 12 && s.scrub.rows.Load() > 0 }
			pruned := func() bool { return keep == 0 || s.Status().Oldest > 1 }
			rowsBehind := uint64(0) // of passes that began behind the first pruning
			for deadline := time.Now().Add(3 * time.Minute); s.committer.Loss() == nil && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				if rowsBehind == 0 && pruned() {
					rowsBehind = s.scrub.rows.Load() + 1
				}
				if scrubbed() && rowsBehind > 0 && s.scrub.rows.Load() > rowsBehind && s.store.Mark().Size > 4000 {
					break
				}
			}
			stop()
			running.Wait()
			if loss := s.committer.Loss(); loss != nil {
				t.Errorf("it found damage where there is none: %v", loss)
			}
			t.Logf("%d passes, %d rows, %d bytes, mark %d, oldest %d, %d errors", s.scrub.passes.Load(), s.scrub.rows.Load(), s.scrub.bytes.Load(),
				s.store.Mark().Size, s.Status().Oldest, s.scrub.errors.Load())
			if !scrubbed() || !pruned() || s.scrub.rows.Load() <= rowsBehind || s.scrub.errors.Load() > 0 {
				t.Error("it has not read all, or not without errors")
			}
		})
	}
}
