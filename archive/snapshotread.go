package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"lukechampine.com/blake3"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// Snapshots returns the names of the snapshots in the archive, the newest first.
func (r *Reader) Snapshots(ctx context.Context) ([]string, error) {
	names, err := r.folder.objects.Names(ctx, r.folder.name)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, snapshotPrefix) })
	slices.Reverse(names) // numbers have all their digits
	return names, nil
}

// OpenSnapshot opens a snapshot and holds it against the segments: it is of this log, it was made by who held
// the term then, and the log has its root at its size. What it is made of is read, and its checksums are
// checked, as content is read.
func (r *Reader) OpenSnapshot(ctx context.Context, name string) (s *Snapshot, content io.Reader, err error) {
	fail := func(err error) (*Snapshot, io.Reader, error) {
		return nil, nil, fmt.Errorf("%s: %w", r.folder.path(name), err)
	}
	signed, _, err := r.folder.objects.Read(ctx, r.folder.key(name), snapshotIndexMax)
	if err != nil {
		return nil, nil, err
	}
	if s, err = openSnapshot(signed, r.key); err != nil {
		return fail(err)
	}
	if s.Name() != name || s.Origin != r.head.Origin {
		return fail(fmt.Errorf("it is %s of %s", s.Name(), s.Origin))
	}
	if s.Size > r.head.Size {
		return fail(fmt.Errorf("it has %d entries, and the segments end at %d", s.Size, r.head.Size))
	}
	root, term, err := r.rootAt(ctx, s.Size)
	switch {
	case err != nil:
		return fail(err)
	case root != s.Root:
		return fail(fmt.Errorf("its root is %v, that of the segments at size %d is %v: it is of another log", s.Root, s.Size, root))
	case s.Term < term:
		return fail(fmt.Errorf("it was made in term %d, and entry %d is of term %d: who made it had been taken over", s.Term, s.Size, term))
	}
	return s, &partReader{ctx: ctx, folder: r.folder, snapshot: s}, nil
}

// rootAt returns the root behind the commit that ends at a size, as the segments have it, and the term in which
// it was archived.
func (r *Reader) rootAt(ctx context.Context, size uint64) (root merkle.Hash, term uint64, err error) {
	i := r.segmentOf(size)
	if i < 0 {
		return root, 0, errors.New("it is before the first segment")
	}
	s, err := r.segment(ctx, r.slots[i], nil)
	if err != nil {
		return root, 0, err
	}
	if s.Last == size {
		return s.Root, s.at.term, nil
	}
	for c, err := range s.All() {
		if err != nil {
			return root, 0, err
		}
		if c.Last() == size {
			return c.Root, s.at.term, nil
		}
	}
	return root, 0, fmt.Errorf("no commit ends at %d", size)
}

// partReader reads the parts of a snapshot one after the other.
type partReader struct {
	ctx      context.Context
	folder   folder
	snapshot *Snapshot
	next     int
	rest     []byte
}

func (p *partReader) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.next == len(p.snapshot.parts) {
			return 0, io.EOF
		}
		if err := p.fetch(p.next); err != nil {
			return 0, err
		}
		p.next++
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *partReader) fetch(i int) (err error) {
	want, name := p.snapshot.parts[i], p.snapshot.partName(i)
	if p.rest, _, err = p.folder.objects.Read(p.ctx, p.folder.key(name), int64(want.bytes)); err != nil {
		return err
	}
	if len(p.rest) != want.bytes || blake3.Sum256(p.rest) != want.sum {
		return fmt.Errorf("%s: %w", p.folder.path(name), errChecksum)
	}
	return nil
}
