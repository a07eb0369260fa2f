package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Snapshot is a home as it was at one moment: every file of it, while another process or this one goes
// on writing. Tables are held open and WALs in memory, as OpenFrozen has it, so that nothing is
// written and nothing is left behind.
type Snapshot struct {
	Meta  Meta
	Tail  Tail   // of its log
	State uint64 // size that its state covers; 0 = all has to be made again from the log

	frozen *frozenFS
	small  map[string][]byte // head and meta, which fit the log
}

// TakeSnapshot freezes the home at o.Dir. check looks at it, opened for reading, before it counts.
func TakeSnapshot(o Options, check func(*Store) error) (_ *Snapshot, err error) {
	s, closer, err := OpenFrozen(o)
	if err != nil {
		return nil, err
	}
	sn := &Snapshot{Meta: s.Meta(), Tail: s.durable(), frozen: closer.(*frozenFS)}
	if s.StateErr() == nil {
		sn.State = s.Mark().Size
	}
	err = check(s)
	// The head file was read before the log: the one that goes with it says what the log has.
	known := HeadSlot{Known: true, Count: 1, Seq: sn.Tail.Size, Root: sn.Tail.Root}
	sn.small = map[string][]byte{headName: encodeHead(known), metaName: sn.Meta.encode()}
	if err = errors.Join(err, s.Close()); err != nil {
		return nil, errors.Join(err, sn.Close())
	}
	return sn, nil
}

// Close lets go of the files.
func (sn *Snapshot) Close() error { return sn.frozen.Close() }

// Files returns the names of all files, below the home and sorted.
func (sn *Snapshot) Files() []string {
	names := []string{headName, metaName}
	for _, database := range []string{logDirName, stateDirName} {
		for _, file := range sn.frozen.lists[sn.frozen.PathJoin(sn.frozen.dir, database)] {
			names = append(names, database+"/"+file)
		}
	}
	slices.Sort(names)
	return names
}

// Read hands a file to use.
func (sn *Snapshot) Read(name string, use func(content io.Reader, size int64) error) error {
	if b, known := sn.small[name]; known {
		return use(bytes.NewReader(b), int64(len(b)))
	}
	file, err := sn.frozen.Open(sn.frozen.PathJoin(sn.frozen.dir, name))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	info, err := file.Stat()
	if err == nil {
		err = use(io.NewSectionReader(file, 0, info.Size()), info.Size())
	}
	return errors.Join(err, file.Close())
}
