package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Names of a log on its way to be cut.
const (
	cutCopyName  = "log.copy"  // being filled
	cutReadyName = "log.cut"   // whole: it only has to take the place of the log
	cutAsideName = "log.aside" // the log as it was, with the size at which it was cut behind a dot
)

// cutBatchBytes bounds the batch with which blocks are copied.
const cutBatchBytes = 1 << 20

// Cut makes the log of a closed home end at size, where one of its commits has to end. The blocks up
// to there are copied into a new log, each read and decoded; the log as it was is kept beside it, in
// the directory whose path is returned, for whoever wants to look into it: nobody else does. It takes
// the disk space of the copy. Head file and state are left alone: a state beyond size is made again by
// the next Open. After an error, or a crash, the home has the old log, or the new one.
func Cut(o Options, size uint64) (aside string, err error) {
	o.setDefaults()
	if err := finishCut(o.plainFS(), o.Dir); err != nil { // of one that a crash has met
		return "", fmt.Errorf("cut the log at %d: %w", size, err)
	}
	o.ReadOnly = true
	old, err := Open(o)
	if err != nil {
		return "", fmt.Errorf("cut the log at %d: %w", size, err)
	}
	dir, fsys := old.dir, old.fs
	if err := old.checkCut(size); err != nil {
		return "", errors.Join(fmt.Errorf("cut the log at %d: %w", size, err), old.Close())
	}
	err = old.copyLog(&o, size)
	if err := errors.Join(err, old.Close()); err != nil {
		return "", fmt.Errorf("cut the log at %d: %w", size, err)
	}
	if aside, err = asideOf(fsys, dir, size); err == nil {
		err = swapLogs(fsys, dir, aside)
	}
	if err != nil {
		return "", fmt.Errorf("cut the log at %d: %w", size, err)
	}
	return aside, nil
}

// checkCut refuses what would leave a ledger that cannot be opened.
func (s *Store) checkCut(size uint64) error {
	tail := s.durable()
	if tail.First > 1 && (s.stateErr != nil || s.Mark().Size > size) {
		return fmt.Errorf("the log begins at %d, so that the state cannot be made again, and the state is not of size %d or less: restore a backup", tail.First, size)
	}
	if size == 0 || size == tail.Size {
		return nil
	}
	_, err := s.logRoot(size)
	return err
}

// copyLog copies the blocks up to size into a new log, which gets its name when it is whole.
func (s *Store) copyLog(o *Options, size uint64) (err error) {
	for _, name := range []string{cutCopyName, cutCopyName + ".new", cutReadyName} {
		if err := s.fs.RemoveAll(s.fs.PathJoin(s.dir, name)); err != nil {
			return err
		}
	}
	var w stalls
	g := &guard{FS: s.fs, fatal: s.failed.fatal}
	db, err := openEngine(g, s.dir, cutCopyName, logOptions(o, engineOptions(g, s.cache, s.files), s.failed.fatal, &w))
	if err != nil {
		return err
	}
	err = copyBlocks(db, s.log, size)
	if err == nil {
		err = g.during(db.Flush)
	}
	if err := errors.Join(err, closeEngine(db, cutCopyName, s.logger)); err != nil {
		return err
	}
	if err := s.fs.Rename(s.fs.PathJoin(s.dir, cutCopyName), s.fs.PathJoin(s.dir, cutReadyName)); err != nil {
		return err
	}
	return syncDir(s.fs, s.dir)
}

func copyBlocks(to, from *pebble.DB, size uint64) (err error) {
	end := blockKey(size + 1)
	it, err := from.NewIter(&pebble.IterOptions{UpperBound: end[:]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	b := to.NewBatch()
	defer func() { _ = b.Close() }()
	at, next := replay{it: it}, uint64(0)
	if size == 0 {
		return nil
	}
	for ok := it.First(); ok; ok = next != size+1 && it.Next() { // what follows may be damaged
		if next == 0 {
			at.next = binary.BigEndian.Uint64(it.Key())
		}
		h, value, err := at.block()
		if err != nil {
			return err
		}
		next = h.lastSeq() + 1
		at.next = next
		if err := b.Set(it.Key(), value, nil); err != nil {
			return err
		}
		if b.Len() > cutBatchBytes {
			if err := b.Commit(pebble.NoSync); err != nil {
				return err
			}
			b.Reset()
		}
	}
	if err := it.Error(); err != nil {
		return fromEngine(err)
	}
	if next != size+1 {
		return fmt.Errorf("the copy ends before %d instead of %d", next, size+1)
	}
	return b.Commit(pebble.Sync)
}

// asideOf returns a path for the old log that is not taken.
func asideOf(fsys vfs.FS, dir string, size uint64) (string, error) {
	for n := 1; ; n++ {
		path := fsys.PathJoin(dir, fmt.Sprintf("%s.%d.%d", cutAsideName, size, n))
		if _, err := fsys.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
	}
}

// swapLogs puts the log that is ready into the place of the old one.
func swapLogs(fsys vfs.FS, dir, aside string) error {
	if err := fsys.Rename(fsys.PathJoin(dir, logDirName), aside); err != nil {
		return err
	}
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	return finishCut(fsys, dir)
}

// finishCut does the second half of swapLogs where a crash came in between: the log is missing and
// the one that is ready has only to take its name.
func finishCut(fsys vfs.FS, dir string) error {
	log, ready := fsys.PathJoin(dir, logDirName), fsys.PathJoin(dir, cutReadyName)
	if _, err := fsys.Stat(log); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := fsys.Stat(ready); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := fsys.Rename(ready, log); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// logToRead is the directory of the log for who may change nothing: where a crash came amid swapLogs it is
// the one that is ready.
func logToRead(fsys vfs.FS, dir string) (string, error) {
	for _, name := range []string{logDirName, cutReadyName} {
		if _, err := fsys.Stat(fsys.PathJoin(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return name, err
		}
	}
	return logDirName, nil
}
