package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// ScrubLog reads the whole log from its files again, past every cache, the tables and then the WALs, and
// yields its commits in order; it ends where it has come to what was durable when it looked for files last,
// so a log that grows faster than it may be read has no end: the caller ends it then. read is called before
// each read of the disk with its length in bytes: it may wait, and its error ends the iteration, as
// does a *Damage that names the file. Any other error says nothing of the log.
func (s *Store) ScrubLog(read func(n int) error) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		first := s.durable().First
		if first == 0 {
			return // nothing was committed yet
		}
		sc := newScrub(s, read)
		sc.next = first
		err := sc.log(yield)
		if s.durable().First != first {
			return // the log was pruned meanwhile: what is missing is meant to be
		}
		if err != nil && !errors.Is(err, errScrubEnded) {
			yield(nil, err)
		}
	}
}

// ScrubState reads all tables of the state from their files again, past every cache, and checks every
// block against its checksum. What it finds makes the next Open discard the state. The error names
// the file; IsDamage tells it from a failure of the disk.
func (s *Store) ScrubState(read func(n int) error) error {
	sc := newScrub(s, read)
	sc.done = map[string]bool{}
	for {
		again, err := sc.state()
		if err != nil {
			if IsDamage(err) {
				s.DiscardState(err)
			}
			return err
		}
		if !again {
			return nil
		}
	}
}

// DiscardState makes the next Open discard the state, in which something is wrong.
func (s *Store) DiscardState(cause error) {
	s.state.discardOnce.Do(func() { s.state.discard(cause) })
}

// ScrubFiles reads the meta file and the head file again.
func (s *Store) ScrubFiles() error {
	_, exists, err := readMeta(s.fs, s.dir)
	if err == nil && !exists {
		err = fmt.Errorf("%s: %w", s.fs.PathJoin(s.dir, metaName), fs.ErrNotExist)
	}
	head := HeadSlot{Known: true}
	if err == nil {
		head, _, err = readHead(s.fs, s.dir)
	}
	if err == nil && !head.Known {
		err = fmt.Errorf("%s: neither slot can be read", s.fs.PathJoin(s.dir, headName))
	}
	if disk := syscall.Errno(0); errors.As(err, &disk) {
		err = fromEngine(err)
	}
	return err
}

// IsDamage reports whether an error of a read says that what was written is not there any more, as
// against a disk that fails.
func IsDamage(err error) bool {
	var damage *Damage
	return errors.As(damageAt(0, err), &damage)
}

var errScrubEnded = errors.New("the scrub was ended")

// scrub is one pass over files.
type scrub struct {
	store  *Store
	fs     vfs.FS // which tells each read
	next   uint64 // sequence number that the next block of the log has to begin with
	commit Commit
	done   map[string]bool // tables of the state that were read; nil in a pass over the log
}

func newScrub(s *Store, read func(n int) error) *scrub {
	return &scrub{store: s, fs: &throttledFS{FS: s.fs, read: read}}
}

// table is a table file.
type table struct {
	path     string
	smallest []byte
}

// tables lists the table files of a database in the order of their smallest keys.
func tables(db *pebble.DB, fsys vfs.FS, dir string) ([]table, error) {
	levels, err := db.SSTables()
	if err != nil {
		return nil, err
	}
	var list []table
	for _, level := range levels {
		for i := range level {
			info := &level[i]
			list = append(list, table{
				path: fsys.PathJoin(dir, fmt.Sprintf("%06d.sst", uint64(info.BackingSSTNum))), smallest: info.Smallest.UserKey,
			})
		}
	}
	slices.SortFunc(list, func(a, b table) int {
		return cmp.Or(slices.Compare(a.smallest, b.smallest), cmp.Compare(a.path, b.path))
	})
	return slices.CompactFunc(list, func(a, b table) bool { return a.path == b.path }), nil
}

// log reads the log in rounds. A file that is gone was replaced by others: they are looked for again.
func (sc *scrub) log(yield func(*Commit, error) bool) error {
	sc.commit = Commit{First: sc.next}
	for gone := 0; ; {
		before := sc.next
		err := sc.round(yield)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		case err == nil && sc.next > sc.store.durable().Size:
			return nil
		case err == nil || sc.next > before:
			gone = 0
		case gone == goneMax:
			return damageAt(sc.commit.First, err)
		default:
			gone++
		}
	}
}

// goneMax is how many times a scrub looks for a file that is not there.
const goneMax = 10

