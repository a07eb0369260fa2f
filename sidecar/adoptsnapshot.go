package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// bring makes a home in dir that has the first size entries of the archive: from its newest snapshot that is
// good and the segments behind it, or from the segments alone.
func (a *adoption) bring(ctx context.Context, dir string, size uint64) error {
	began := time.Now()
	laid, err := a.fromSnapshot(ctx, dir)
	if err != nil {
		return err
	}
	a.log.Info("bringing the segments", zap.Uint64("from", laid+1), zap.Uint64("to", size), zap.Duration("took_before", time.Since(began)))
	commits := new(RestoreOptions).watched(ctx, a.reader.Commits(ctx, laid+1), size)
	if laid == 0 {
		return store.Import(store.Options{Dir: dir, LogID: a.reader.Genesis(), Hash: uint8(a.reader.Hash())}, commits)
	}
	return store.Extend(store.Options{Dir: dir}, commits)
}

// fromSnapshot unpacks the newest snapshot of the archive that is good, and returns its size; 0 where there is none.
func (a *adoption) fromSnapshot(ctx context.Context, dir string) (size uint64, err error) {
	names, err := a.reader.Snapshots(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		began := time.Now()
		if size, err = a.unpack(ctx, name, dir); err == nil {
			a.log.Info("beginning with a snapshot of the archive", zap.String("name", name), zap.Uint64("size", size), zap.Duration("took", time.Since(began)))
			return size, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		a.log.Warn("a snapshot in the archive is of no use: an older one is taken, or the segments alone", zap.String("name", name), zap.Error(err))
		if err := emptyFolder(dir); err != nil {
			return 0, err
		}
	}
	a.pruned = false
	return 0, nil
}

// unpack makes the home of a snapshot in dir, once every checksum, the signatures and all roots are checked. Its derived
// state is taken as the ledger has signed it.
func (a *adoption) unpack(ctx context.Context, name, dir string) (size uint64, err error) {
	m, signed, err := unpackArchived(ctx, a.reader, name, dir, a.signed)
	if err != nil {
		return 0, err
	}
	if m.First > 1 && !a.reader.Head().Sync {
		return 0, fmt.Errorf("entries before %d are pruned in it, and a new epoch begins here, whose archive has to begin with the first", m.First)
	}
	a.pruned = m.First > 1
	of := &copied{logID: a.from.logID, note: signed, kept: m.First, signed: merkle.Checkpoint{Origin: m.Origin, Size: m.Size, Root: m.Root}}
	return m.Size, of.checkRoots(ctx, dir, new(RestoreOptions))
}

// unpackArchived unpacks a snapshot of an archive as unpackSnapshot does: with an empty dir it is only checked.
func unpackArchived(ctx context.Context, r *archive.Reader, name, dir string, key note.Verifier) (m *SnapshotInfo, signed []byte, err error) {
	s, content, err := r.OpenSnapshot(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	m, signed, err = unpackSnapshot(content, dir, key)
	if err == nil && (m.Size != s.Size || m.Root != s.Root) {
		err = fmt.Errorf("it is of %d entries with root %v, and its index says %d with %v", m.Size, m.Root, s.Size, s.Root)
	}
	return m, signed, err
}

// verifyArchivedSnapshots checks every snapshot of an archive: its signatures and checksums, and that the segments
// have its root at its size.
func verifyArchivedSnapshots(ctx context.Context, r *archive.Reader, key note.Verifier) error {
	names, err := r.Snapshots(ctx)
	for i := 0; i < len(names) && err == nil; i++ {
		if _, _, err = unpackArchived(ctx, r, names[i], "", key); err != nil {
			err = fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return err
}

// emptyFolder removes what lies in a folder.
func emptyFolder(dir string) error {
	names, err := os.ReadDir(dir)
	for _, entry := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}
