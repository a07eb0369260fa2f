package sidecartest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// backupEntries is how many entries the test books at least; BACKUP_ENTRIES sets another number, to
// take the time of a restore.
const backupEntries = 6000

// Snapshots are taken and the log is archived while entries are booked. Every copy is sound and has at
// least what was answered before it was begun; what is restored from it is the same tree.
func TestBackupUnderLoad(t *testing.T) {
	archived := filepath.Join(ShortDir(t), "archive")
	entries := uint64(backupEntries)
	if text := os.Getenv("BACKUP_ENTRIES"); text != "" {
		var err error
		if entries, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	var answered atomic.Uint64
	snapshot := filepath.Join(ShortDir(t), "snapshot")
	t.Run("load", func(t *testing.T) {
		var home string
		_, token := startSidecar(t, func(c *sidecar.Config) {
			c.Checkpoint.IntervalEntries, c.Store.MemtableBytes, home = 700, 256<<10, c.Home
			c.Archive.Dir = archived
			if err := c.Archive.Interval.UnmarshalText([]byte("1s")); err != nil {
				t.Fatal(err)
			}
		})
		c, err := client.Dial(t.Context(), client.Options{Socket: home + "/ledger.sock", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		ctx, stop := context.WithCancel(t.Context())
		var writer sync.WaitGroup
		writer.Go(func() { keepMinting(ctx, t, home, token, &answered) })
		for last := false; !last && !t.Failed(); {
			before := answered.Load()
			if last = before >= entries; !last && entries > backupEntries { // for the time of a restore: one, of all
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if err := snapshotTo(t.Context(), c, snapshot); err != nil {
				t.Errorf("behind %d entries: %v", before, err)
				break
			}
			m, report, err := sidecar.VerifySnapshot(t.Context(), openFile(t, snapshot), t.TempDir(), nil, nil)
			if err != nil || m.Size < before || report.Size != m.Size {
				t.Errorf("a snapshot behind %d entries: %+v: %v", before, m, err)
			}
		}
		stop()
		writer.Wait()
	})
	for name, restore := range map[string]func(*sidecar.RestoreOptions) (sidecar.RestoreReport, error){
		"archive": func(o *sidecar.RestoreOptions) (sidecar.RestoreReport, error) {
			return sidecar.RestoreArchive(t.Context(), archived, nil, o)
		},
		"snapshot": func(o *sidecar.RestoreOptions) (sidecar.RestoreReport, error) {
			return sidecar.RestoreSnapshot(t.Context(), openFile(t, snapshot), o)
		},
	} {
		home := filepath.Join(ShortDir(t), name)
		began := time.Now()
		r, err := restore(&sidecar.RestoreOptions{Home: home})
		took := time.Since(began)
		if err != nil || r.Epoch != 1 || r.LogID == r.OldLogID {
			t.Fatalf("restore from the %s: %+v: %v", name, r, err)
		}
		each := took / time.Duration(r.Size)
		t.Logf("%s: %d entries restored in %v, %v each; 100 million at that pace: %v", name, r.Size, took, each, (each * 1e8).Round(time.Second))
		report, err := sidecar.Verify(t.Context(), home, nil)
		if err != nil || report.Size != r.Size+1 {
			t.Fatalf("from the %s: %+v: %v", name, report, err)
		}
		// A stop ships the rest: the archive has every answer.
		if name == "archive" && r.Size < answered.Load() {
			t.Fatalf("the archive has %d of %d entries", r.Size, answered.Load())
		}
	}
	if entries > backupEntries {
		return // damage is found in small ones: each look reads the whole
	}
	good, err := os.ReadFile(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	damageSnapshot(t, good)
}

// snapshotTo writes a snapshot to a file.
func snapshotTo(ctx context.Context, c *client.Client, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	return errors.Join(c.Snapshot(ctx, w), w.Flush(), file.Close())
}

// openFile opens a file for the time of the test.
func openFile(t *testing.T, path string) io.Reader {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return bufio.NewReaderSize(file, 1<<20)
}

// damageSnapshot flips a bit in some bytes of a snapshot, and cuts it: a reader says so.
func damageSnapshot(t *testing.T, good []byte) {
	want, err := sidecar.CheckSnapshot(bytes.NewReader(good), nil)
	if err != nil {
		t.Fatal(err)
	}
	stride := max(len(good)/150, 1)
	for i := 0; i < len(good); i += stride {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if m, err := sidecar.CheckSnapshot(bytes.NewReader(bad), nil); err == nil && *m != *want {
			t.Fatalf("byte %d is damaged: %+v", i, m)
		}
		if _, err := sidecar.CheckSnapshot(bytes.NewReader(good[:i]), nil); err == nil {
			t.Fatalf("cut at %d it is taken", i)
		}
	}
}
