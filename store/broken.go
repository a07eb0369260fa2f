package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// Damage says that a part of the log cannot be read as it was written. Everything before Seq is
// unharmed.
type Damage struct {
	Seq uint64 // sequence number of the first record that cannot be read in order
	Err error
}

func (d *Damage) Error() string {
	return fmt.Sprintf("the log is damaged at sequence number %d: %v", d.Seq, d.Err)
}

func (d *Damage) Unwrap() error { return d.Err }

// engineError marks what a database says of a read.
type engineError struct{ error }

func (e engineError) Unwrap() error { return e.error }

// Error leaves out what Pebble hangs on an error for itself.
func (e engineError) Error() string {
	return strings.ReplaceAll(e.error.Error(), "\n<corruption detail carrier>", "")
}

// fromEngine marks an error of a database, if it is one.
func fromEngine(err error) error {
	if err == nil {
		return nil
	}
	return engineError{err}
}

// damageAt makes of the error of a read a *Damage, unless it is a failure of the disk, which may
// pass: of that nothing can be said of the log.
func damageAt(seq uint64, err error) error {
	var engine engineError
	if errors.As(err, &engine) && !pebble.IsCorruptionError(engine.error) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &Damage{Seq: seq, Err: err}
}

// damagedFiles collects the files in which a database found damage.
type damagedFiles struct {
	mu    sync.Mutex
	paths []string
}

// damagedFilesMax bounds what is kept of them.
const damagedFilesMax = 16

func (d *damagedFiles) add(info pebble.DataCorruptionInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, path := range d.paths {
		if path == info.Path {
			return
		}
	}
	if len(d.paths) < damagedFilesMax {
		d.paths = append(d.paths, info.Path)
	}
}

// DamagedFiles returns the paths of files of the databases that reads have found damaged, at most 16.
func (s *Store) DamagedFiles() []string {
	s.damaged.mu.Lock()
	defer s.damaged.mu.Unlock()
	return append([]string(nil), s.damaged.paths...)
}

// Damage returns why the end of the log cannot be read, so that Last is the end of what can; nil
// where it can.
func (s *Store) Damage() *Damage { return s.tailDamage }

// findTail is readTail for a log whose end cannot be read: it looks for the last block before the
// damage that ends its commit.
func findTail(db *pebble.DB, cause error) (t Tail, d *Damage, err error) {
	beyond, err := beyondTables(db)
	if err != nil {
		return Tail{}, nil, errors.Join(cause, err)
	}
	readable := func(before uint64) (h blockHeader, ok bool) {
		it, err := db.NewIter(nil)
		if err != nil {
			return h, false
		}
		defer func() { _ = it.Close() }()
		key := blockKey(before)
		if !it.SeekLT(key[:]) {
			return h, it.Error() == nil
		}
		h, _, err = headerAt(it)
		return h, err == nil
	}
	// Invariant: what lies before low can be read, what lies before high cannot.
	low, high := uint64(1), beyond
	if _, ok := readable(low); !ok {
		return Tail{}, nil, cause
	}
	for low+1 < high {
		if middle := low + (high-low)/2; canRead(readable(middle)) {
			low = middle
		} else {
			high = middle
		}
	}
	last := lastWhole(db, low)
	if last.first == 0 {
		return Tail{}, &Damage{Seq: 1, Err: cause}, nil
	}
	first, ok := firstBlock(db)
	if !ok {
		return Tail{}, nil, cause
	}
	t = Tail{First: first.first, Size: last.lastSeq(), Root: last.root, TimeMs: last.timeMs}
	return t, &Damage{Seq: t.Size + 1, Err: cause}, nil
}

// lastWhole returns the last block that ends its commit among those that can be read from the 256
// leaves before that of before on; zero where there is none. A seek back from before would touch what
// lies behind it.
func lastWhole(db *pebble.DB, before uint64) (last blockHeader) {
	it, err := db.NewIter(nil)
	if err != nil {
		return last
	}
	defer func() { _ = it.Close() }()
	for blocks := uint64(1); last.first == 0; blocks *= 2 { // a commit may be longer than what is looked at
		from := uint64(1)
		if before > blocks*blockLeaves {
			from = (before-blocks*blockLeaves-1)/blockLeaves*blockLeaves + 1
		}
		key := blockKey(from)
		for ok := it.SeekGE(key[:]); ok; ok = it.Next() {
			h, _, err := headerAt(it)
			if err != nil {
				break
			}
			if h.last {
				last = h
			}
		}
		if from == 1 {
			break
		}
	}
	return last
}

// beyondTables returns a key above all that tables hold: what is in memory was read whole. Each probe
// of a damaged block is dear, since Pebble then looks for a single flipped bit.
func beyondTables(db *pebble.DB) (beyond uint64, err error) {
	levels, err := db.SSTables()
	if err != nil {
		return 0, err
	}
	for _, level := range levels {
		for i := range level {
			if key := level[i].Largest.UserKey; len(key) == 8 {
				beyond = max(beyond, binary.BigEndian.Uint64(key))
			}
		}
	}
	return beyond + 2, nil
}

func canRead(_ blockHeader, ok bool) bool { return ok }

func firstBlock(db *pebble.DB) (h blockHeader, ok bool) {
	it, err := db.NewIter(nil)
	if err != nil {
		return h, false
	}
	defer func() { _ = it.Close() }()
	if !it.First() {
		return h, false
	}
	h, _, err = headerAt(it)
	return h, err == nil
}
