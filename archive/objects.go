package archive

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/rustyonions/ron-ledger/store"
)

// Objects is where archives lie: store.Objects is a directory, bucket.Bucket a bucket of an object
// store. The name of an object is that of its folder, a slash, and its own. Calls may come from
// several goroutines.
type Objects interface {
	// Path says where an object lies, for messages.
	Path(name string) string
	// Prepare makes a folder ready to be written. What it finds the store unable to keep is an error.
	Prepare(ctx context.Context, folder string) error
	// Names returns the names in a folder, sorted; of "" those of the folders. It may miss what was
	// written a moment ago.
	Names(ctx context.Context, folder string) ([]string, error)
	// NamesAfter returns the first limit names of a folder that sort behind after, or all of them, sorted. It
	// may miss the same.
	NamesAfter(ctx context.Context, folder, after string, limit int) ([]string, error)
	// Read returns an object of at most limit bytes with its version; fs.ErrNotExist where there is none.
	Read(ctx context.Context, name string, limit int64) (b []byte, version string, err error)
	// Put makes an object where version is empty, or else replaces the one of that version, as one
	// step: it is there whole and durable, or store.ErrObjectChanged says that another one is. After
	// other errors it may be there or not, now or later.
	Put(ctx context.Context, name string, b []byte, version string) (newVersion string, err error)
}

// Logs returns the log ids that have a folder in an archive.
func Logs(ctx context.Context, objects Objects) (ids [][16]byte, err error) {
	names, err := objects.Names(ctx, "")
	for _, name := range names {
		if id, err := hex.DecodeString(name); err == nil && len(id) == 16 {
			ids = append(ids, [16]byte(id))
		}
	}
	return ids, err
}

// folder is the objects of one log.
type folder struct {
	objects Objects
	name    string
}

func folderOf(objects Objects, id [16]byte) folder { return folder{objects, hex.EncodeToString(id[:])} }

// path says where an object lies; of "" where the folder does.
func (f folder) path(name string) string { return f.objects.Path(f.key(name)) }

func (f folder) key(name string) string {
	if name == "" {
		return f.name
	}
	return f.name + "/" + name
}

// head returns the head as it is stored; nil where there is none.
func (f folder) head(ctx context.Context) (signed []byte, version string, err error) {
	signed, version, err = f.objects.Read(ctx, f.key(headName), headBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	return signed, version, err
}

// slots lists the places of the chain, in order, and perhaps more: at the end of either of the last two terms, up to
// UploadsMax-1 that lie behind a gap.
func (f folder) slots(ctx context.Context) ([]slot, error) {
	names, err := f.objects.Names(ctx, f.name)
	if err != nil {
		return nil, err
	}
	slots := make([]slot, 0, len(names))
	for _, name := range names {
		if !isSegment(name) {
			continue
		}
		at, ok := parseSlot(name)
		if !ok {
			return nil, fmt.Errorf("%s has no name of a segment: take it away", f.path(name))
		}
		slots = append(slots, at)
	}
	return chainOf(slots), nil
}

// errTaken says that a place in the chain is taken by another object, which is in its segment.
type errTaken struct {
	path    string
	segment *Segment
}

func (e *errTaken) Error() string {
	return fmt.Sprintf("%s: %v", e.path, store.ErrObjectChanged)
}

func (e *errTaken) Unwrap() error { return store.ErrObjectChanged }

// createOnce makes an object. One that is there with the same bytes is as good: the answer to an earlier
// attempt was lost. Another one, of at most limit bytes, is store.ErrObjectChanged, and returned.
func (f folder) createOnce(ctx context.Context, name string, b []byte, limit int64) (other []byte, err error) {
	_, err = f.objects.Put(ctx, f.key(name), b, "")
	if !errors.Is(err, store.ErrObjectChanged) {
		return nil, err
	}
	there, _, readErr := f.objects.Read(ctx, f.key(name), limit)
	switch {
	case readErr != nil: // or it is not there at all, whatever the store says
		return nil, errors.Join(err, readErr)
	case bytes.Equal(there, b):
		return nil, nil
	}
	return there, err
}

// create makes a segment. Where another one has its place it is *errTaken.
func (f folder) create(ctx context.Context, at slot, b []byte) error {
	name := at.name()
	other, err := f.createOnce(ctx, name, b, segmentBytesMax)
	if other == nil {
		return err
	}
	s, readErr := decodeSegment(name, other)
	if readErr != nil {
		return fmt.Errorf("%s: %w", f.path(name), errors.Join(err, readErr))
	}
	return &errTaken{f.path(name), s}
}

// chainOf returns places in the order of the chain, without what lies behind the end of its term, which is where
// the next term begins: it counts for nothing.
func chainOf(slots []slot) []slot {
	slices.SortFunc(slots, slot.compare)
	chain := slots[len(slots):]
	for i, end := len(slots)-1, ^uint64(0); i >= 0; i-- {
		if i+1 < len(slots) && slots[i].term != slots[i+1].term {
			end = slots[i+1].first
		}
		if slots[i].first <= end {
			chain = append(chain, slots[i])
		}
	}
	slices.Reverse(chain)
	return chain
}
