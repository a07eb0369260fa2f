package archive

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
)

// putSnapshot puts what stands in for a snapshot of the whole log.
func (l *source) putSnapshot(w *Writer, content []byte) (*Snapshot, error) {
	l.t.Helper()
	return w.PutSnapshot(l.t.Context(), l.frontier.Size(), l.frontier.Root(), func(out io.Writer) error {
		for piece := range slices.Chunk(content, 77) {
			if _, err := out.Write(piece); err != nil {
				return err
			}
		}
		return nil
	})
}

// readSnapshot reads one as a take-over does.
func (l *source) readSnapshot(fsys *store.FS, name string) ([]byte, error) {
	l.t.Helper()
	r, err := l.reader(fsys)
	if err != nil {
		return nil, err
	}
	_, content, err := r.OpenSnapshot(l.t.Context(), name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}

// TestSnapshot puts snapshots of several lengths beside the segments and reads them back; the newest comes first,
// one that is put again is the same, and one that fails amid its parts is none.
func TestSnapshot(t *testing.T) {
	l, fsys := newSource(t), store.Memory()
	w := l.writer(fsys)
	w.part = 1000
	var names []string
	for _, length := range []int{1, w.part - 1, w.part, 2*w.part + 7} {
		l.append(2)
		if _, err := l.putSnapshot(w, nil); err == nil {
			t.Fatal("a snapshot is put that reaches beyond the segments")
		}
		l.mustShip(w)
		content := make([]byte, length)
		for i := range content {
			content[i] = byte(l.rng.Uint32())
		}
		if _, err := w.PutSnapshot(t.Context(), l.frontier.Size(), l.frontier.Root(), func(out io.Writer) error {
			_, err := out.Write(content[:length/2])
			return errors.Join(err, io.ErrClosedPipe)
		}); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("a snapshot that fails: %v", err)
		}
		s, err := l.putSnapshot(w, content)
		if err != nil || s.Bytes != uint64(length) {
			t.Fatalf("%+v: %v", s, err)
		}
		again, err := l.putSnapshot(w, []byte("other"))
		if err != nil || again.text() != s.text() {
			t.Fatalf("put again it is %+v: %v", again, err)
		}
		names = append([]string{s.Name()}, names...)
		if got, err := l.readSnapshot(fsys, s.Name()); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes of %d: %v", len(got), length, err)
		}
	}
	r, err := l.reader(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Snapshots(t.Context()); err != nil || !slices.Equal(got, names) {
		t.Errorf("there are %v, not %v: %v", got, names, err)
	}
	l.check(fsys, l.frontier.Size())
}

