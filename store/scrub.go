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
)

// ScrubLog reads all tables of the log from their files again, past every cache, and yields their
// commits in order. What is in memory and in the WAL alone is not among them. read is called before
// each read of the disk with its length in bytes: it may wait, and its error ends the iteration, as
// does a *Damage that names the file. Any other error says nothing of the log.
func (s *Store) ScrubLog(read func(n int) error) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		first := s.durable().First
		sc := &scrub{store: s, read: read, next: first}
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
	sc := &scrub{store: s, read: read}
	for {
		again, err := sc.state()
		if err != nil {
			if IsDamage(err) {
				s.state.discardOnce.Do(func() { s.state.discard(err) })
			}
			return err
		}
		if !again {
			return nil
		}
	}
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

// scrub is one pass over tables.
type scrub struct {
	store  *Store
	read   func(n int) error
	next   uint64 // sequence number that the next block of the log has to begin with
	commit Commit
	done   map[string]bool // tables of the state that were read
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

// log reads the tables of the log. A table that is gone was replaced by others: the list is read again.
func (sc *scrub) log(yield func(*Commit, error) bool) error {
	s := sc.store
	sc.commit = Commit{First: sc.next}
	for gone := 0; ; gone++ {
		list, err := tables(s.log, s.fs, s.fs.PathJoin(s.dir, logDirName))
		if err != nil {
			return err
		}
		for i := range list {
			err = sc.table(&list[i], func(key, value []byte) error { return sc.block(list[i].path, key, value, yield) })
			if err != nil {
				break
			}
		}
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case gone == goneMax:
			return damageAt(sc.commit.First, err)
		}
	}
}

// goneMax is how many times a scrub looks for a table that is not there.
const goneMax = 10

// block takes a block of the log.
func (sc *scrub) block(path string, key, value []byte, yield func(*Commit, error) bool) error {
	if len(key) == 8 && binary.BigEndian.Uint64(key) < sc.next {
		return nil // read before, from another table
	}
	c := &sc.commit
	h, err := decodeBlockHeader(key, value)
	if err == nil && h.first != sc.next {
		err = fmt.Errorf("after sequence number %d comes a block that starts at %d", sc.next-1, h.first)
	}
	if err == nil {
		err = c.addBlock(&h, value)
	}
	if err != nil {
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

// table yields the rows of a table.
func (sc *scrub) table(t *table, row func(key, value []byte) error) (err error) {
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
	for kv := it.First(); kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return sc.failed(t, err)
		}
		if err := row(kv.K.UserKey, value); err != nil {
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
	if sc.done == nil {
		sc.done = map[string]bool{}
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
	f, err := sc.store.fs.Open(t.path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", t.path, fromEngine(err))
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at %s: %w", t.path, fromEngine(err)), f.Close())
	}
	policy := bloom.FilterPolicy(filterBitsPerKey)
	r, err := sstable.NewReader(context.Background(), &scrubbedFile{File: f, size: info.Size(), read: sc.read}, sstable.ReaderOptions{
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

// scrubbedFile is a table file, each read of which is told before it is done.
type scrubbedFile struct {
	vfs.File
	size int64
	read func(n int) error
}

// ReadAt reads all of p.
func (f *scrubbedFile) ReadAt(_ context.Context, p []byte, off int64) error {
	if err := f.read(len(p)); err != nil {
		return err
	}
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
