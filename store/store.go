package store

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

const (
	logDirName   = "log"
	stateDirName = "state"
)

// Store is an open home. Append, Checkpoint and Prune are for the one writer; everything else may
// be called from any goroutine.
type Store struct {
	dir    string
	fs     vfs.FS // with health checks, for the databases
	stopFS func() error
	meta   Meta
	log    *pebble.DB
	cache  *pebble.Cache
	files  *pebble.FileCache
	logger *zap.Logger

	readOnly bool
	stateErr error // why the state of a store opened to be read only is of no use

	closed atomic.Bool
	failed failure
	guard  *guard // of the log

	appendMu sync.Mutex // held by Append and Close
	appender *appender
	head     *headFile
	headAt   HeadSlot // as it was at Open

	tailDamage *Damage // set by Open
	damaged    damagedFiles

	tailMu sync.RWMutex
	tail   Tail

	blocks    blockCache
	logStalls stalls
	freezes   atomic.Uint64 // of the state, which are told apart by it
	state     state
}

// Open opens the home at o.Dir and makes it when there is none. It reads the ends of the log, the
// head file and the mark, and nothing whose size grows with the ledger but the WAL, which
// Options.MemtableBytes bounds. A state database that is missing, damaged, or does not belong to the
// log is discarded: Mark is then zero and the log has to be replayed from its beginning. A damaged or
// missing log is an error.
func Open(o Options) (_ *Store, err error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{dir: o.Dir, logger: o.Logger, readOnly: o.ReadOnly}
	s.failed.report = o.Fatal
	if s.failed.report == nil {
		s.failed.report = reportAndExit(o.Logger)
	}
	s.fs, s.stopFS = o.fileSystem()
	// Pebble takes its memtables out of the cache, so room for two of each is added to it.
	s.cache = pebble.NewCache(o.CacheBytes + 2*o.MemtableBytes + 2*stateMemtableBytes)
	s.files = pebble.NewFileCache(1, openFilesMax)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release())
		}
	}()
	if err := s.openFiles(&o); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", o.Dir, err)
	}
	return s, nil
}

// openFilesMax bounds the tables that both databases keep open together, and so descriptors and the memory of
// their readers (some 50 KiB each) whatever the size of the ledger. To open one again takes some 50 µs.
const openFilesMax = 64

// openFiles opens or creates log, head file and state. The meta file is written last, so that
// its presence means that creation was finished: from then on a missing log is loss.
func (s *Store) openFiles(o *Options) error {
	if s.readOnly {
		return s.openToRead(o)
	}
	if err := makeDir(s.fs, s.dir); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	meta, exists, err := readMeta(s.fs, s.dir)
	if err != nil {
		return err
	}
	if exists && o.Hash != 0 && o.Hash != meta.Hash {
		return fmt.Errorf("it was created with hash %d, not with %d: the hash of a ledger cannot be changed", meta.Hash, o.Hash)
	}
	if err := s.openLog(o, !exists); err != nil {
		return err
	}
	if err := s.openHead(o.plainFS(), !exists); err != nil {
		return err
	}
	if err := s.openState(o); err != nil {
		return err
	}
	if !exists {
		meta = newMeta(o)
		if err := writeMeta(s.fs, s.dir, meta); err != nil {
			return err
		}
	}
	s.meta = meta
	return nil
}

// plainFS is the file system for the head file: the health checks allow one operation at a time on
// a file, and the head file is synced while it is written.
func (o *Options) plainFS() vfs.FS {
	if o.FS == nil {
		return vfs.Default
	}
	return o.FS.fs
}

// openHead opens the head file, and makes it when it is missing or too short. Where the meta file is
// missing, neither log nor head file may know of a record.
func (s *Store) openHead(fsys vfs.FS, create bool) error {
	newest, whole, err := readHead(fsys, s.dir)
	if err != nil {
		return err
	}
	if size := max(s.tail.Size, newest.Seq); create && size > 0 {
		return fmt.Errorf("its %s file is missing although it held %d records: restore it from a backup", metaName, size)
	}
	if create {
		newest = HeadSlot{Known: true}
	}
	if create || !whole {
		if err := createHead(fsys, s.dir, newest); err != nil {
			return err
		}
	}
	s.headAt = newest
	s.head, err = openHead(fsys, s.dir, newest)
	return err
}