// TestSnapshotRefused: a snapshot that is damaged or incomplete, of another ledger, ahead of the segments, of another
// history, or of a writer that had been taken over, is refused by name.
func TestSnapshotRefused(t *testing.T) {
	content := []byte("a snapshot")
	for name, c := range map[string]struct {
		spoil func(l *source, w *Writer, s *Snapshot)
		want  string
	}{
		"a part is damaged": {func(l *source, w *Writer, s *Snapshot) {
			l.replace(w, s.partName(0), []byte("a snapshoT"))
		}, "its checksum is wrong"},
		"a part is longer": {func(l *source, w *Writer, s *Snapshot) {
			l.replace(w, s.partName(0), []byte("a snapshot and more"))
		}, "part-"},
		"a part is missing": {func(l *source, w *Writer, s *Snapshot) {
			if err := l.remove(w, s.partName(0)); err != nil {
				l.t.Fatal(err)
			}
		}, "part-"},
		"the index is cut": {func(l *source, w *Writer, s *Snapshot) {
			l.replace(w, s.Name(), l.object(w, s.Name())[:50])
		}, "it is not signed by"},
		"the index is of another ledger": {func(l *source, w *Writer, s *Snapshot) {
			other := newSource(l.t)
			other.append(2)
			fsys := store.Memory()
			theirs := other.writer(fsys)
			other.mustShip(theirs)
			put, err := other.putSnapshot(theirs, content)
			if err != nil {
				l.t.Fatal(err)
			}
			l.replace(w, s.Name(), other.object(theirs, put.Name()))
		}, "it is not signed by"},
		"it has another name": {func(l *source, w *Writer, s *Snapshot) {
			b := l.object(w, s.Name())
			s.Size--
			if err := l.create(w, s.Name(), b); err != nil {
				l.t.Fatal(err)
			}
		}, "it is snapshot-"},
		"it is ahead of the segments": {func(l *source, w *Writer, s *Snapshot) {
			if err := errors.Join(l.remove(w, SegmentName(w.Archived().LastFirst)), l.remove(w, headName)); err != nil {
				l.t.Fatal(err)
			}
		}, "and the segments end at"},
		"it is of another history": {func(l *source, w *Writer, s *Snapshot) {
			s.Root[0]++
			l.sign(w, s)
		}, "it is of another log"},
		"it ends amid a commit": {func(l *source, w *Writer, s *Snapshot) {
			for l.commits[len(l.commits)-1].Count == 1 {
				l.append(1)
				l.mustShip(w)
			}
			s.Size = l.frontier.Size() - 1
			signed, err := l.signed(s)
			if err == nil {
				err = l.create(w, s.Name(), signed)
			}
			if err != nil {
				l.t.Fatal(err)
			}
		}, "no commit ends at"},
		"its writer had been taken over": {func(l *source, w *Writer, s *Snapshot) {
			r, err := OpenReader(l.t.Context(), w.folder.objects, w.logID, l.verifier)
			if err != nil {
				l.t.Fatal(err)
			}
			l.takeOver(r)
			l.append(1)
			heir := l.writer(nil)
			heir.options.Objects, heir.term, heir.folder = w.options.Objects, 2, w.folder
			l.mustShip(heir)
			s.Size, s.Root = l.frontier.Size(), l.frontier.Root()
			signed, err := l.signed(s)
			if err == nil {
				err = l.create(w, s.Name(), signed)
			}
			if err != nil {
				l.t.Fatal(err)
			}
		}, "who made it had been taken over"},
	} {
		t.Run(name, func(t *testing.T) {
			l, fsys := newSource(t), store.Memory()
			w := l.writer(fsys)
			for range 2 {
				l.append(2)
				l.mustShip(w)
			}
			s, err := l.putSnapshot(w, content)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := l.readSnapshot(fsys, s.Name()); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("before: %q: %v", got, err)
			}
			c.spoil(l, w, s)
			if _, err := l.readSnapshot(fsys, s.Name()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it says %v, want …%s…", err, c.want)
			}
		})
	}
}

// signed returns an index as the key of the ledger signs it, and sign puts it in its place.
func (l *source) signed(s *Snapshot) ([]byte, error) { return s.sign(l.signer) }

func (l *source) sign(w *Writer, s *Snapshot) {
	l.t.Helper()
	signed, err := l.signed(s)
	if err != nil {
		l.t.Fatal(err)
	}
	l.replace(w, s.Name(), signed)
}

// TestSnapshotIndex: an index is read as it is written, and nothing else is.
func TestSnapshotIndex(t *testing.T) {
	s := &Snapshot{Origin: "o", Term: 3, Size: 9, Bytes: 5, parts: []snapshotPiece{{bytes: 2}, {bytes: 3}}}
	got, err := parseSnapshot(s.text())
	if err != nil || got.text() != s.text() {
		t.Fatalf("%+v: %v", got, err)
	}
	for i := range s.text() {
		if _, err := parseSnapshot(s.text()[:i]); err == nil {
			t.Fatalf("cut at %d it is taken", i)
		}
	}
	for _, text := range []string{s.text() + "\n", strings.Replace(s.text(), "bytes 5", "bytes 6", 1), strings.Replace(s.text(), "parts 2", "parts 1", 1), "x" + s.text()} {
		if _, err := parseSnapshot(text); err == nil {
			t.Fatalf("%q is taken", text)
		}
	}
}
