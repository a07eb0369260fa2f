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

// rebuildName is the file whose presence makes the next Open discard the state.
const rebuildName = "state.rebuild"

// state is the open state database and what is kept of it in memory.
type state struct {
	db      *pebble.DB
	options *pebble.Options
	readers readers
	stalls  stalls
	writeMu sync.Mutex // held by Checkpoint and Prune
	order   indexOrder // under writeMu

	mu      sync.RWMutex
	current Mark
	highest [16]byte // highest nonce in the index

	opening    atomic.Int32 // failed writes that an opening under way may still meet; 0 = it is open
	brokenOnce sync.Once
	broken     chan struct{} // closed after the first failed write
	brokenBy   error         // set before broken is closed

	discardOnce sync.Once
	discard     func(cause error) // makes the next Open discard the state
}

// openState opens the state database if it fits the log, and else discards it.
func (s *Store) openState(o *Options) error {
	s.state.discard = s.discardStateLater
	cause := s.tryState(o)
	if cause == nil {
		return nil
	}
	if err := s.keepWitness(); err != nil {
		return err
	}
	s.logger.Warn("the state is discarded and has to be made again from the log", zap.Error(cause))
	if s.tail.First > 1 {
		return fmt.Errorf("open the state: %w; it cannot be made again, because the log begins at %d: "+
			"restore the ledger from its archive or a snapshot into an empty folder (ledgerctl restore, ledgerctl snapshot restore)", cause, s.tail.First)
	}
	if err := s.state.close(s.logger); err != nil {
		s.logger.Warn("closing the discarded state failed", zap.Error(err))
	}
	if err := removeState(s.fs, s.dir); err != nil {
		return fmt.Errorf("discard the state: %w", err)
	}
	if err := s.tryState(o); err != nil {
		return fmt.Errorf("make a new state: %w", err)
	}
	return nil
}

// tryState opens the state, makes it when it is missing, and checks its mark against the log.
// It returns why the state cannot be used.
func (s *Store) tryState(o *Options) error {
	_, err := s.fs.Stat(s.fs.PathJoin(s.dir, rebuildName))
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("found the file %s, or cannot tell", rebuildName), err)
	}
	st := &s.state
	st.broken = make(chan struct{})
	guarded := &guard{FS: s.fs, fatal: s.failed.fatal}
	st.options = stateOptions(o, engineOptions(guarded, s.cache, s.files), s.stateFailed, &st.stalls)
	if o.ReadOnly {
		s.toRead(st.options)
	} else if err := removeLinks(s.fs, s.fs.PathJoin(s.dir, stateDirName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.logger.Warn("links to tables of the state stay, and with them the room that the tables take", zap.Error(err))
	}
	st.options.EnsureDefaults()
	st.opening.Store(stateOpenTries)
	if st.db, err = openEngine(guarded, s.dir, stateDirName, st.options); err != nil {
		return err
	}
	st.opening.Store(0)
	if err := st.load(); err != nil {
		return err
	}
	if st.current.Size+1 < s.tail.First {
		return fmt.Errorf("its mark is at %d", st.current.Size)
	}
	if st.current.Size == 0 {
		return nil
	}
	root, err := s.logRoot(st.current.Size)
	if damage := new(Damage); errors.As(err, &damage) {
		s.logger.Error("the mark of the state cannot be held against the log", zap.Error(err))
		return nil
	}
	if err == nil && root != st.current.Root {
		err = fmt.Errorf("its root is not the log's root")
	}
	if err != nil {
		return fmt.Errorf("check the mark at %d: %w", st.current.Size, err)
	}
	return nil
}

// load reads the mark and the highest nonce.
func (st *state) load() error {
	st.current, st.highest = Mark{}, [16]byte{}
	m, err := readMark(st.db)
	if err != nil {
		return err
	}
	it, err := st.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyIndex}, UpperBound: []byte{keyIndex + 1}})
	if err != nil {
		return fmt.Errorf("read the highest nonce: %w", err)
	}
	if it.Last() && len(it.Key()) > 16 {
		st.highest = [16]byte(it.Key()[1:17])
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("read the highest nonce: %w", err)
	}
	st.current = m
	return nil
}