func (s *Store) openLog(o *Options, create bool) error {
	name := logDirName
	var err error
	switch {
	case create:
	case s.readOnly:
		name, err = logToRead(s.fs, s.dir)
	default:
		err = finishCut(s.fs, s.dir)
	}
	if err != nil {
		return fmt.Errorf("finish the cut of the log: %w", err)
	}
	dir := s.fs.PathJoin(s.dir, name)
	if _, err := s.fs.Stat(dir); !create && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the log %s is missing: restore it from a backup", dir)
	}
	s.guard = &guard{FS: s.fs, fatal: s.failed.fatal}
	options := logOptions(o, engineOptions(s.guard, s.cache, s.files), s.failed.fatal, &s.logStalls)
	options.EventListener.DataCorruption = s.logDamaged
	if o.ReadOnly {
		s.toRead(options)
	}
	if s.log, err = openEngine(s.guard, s.dir, name, options); err != nil {
		return err
	}
	if err := s.openTail(); err != nil {
		return err
	}
	s.appender = newAppender(s.log, o.Compression)
	return nil
}

// openTail finds the ends of the log. Where the last block cannot be read it is the last one that
// can, and Damage says so.
func (s *Store) openTail() (err error) {
	if s.tail, err = readTail(s.log); err == nil {
		return nil
	}
	damage := new(Damage)
	if !errors.As(damageAt(0, err), &damage) {
		return err
	}
	s.tail, s.tailDamage, err = findTail(s.log, err)
	return err
}

// logDamaged takes what the log's database found. What is damaged was durable once and is not
// written again: the read fails, the process goes on.
func (s *Store) logDamaged(info pebble.DataCorruptionInfo) {
	s.damaged.add(info)
	s.logger.Error("a file of the log is damaged", zap.String("path", info.Path), zap.String("cause", info.Details.Error()))
}

// Meta returns the identity of the ledger.
func (s *Store) Meta() Meta { return s.meta }

// Head returns the newest slot of the head file as it was when the store was opened, or the mark of
// the state where that is beyond it. A Head.Seq beyond Last, or another root at that size, is loss,
// and it cannot be told where Head is not Known; what follows from that is the caller's to decide.
func (s *Store) Head() HeadSlot { return s.headAt }

// SyncHead makes the head file durable. It may run beside Append. An error means that the disk
// fails: the caller should stop.
func (s *Store) SyncHead() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.readOnly {
		return nil
	}
	return s.head.sync()
}

// Close flushes the log, so that the next Open finds an empty WAL, syncs the head file and closes both
// databases. Iterations, Listings and look-ups must have
// ended. After a failure of the log it releases what it can and returns ErrFailed.
func (s *Store) Close() error {
	s.appendMu.Lock()
	defer s.appendMu.Unlock()
	if !s.closed.CompareAndSwap(false, true) {
		return ErrClosed
	}
	var err error
	switch {
	case s.failed.thrown.Load():
		err = ErrFailed
	case !s.readOnly:
		err = s.guard.during(s.log.Flush)
	}
	if err = errors.Join(err, s.release()); err != nil {
		return fmt.Errorf("close ledger %s: %w", s.dir, err)
	}
	return nil
}

// release closes whatever is open.
func (s *Store) release() error {
	var err error
	if s.head != nil {
		err = errors.Join(err, s.head.close())
	}
	err = errors.Join(err, s.state.close(s.logger))
	if s.appender != nil {
		err = errors.Join(err, s.appender.batch.Close())
	}
	if s.log != nil {
		err = errors.Join(err, closeEngine(s.log, logDirName, s.logger))
	}
	s.files.Unref()
	s.cache.Unref()
	return errors.Join(err, s.stopFS())
}