// round reads what lies in tables and then what lies in WALs alone. The WALs are listed before the
// tables: what is in none of them by then is in a table.
func (sc *scrub) round(yield func(*Commit, error) bool) error {
	s := sc.store
	end := s.durable().Size
	dir := s.fs.PathJoin(s.dir, logDirName)
	wals, err := wal.Scan(wal.Dir{FS: sc.fs, Dirname: dir})
	if err != nil {
		return fmt.Errorf("look for the WALs in %s: %w", dir, fromEngine(err))
	}
	list, err := tables(s.log, s.fs, dir)
	if err != nil {
		return err
	}
	for i := range list {
		if i+1 < len(list) && len(list[i+1].smallest) == 8 && binary.BigEndian.Uint64(list[i+1].smallest) <= sc.next {
			continue // read before: tables of the log do not overlap
		}
		if err := sc.table(&list[i], yield); err != nil {
			return err
		}
	}
	return sc.wals(wals, end, yield)
}

// block takes a block of the log.
func (sc *scrub) block(path string, key, value []byte, yield func(*Commit, error) bool) error {
	if len(key) == 8 && binary.BigEndian.Uint64(key) < sc.next {
		return nil // read before, from another table
	}
	c := &sc.commit
	records, ends, groups := len(c.Records), len(c.Ends), len(c.Groups)
	h, err := decodeBlockHeader(key, value)
	if err == nil && h.first != sc.next {
		err = fmt.Errorf("after sequence number %d comes a block that starts at %d", sc.next-1, h.first)
	}
	if err == nil {
		err = c.addBlock(&h, value)
	}
	if err != nil {
		c.Records, c.Ends, c.Groups = c.Records[:records], c.Ends[:ends], c.Groups[:groups]
		return &Damage{Seq: c.First, Err: fmt.Errorf("%s: %w", path, err)}
	}
	sc.next = h.lastSeq() + 1
	if !h.last {
		return nil
	}
	c.Count, c.Root, c.TimeMs = len(c.Ends), h.root, h.timeMs
	if !yield(c, nil) {
		return errScrubEnded
	}
	*c = Commit{First: sc.next, Records: c.Records[:0], Ends: c.Ends[:0], Groups: c.Groups[:0]}
	return nil
}

// table reads the blocks of a table of the log from the next one on.
func (sc *scrub) table(t *table, yield func(*Commit, error) bool) (err error) {
	r, err := sc.open(t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.TableBlobContext{})
	if err != nil {
		return sc.failed(t, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	next := blockKey(sc.next)
	for kv := it.SeekGE(next[:], 0); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return sc.failed(t, err)
		}
		if err := sc.block(t.path, kv.K.UserKey, value, yield); err != nil {
			return err
		}
	}
	return sc.failed(t, it.Error())
}

// state reads the tables of the state that were not read before, and says whether there may be more.
func (sc *scrub) state() (again bool, err error) {
	s := sc.store
	list, err := tables(s.state.db, s.fs, s.fs.PathJoin(s.dir, stateDirName))
	if err != nil {
		return false, err
	}
	for i := range list {
		t := &list[i]
		if sc.done[t.path] {
			continue
		}
		sc.done[t.path] = true
		if err := sc.checksums(t); errors.Is(err, fs.ErrNotExist) {
			again = true // a compaction has replaced it
		} else if err != nil {
			return false, err
		}
	}
	return again, nil
}

// checksums reads every block of a table.
func (sc *scrub) checksums(t *table) (err error) {
	r, err := sc.open(t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return sc.failed(t, r.ValidateBlockChecksums())
}

func (sc *scrub) open(t *table) (*sstable.Reader, error) {
	f, err := sc.fs.Open(t.path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", t.path, fromEngine(err))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at %s: %w", t.path, fromEngine(err)), f.Close())
	}
	policy := bloom.FilterPolicy(filterBitsPerKey)
	r, err := sstable.NewReader(context.Background(), &scrubbedFile{File: f, size: info.Size()}, sstable.ReaderOptions{
		Filters: map[string]sstable.FilterPolicy{policy.Name(): policy},
	})
	if err != nil {
		return nil, sc.failed(t, err)
	}
	return r, nil
}

// failed says in which table a read failed, and what is lost with it.
func (sc *scrub) failed(t *table, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", t.path, fromEngine(err))
	if sc.done == nil && !errors.Is(err, fs.ErrNotExist) {
		return damageAt(sc.commit.First, err)
	}
	return err
}

// scrubbedFile is a table file for Pebble's reader of tables.
type scrubbedFile struct {
	vfs.File
	size int64
}

// ReadAt reads all of p.
func (f *scrubbedFile) ReadAt(_ context.Context, p []byte, off int64) error {
	_, err := f.File.ReadAt(p, off)
	return err
}

// Size returns the size of the file in bytes.
func (f *scrubbedFile) Size() int64 { return f.size }

// NewReadHandle returns a handle without read-ahead.
func (f *scrubbedFile) NewReadHandle(objstorage.ReadBeforeSize) objstorage.ReadHandle {
	h := objstorage.MakeNoopReadHandle(f)
	return &h
}
