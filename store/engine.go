package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

const (
	stateMemtableBytes = 8 << 20
	filterBitsPerKey   = 10
	// stateRetryPause slows down Pebble's own retrying of a flush that cannot succeed.
	stateRetryPause = 100 * time.Millisecond
	exitFailStop    = 70
)

// logger hands Pebble's messages to zap. Its Fatalf does not return for the log, because Pebble
// returns success from a failed commit when it does.
type logger struct {
	log   *zap.SugaredLogger
	fatal func(msg string)
}

func (l logger) Infof(format string, args ...any)  { l.log.Debugf(format, args...) }
func (l logger) Errorf(format string, args ...any) { l.log.Errorf(format, args...) }
func (l logger) Fatalf(format string, args ...any) { l.fatal(fmt.Sprintf(format, args...)) }

// engineOptions returns what both databases have in common.
func engineOptions(fsys vfs.FS, cache *pebble.Cache, files *pebble.FileCache) *pebble.Options {
	o := &pebble.Options{
		FS:                          fsys,
		Cache:                       cache,
		FileCache:                   files,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableStopWritesThreshold: 4,
		L0StopWritesThreshold:       40,
		MaxManifestFileSize:         16 << 20,
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return o
}

// logOptions: blocks arrive in key order, so tables never overlap and a compaction only moves them;
// one is asked for as soon as a table is flushed. Blocks are compressed by us or not at all.
func logOptions(o *Options, common *pebble.Options, fatal func(string), w *stalls) *pebble.Options {
	common.MemTableSize = uint64(o.MemtableBytes)
	common.L0CompactionThreshold = 2
	common.LBaseMaxBytes = 1 << 30
	common.TargetFileSizes[0] = 64 << 20
	common.FlushSplitBytes = 256 << 20
	common.WALBytesPerSync = 0
	// Nothing in the log needs them, and they are read in the background beside an Open that may fail,
	// which Pebble does not survive.
	common.DisableTableStats = true
	common.CompactionConcurrencyRange = func() (int, int) { return 1, 1 }
	common.Logger = logger{log: o.Logger.Named("log").Sugar(), fatal: fatal}
	common.EventListener = &pebble.EventListener{
		WriteStallBegin: w.begin,
		WriteStallEnd:   w.end,
		BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrCancelledCompaction) {
				fatal(fmt.Sprintf("write the log in the background: %v", err))
			}
		},
	}
	return common
}

// stateOptions: no WAL, since a checkpoint is flushed as a whole and can be made again from the log.
// Filters keep a look-up that misses from reading a data block.
func stateOptions(o *Options, common *pebble.Options, broken func(error), w *stalls) *pebble.Options {
	common.MemTableSize = stateMemtableBytes
	common.DisableWAL = true
	common.L0CompactionThreshold = 4
	common.TargetFileSizes[0] = 4 << 20
	common.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	for i := range common.Levels {
		common.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBitsPerKey)
		common.Levels[i].BlockSize = 8 << 10
	}
	common.Logger = logger{log: o.Logger.Named("state").Sugar(), fatal: func(msg string) { broken(errors.New(msg)) }}
	common.EventListener = &pebble.EventListener{
		WriteStallBegin: w.begin,
		WriteStallEnd:   w.end,
		BackgroundError: func(err error) {
			if !errors.Is(err, pebble.ErrCancelledCompaction) {
				broken(err)
				time.Sleep(stateRetryPause)
			}
		},
	}
	return common
}

// openEngine opens the database dir/name, and makes it first when it is missing.
func openEngine(fsys *guard, dir, name string, o *pebble.Options) (*pebble.DB, error) {
	path := fsys.PathJoin(dir, name)
	_, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !o.ReadOnly {
		if err = createEngine(fsys, dir, name, o); err != nil {
			return nil, fmt.Errorf("create database %s: %w", path, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look for database %s: %w", path, err)
	}
	o.ErrorIfNotExists = true
	db, err := fsys.open(path, o)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return db, nil
}

// createEngine makes an empty database under another name and then gives it its own, so that a
// crash leaves a whole one or none. It is closed before anybody writes to it: Open makes the first
// WAL before it raises the format, and only a WAL of the newest format tells a damaged record from
// the end of the log.
func createEngine(fsys *guard, dir, name string, o *pebble.Options) error {
	path, tmp := fsys.PathJoin(dir, name), fsys.PathJoin(dir, name+".new")
	if err := fsys.RemoveAll(tmp); err != nil {
		return err
	}
	if err := makeDir(fsys, tmp); err != nil {
		return err
	}
	db, err := fsys.open(tmp, o)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Close(), syncDir(fsys, tmp)); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// closeEngine closes a database. Pebble ends its Close with a count of tables that were replaced and
// are still waiting to be deleted, and makes an error of it (cockroachdb/pebble #2708). Everything is
// written and closed by then, and the next Open deletes them: a stop that was clean stays one.
func closeEngine(db *pebble.DB, name string, log *zap.Logger) error {
	err := db.Close()
	if err != nil && strings.HasPrefix(err.Error(), "non-zero zombie ") {
		log.Warn("replaced tables were left for the next start to delete", zap.String("database", name), zap.Error(err))
		return nil
	}
	return err
}

// failure is the one-way switch that is thrown when the log's state on disk is unknown.
type failure struct {
	thrown atomic.Bool
	report func(msg string)
}

// fatal stops everything. It does not return.
func (f *failure) fatal(msg string) {
	f.thrown.Store(true)
	f.report(msg)
	panic("store: Options.Fatal returned after: " + msg)
}

// reportAndExit is the default of Options.Fatal.
func reportAndExit(log *zap.Logger) func(string) {
	return func(msg string) {
		log.Error("the log can no longer be written: stopping", zap.String("cause", msg))
		_ = log.Sync()
		fmt.Fprintln(os.Stderr, "ron-ledger: the log can no longer be written: "+msg)
		os.Exit(exitFailStop)
	}
}
