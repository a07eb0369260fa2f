package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// freezeTries is how often a home is frozen before what is missing in it is held to be missing.
const freezeTries = 20

// OpenFrozen opens the home at o.Dir for reading as it is now, while another process may go on writing
// it. Nothing is written to the disk, and no lock is taken. The caller closes both: first the store,
// then what it reads.
//
// It opens a ledger that was: the head file is read first, then the state, then the log, so that neither
// head file nor mark is ahead of the log. Of each database the order is
//
//	tables, WALs from the newest to the oldest, manifest, tables again
//
// Tables never change, so they are held open, one descriptor each, and live on when the writer deletes them. WALs and
// manifest are copied into memory: at most some 100 MiB. A WAL that another follows is complete, so the copies
// are the beginning of what was written. A WAL that is gone, or used again while it is copied, was
// flushed before, and the manifest that is copied behind it knows the table. Compactions may make and
// delete tables in between, which then are missing: Open says so, and the home is frozen again.
func OpenFrozen(o Options) (*Store, io.Closer, error) {
	o.ReadOnly = true
	for try := 1; ; try++ {
		frozen, err := freeze(o.Dir)
		if err != nil {
			return nil, nil, fmt.Errorf("open ledger %s: %w", o.Dir, err)
		}
		o.FS = &FS{fs: frozen}
		s, err := Open(o)
		last := try == freezeTries || !frozen.movedOn()
		switch {
		case err == nil && (s.stateErr == nil || last):
			return s, frozen, nil
		case err == nil:
			err = s.Close()
		}
		if err = errors.Join(err, frozen.Close()); last {
			return nil, nil, err
		}
	}
}

// frozenFS shows two databases as they were, and all else as it is.
type frozenFS struct {
	vfs.FS
	dir       string
	copied    map[string][]byte
	tables    map[string]heldTable
	links     string              // ends the names of the links that hold tables; "": they are held open
	lists     map[string][]string // of the directories of the databases
	manifests map[string]int      // the length of each
}

// heldTable is a table that lives on, by a descriptor or under another name.
type heldTable struct {
	file vfs.File
	link string
}

// linkSuffix ends the names of all links that hold tables. Open removes those that a crash left.
const linkSuffix = ".frozen"

func newFrozen(fsys vfs.FS, dir string) *frozenFS {
	return &frozenFS{
		FS: fsys, dir: dir, copied: map[string][]byte{}, tables: map[string]heldTable{}, lists: map[string][]string{},
		manifests: map[string]int{},
	}
}

func freeze(dir string) (_ *frozenFS, err error) {
	f := newFrozen(vfs.Default, dir)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := f.copy(f.PathJoin(dir, headName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, name := range []string{stateDirName, logDirName} {
		if err := f.database(f.PathJoin(dir, name)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// database freezes one database, unless there is none.
func (f *frozenFS) database(dir string) error {
	for try := 1; ; try++ {
		names, err := f.FS.List(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = f.files(dir, names)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) || try == freezeTries { // a manifest or marker was replaced
			return fmt.Errorf("read database %s: %w", dir, err)
		}
	}
}

func (f *frozenFS) files(dir string, names []string) error {
	if err := f.hold(dir, names); err != nil {
		return err
	}
	var wals, others []string
	for _, name := range names {
		switch {
		case isWAL(name):
			wals = append(wals, name)
		case !isTable(name) && name != "LOCK" && !strings.HasSuffix(name, linkSuffix):
			others = append(others, name)
		}
	}
	// Numbers have leading zeros until they outgrow them.
	slices.SortFunc(wals, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) })
	kept := slices.Clone(others)
	for _, name := range wals {
		switch err := f.copy(f.PathJoin(dir, name)); {
		case err == nil:
			kept = append(kept, name)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	for _, name := range others {
		path := f.PathJoin(dir, name)
		if err := f.copy(path); err != nil {
			return err
		}
		if strings.HasPrefix(name, "MANIFEST-") {
			f.manifests[path] = len(f.copied[path])
		}
	}
	names, err := f.FS.List(dir)
	if err != nil {
		return err
	}
	if err := f.hold(dir, names); err != nil {
		return err
	}
	for path := range f.tables {
		if f.PathDir(path) == dir {
			kept = append(kept, f.PathBase(path))
		}
	}
	f.lists[dir] = kept
	return nil
}

func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// hold makes the tables live on that do not yet.
func (f *frozenFS) hold(dir string, names []string) error {
	for _, name := range names {
		path := f.PathJoin(dir, name)
		if _, held := f.tables[path]; held || !isTable(name) {
			continue
		}
		table, err := f.holdTable(path)
		if err == nil {
			f.tables[path] = table
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// holdTable gives a table a second name, which takes no descriptor, where that is wanted and the file system can.
func (f *frozenFS) holdTable(path string) (heldTable, error) {
	if f.links != "" {
		link := path + f.links
		err := f.FS.Link(path, link)
		if !linkless(err) {
			return heldTable{link: link}, err
		}
	}
	file, err := f.FS.Open(path)
	return heldTable{file: file}, err
}

// removeLinks removes what a crash left of tables that were held by links.
func removeLinks(fsys vfs.FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, linkSuffix) {
			if err := fsys.Remove(fsys.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *frozenFS) copy(path string) error {
	file, err := f.FS.Open(path)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(file)
	f.copied[path] = b
	return errors.Join(err, file.Close())
}

// movedOn reports whether the databases have other tables now.
func (f *frozenFS) movedOn() bool {
	for path, length := range f.manifests {
		if info, err := f.FS.Stat(path); err != nil || info.Size() != int64(length) {
			return true
		}
	}
	return false
}

// Close lets go of the tables.
func (f *frozenFS) Close() error {
	var errs []error
	for table := range maps.Values(f.tables) {
		if table.link != "" {
			errs = append(errs, f.FS.Remove(table.link))
		} else {
			errs = append(errs, table.file.Close())
		}
	}
	clear(f.tables)
	return errors.Join(errs...)
}

// heldFile is a table in one of its uses.
type heldFile struct{ vfs.File }

func (heldFile) Close() error { return nil }

func (f *frozenFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	switch table, held := f.tables[name]; {
	case held && table.link != "":
		return f.FS.Open(table.link, options...)
	case held:
		return heldFile{table.file}, nil
	}
	if b, known := f.copied[name]; known {
		return vfs.NewMemFile(b), nil // which nobody writes
	}
	if f.lists[f.PathDir(name)] != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.FS.Open(name, options...)
}

func (f *frozenFS) Stat(name string) (vfs.FileInfo, error) {
	if _, held := f.tables[name]; !held && f.copied[name] == nil && f.lists[f.PathDir(name)] == nil {
		return f.FS.Stat(name)
	}
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	return file.Stat()
}

func (f *frozenFS) List(dir string) ([]string, error) {
	if names := f.lists[dir]; names != nil {
		return slices.Clone(names), nil
	}
	return f.FS.List(dir)
}

// Lock takes none: there is nothing that another process could change.
func (f *frozenFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (f *frozenFS) Unwrap() vfs.FS { return nil }