// readMark reads the mark from the database or from a snapshot of it; zero when there is none.
func readMark(r pebble.Reader) (Mark, error) {
	value, closer, err := r.Get([]byte{keyMark})
	if errors.Is(err, pebble.ErrNotFound) {
		return Mark{}, nil
	}
	if err != nil {
		return Mark{}, fmt.Errorf("read the mark: %w", err)
	}
	m, err := decodeMark(value)
	return m, errors.Join(err, closer.Close())
}

// removeState removes the state database and, once that is durable, the file that asked for it.
func removeState(fsys vfs.FS, dir string) error {
	if err := fsys.RemoveAll(fsys.PathJoin(dir, stateDirName)); err != nil {
		return err
	}
	if err := syncDir(fsys, dir); err != nil {
		return err
	}
	if err := fsys.RemoveAll(fsys.PathJoin(dir, rebuildName)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// discardStateLater makes the next Open discard the state, as far as the disk still allows.
func (s *Store) discardStateLater(cause error) {
	s.logger.Error("the state is damaged: it will be made again from the log at the next start", zap.Error(cause))
	if err := writeFileAtomically(s.fs, s.dir, rebuildName, nil); err != nil {
		s.logger.Error("asking for a new state failed", zap.Error(err))
	}
}

// stateOpenTries is how many failed writes the opening of the state may meet.
const stateOpenTries = 3

// stateFailed notes that a write of the state failed in the background. Pebble repeats what it does
// while it opens until it succeeds and cannot be stopped in that, so a start that meets such failures
// again and again ends the process.
func (s *Store) stateFailed(cause error) {
	s.state.breakDown(cause)
	if s.state.opening.Load() > 0 && s.state.opening.Add(-1) == 0 {
		s.failed.fatal(fmt.Sprintf("open the state %s: %v", s.fs.PathJoin(s.dir, stateDirName), cause))
	}
}

// breakDown notes that a write of the state failed.
func (st *state) breakDown(cause error) {
	st.brokenOnce.Do(func() {
		st.brokenBy = cause
		close(st.broken)
	})
}

// brokenErr returns why the state is broken, or nil.
func (st *state) brokenErr() error {
	select {
	case <-st.broken:
		return fmt.Errorf("%w (%w)", ErrStateBroken, st.brokenBy)
	default:
		return nil
	}
}

// flush waits until everything written is in tables, or the state breaks: Pebble tries a flush that
// fails again and again.
func (st *state) flush() error {
	done, err := st.db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	select {
	case <-done:
		return nil
	case <-st.broken:
		return fmt.Errorf("flush: %w", st.brokenBy)
	}
}

// advance makes a checkpoint that is durable the current one.
func (st *state) advance(c *Checkpoint) {
	st.mu.Lock()
	st.current = c.Mark.clone()
	if n := len(c.Index); n > 0 && string(c.Index[n-1].Nonce[:]) > string(st.highest[:]) {
		st.highest = c.Index[n-1].Nonce
	}
	st.mu.Unlock()
	st.readers.renew()
}

func (st *state) mark() Mark {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.current
}

// Mark returns the newest whole checkpoint's mark; zero when there is none. Its slices are shared:
// they must not be changed.
func (s *Store) Mark() Mark { return s.state.mark() }

// HighestNonce returns the highest nonce that a look-up can find: one above it needs none.
func (s *Store) HighestNonce() [16]byte {
	s.state.mu.RLock()
	defer s.state.mu.RUnlock()
	return s.state.highest
}

func (st *state) close(log *zap.Logger) error {
	if st.db == nil {
		return nil
	}
	err := errors.Join(st.readers.close(), closeEngine(st.db, stateDirName, log))
	st.db = nil
	return err
}

func (st *state) markSize() uint64 {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.current.Size
}
