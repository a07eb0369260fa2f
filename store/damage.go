package store

import (
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// CopyHome returns a file system in memory with a copy of the home in dir, at the same path, as a
// crash would leave it: everything in it counts as synced. No process may write to it meanwhile.
func CopyHome(dir string) (*FS, error) {
	f := NewCrashFS()
	if err := f.fs.MkdirAll(f.fs.PathDir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("copy home %s: %w", dir, err)
	}
	if ok, err := vfs.Clone(vfs.Default, f.fs, dir, dir); err != nil || !ok {
		return nil, fmt.Errorf("copy home %s: found %t: %w", dir, ok, err)
	}
	return f.CrashClone(100, 0), nil
}

// Files returns the paths of all files below dir, a directory's in the order of their names.
func (f *FS) Files(dir string) (paths []string, err error) {
	names, err := f.fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	for _, name := range names {
		path := f.fs.PathJoin(dir, name)
		info, err := f.fs.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		if !info.IsDir() {
			paths = append(paths, path)
			continue
		}
		below, err := f.Files(path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, below...)
	}
	return paths, nil
}

// ReadFile returns what is in a file.
func (f *FS) ReadFile(path string) ([]byte, error) {
	file, err := f.fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// WriteFile makes a file hold b. It is meant for damage: nothing that has the file open notices.
func (f *FS) WriteFile(path string, b []byte) error {
	file, err := f.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err := file.Write(b); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return file.Close()
}
